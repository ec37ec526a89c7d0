package callout

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"miniftp/ftp"
)

// Head keeps the first Max bytes that are written to it, and discards the rest.
type Head struct {
	Max  int
	Full func() // if not nil, it is called when something is discarded, perhaps more than once

	b   []byte
	cut bool
}

// Write implements io.Writer. It returns no error.
func (h *Head) Write(p []byte) (int, error) {
	keep := min(len(p), h.Max-len(h.b))
	h.b = append(h.b, p[:keep]...)
	if keep < len(p) {
		h.cut = true
		if h.Full != nil {
			h.Full()
		}
	}
	return len(p), nil
}

// Bytes returns what is kept.
func (h *Head) Bytes() []byte { return h.b }

// Cut reports whether something was discarded.
func (h *Head) Cut() bool { return h.cut }

// Tail keeps the last Max bytes that are written to it.
type Tail struct {
	Max int

	b   []byte
	cut bool // something is missing before b
}

// Write implements io.Writer. It returns no error.
func (t *Tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-t.Max):]...)
	if more := len(t.b) - t.Max; more > 0 || len(p) > t.Max {
		t.b = append(t.b[:0], t.b[max(more, 0):]...)
		t.cut = true
	}
	return len(p), nil
}

// LastLine returns the last line, which in most languages is the error, or "" if the beginning of that line is missing.
func (t *Tail) LastLine() string {
	text := bytes.TrimSpace(t.b)
	i := bytes.LastIndexAny(text, "\r\n")
	if i < 0 && t.cut {
		return ""
	}
	return string(text[i+1:])
}

// maxText limits what is shown of what others say, in bytes.
const maxText = 200

// Clean returns text on one line, short and without control characters.
func Clean(s string) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "?")
	if len(s) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	return ftp.Printable(s)
}

// FirstLine returns Clean of the first line of s that is not blank.
func FirstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return Clean(s)
}
