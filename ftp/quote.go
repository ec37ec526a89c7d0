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

// Parse257 takes the path out of the text of a 257 reply. Of a text without quotes
// it takes what can only be the path: the only word, or what precedes " is the current
// directory" or " created". A text without a path, without the closing quote, or with
// a CR, LF or NUL in the path is refused (ErrSyntax).
func Parse257(text string) (string, error) {
	i := strings.IndexByte(text, '"')
	if i < 0 {
		return unquoted257(text)
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

// unquoted257 is Parse257 of a text without quotes, "/ is the current directory".
func unquoted257(text string) (string, error) {
	path := strings.TrimSpace(text)
	if before, ok := cutComment(path); ok {
		path = before
	} else if strings.ContainsAny(path, " \t") {
		path = ""
	}
	if path == "" || hasLineBreak(path) {
		return "", fmt.Errorf("%w: no path in %q", ErrSyntax, clipText(text))
	}
	return path, nil
}

// cutComment cuts off what servers say after the path in a 257 reply.
func cutComment(text string) (path string, ok bool) {
	i := strings.LastIndex(text, " is ")
	if i < 0 {
		return strings.CutSuffix(strings.TrimSuffix(text, "."), " created")
	}
	for word := range strings.FieldsSeq(text[i+len(" is "):]) {
		switch strings.ToLower(strings.Trim(word, ".")) {
		case "the", "your", "current", "working":
			ok = false
		case "directory", "dir", "folder", "location", "cwd":
			ok = true
		default:
			return "", false
		}
	}
	return text[:i], ok
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
