package ftp

import (
	"fmt"
	"strings"
)

// Quote257 returns path as a 257 reply contains it: in double quotes, with the
// quotes inside it doubled (RFC 959 appendix II).
func Quote257(path string) string {
	return `"` + strings.ReplaceAll(path, `"`, `""`) + `"`
}

// Parse257 returns the path in the text of a 257 reply. Some servers send it without
// quotes. The path is then the only word of the text, or what precedes " is the current
// directory" or " created". The error is ErrSyntax if there is no path or no closing
// quote, or if the path contains a CR, LF or NUL.
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

// unquoted257 implements Parse257 for a text without quotes, "/ is the current directory".
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

// cutComment removes the words that servers write after the path in a 257 reply.
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

// hasLineBreak reports whether s contains a CR, LF or NUL, which no line can hold.
func hasLineBreak(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return true
		}
	}
	return false
}
