package ftp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Code is a reply code (RFC 959 §4.2). Its first digit is its Class.
type Code int

// Class is what a reply means for the command, whatever its text.
type Class uint8

// The five classes (RFC 959 §4.2).
const (
	Preliminary   Class = 1 // more will follow
	Completion    Class = 2 // done
	Intermediate  Class = 3 // send the rest
	TransientFail Class = 4 // not now
	PermanentFail Class = 5 // no
)

// Class is the code's first digit.
func (c Code) Class() Class { return Class(c / 100 % 10) }

// Reply is what the server answers: a code and one or more lines of text
// (RFC 959 §4.2). Lines[0] stands beside the code; of a reply with several
// lines the last stands beside the code again.
type Reply struct {
	Code  Code
	Lines []string
}

// NewReply makes a reply of the given lines.
func NewReply(code Code, lines ...string) Reply { return Reply{Code: code, Lines: lines} }

// Replyf makes a reply of one line.
func Replyf(code Code, format string, args ...any) Reply {
	return Reply{Code: code, Lines: []string{fmt.Sprintf(format, args...)}}
}

// Text is the lines joined by line feeds, without codes.
func (r Reply) Text() string { return strings.Join(r.Lines, "\n") }

// Last is the last line: where a long reply says how it ended.
func (r Reply) Last() string {
	if len(r.Lines) == 0 {
		return ""
	}
	return r.Lines[len(r.Lines)-1]
}

// String is the reply in one line, for people: code and first line. Control
// characters are shown as '?'.
func (r Reply) String() string {
	text := ""
	if len(r.Lines) > 0 {
		text = r.Lines[0]
	}
	if len(r.Lines) > 1 && text == "" {
		text = r.Last()
	}
	return strings.TrimRight(fmt.Sprintf("%03d %s", int(r.Code), Printable(text)), " ")
}

// Printable is s without control characters, fit for a terminal or a log. Those
// that end a line or turn the direction of writing, and so make a text look like
// another one, are among them.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c < ' ', c == 0x7f, c >= 0x80 && c < 0xa0,
			c == 0x061c, c == 0x200e, c == 0x200f, c >= 0x2028 && c <= 0x202e, c >= 0x2066 && c <= 0x2069, c == 0xfeff:
			return '?'
		}
		return c
	}, s)
}

// Append adds the reply's bytes to b, the last CRLF included. Control
// characters that would break the lines become '_'; an inner line that starts
// with a digit is set off by a space, so that no reader takes it for the end.
func (r Reply) Append(b []byte) []byte {
	if len(r.Lines) == 0 {
		b = appendCode(b, r.Code)
		return append(b, " \r\n"...)
	}
	last := len(r.Lines) - 1
	for i, line := range r.Lines {
		switch {
		case i == last:
			b = append(appendCode(b, r.Code), ' ')
		case i == 0:
			b = append(appendCode(b, r.Code), '-')
		case line != "" && line[0] >= '0' && line[0] <= '9':
			b = append(b, ' ')
		}
		start := len(b)
		b = appendTelnet(b, line)
		for j := start; j < len(b); j++ {
			if b[j] == '\r' || b[j] == '\n' || b[j] == 0 {
				b[j] = '_'
			}
		}
		b = append(b, '\r', '\n')
	}
	return b
}

func appendCode(b []byte, c Code) []byte {
	return append(b, '0'+byte(c/100%10), '0'+byte(c/10%10), '0'+byte(c%10))
}

// Bounds on what a peer may send as one reply.
const (
	MaxReplyLines = 4096
	MaxReplyBytes = 1 << 20
)

// ErrReplyTooLong is a reply beyond MaxReplyLines or MaxReplyBytes.
var ErrReplyTooLong = errors.New("the reply is too long")

// ReadReply reads one reply. A reply of several lines ends at a line with the
// first line's code and a space, or nothing, behind it; whatever stands between,
// digits included, is text (RFC 959 §4.2).
func ReadReply(lr *LineReader) (Reply, error) {
	line, err := lr.ReadLine()
	if err != nil {
		return Reply{}, err
	}
	code, more, text, ok := splitReply(line)
	if !ok {
		return Reply{}, fmt.Errorf("%w: %q is not a reply", ErrSyntax, clip(line))
	}
	r := Reply{Code: code, Lines: []string{text}}
	for size := len(text); more; {
		line, err := lr.ReadLine()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return r, err
		}
		size += len(line) + 1
		if len(r.Lines) == MaxReplyLines || size > MaxReplyBytes {
			return r, ErrReplyTooLong
		}
		if c, inner, text, ok := splitReply(line); ok && c == code && !inner {
			r.Lines = append(r.Lines, text)
			break
		}
		r.Lines = append(r.Lines, string(line))
	}
	return r, nil
}

// splitReply takes "250-text", "250 text" or a bare "250" apart.
func splitReply(line []byte) (code Code, more bool, text string, ok bool) {
	if len(line) < 3 {
		return 0, false, "", false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, "", false
		}
	}
	n, err := strconv.Atoi(string(line[:3]))
	if err != nil || n < 100 || n >= 700 {
		return 0, false, "", false
	}
	switch {
	case len(line) == 3:
	case line[3] == ' ', line[3] == '-':
		text = string(line[4:])
	default:
		return 0, false, "", false
	}
	return Code(n), len(line) > 3 && line[3] == '-', text, true
}

func clip(line []byte) []byte { return line[:min(len(line), 80)] }

// Error is a reply that said no. It unwraps to nothing, but errors.Is maps it
// to fs.ErrNotExist, fs.ErrExist and fs.ErrPermission where the reply says so.
type Error struct {
	Verb string // the command that was refused; "" for a greeting
	Reply
}

// Error quotes the reply.
func (e *Error) Error() string { return "the server says " + e.Reply.String() }

// Temporary reports whether the same command may work later (a 4xx reply).
func (e *Error) Temporary() bool { return e.Code.Class() == TransientFail }
