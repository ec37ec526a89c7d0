package ftp

import (
	"fmt"
	"strings"
)

// Quote257 is a path as a 257 reply holds it: in double quotes, each one
// inside doubled (RFC 959 appendix II).
func Quote257(path string) string {
	return `"` + strings.ReplaceAll(path, `"`, `""`) + `"`
}

// Parse257 takes the path out of the text of a 257 reply. A text without a
// quoted path, without the closing quote, or with a CR, LF or NUL in the path
// is refused (ErrSyntax).
func Parse257(text string) (string, error) {
	i := strings.IndexByte(text, '"')
	if i < 0 {
		return "", fmt.Errorf("%w: no quoted path in %q", ErrSyntax, clipText(text))
	}
	var path strings.Builder
	for rest := text[i+1:]; ; {
		end := strings.IndexByte(rest, '"')
		if end < 0 {
			return "", fmt.Errorf("%w: the quote does not close in %q", ErrSyntax, clipText(text))
		}
		path.WriteString(rest[:end])
		rest = rest[end+1:]
		if rest == "" || rest[0] != '"' {
			break
		}
		path.WriteByte('"')
		rest = rest[1:]
	}
	if hasLineBreak(path.String()) {
		return "", fmt.Errorf("%w: a control character in %q", ErrSyntax, clipText(text))
	}
	return path.String(), nil
}

// hasLineBreak finds what can't be part of a name on a line of its own.
func hasLineBreak(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return true
		}
	}
	return false
}
