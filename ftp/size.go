package ftp

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseOffset parses the number of bytes in REST, ALLO, RANG or the reply to
// SIZE: decimal digits only, from 0 to the largest int64 (RFC 3659 §4, §5).
func ParseOffset(s string) (int64, error) {
	if s != "" && isDigit(s[0]) { // ParseInt would accept a sign
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: %q is not a number of bytes", ErrSyntax, clipText(s))
}

// SizeHint returns the size in the text of a 150 reply, "… (1234 bytes)". Many
// servers write it, but no RFC defines it, so it may be wrong. The last match in
// the text is used, because the name of the file may contain another.
func SizeHint(text string) (int64, bool) {
	for {
		i := strings.LastIndexByte(text, '(')
		if i < 0 {
			return 0, false
		}
		if n, ok := sizeInWords(text[i+1:]); ok {
			return n, true
		}
		text = text[:i]
	}
}

func sizeInWords(s string) (int64, bool) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	const unit = " byte"
	if len(s) < n+len(unit) || !strings.EqualFold(s[n:n+len(unit)], unit) {
		return 0, false
	}
	size, err := ParseOffset(s[:n])
	return size, err == nil
}
