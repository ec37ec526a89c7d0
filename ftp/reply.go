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

// Class is the first digit of a reply code. It shows whether the command succeeded.
type Class uint8

// The five classes (RFC 959 §4.2).
const (
	Preliminary   Class = 1 // the command has begun; another reply will follow
	Completion    Class = 2 // the command succeeded
	Intermediate  Class = 3 // the command was accepted; the next command must complete it
	TransientFail Class = 4 // the command failed and may succeed later
	PermanentFail Class = 5 // the command failed
)

// Class returns the first digit of the code.
func (c Code) Class() Class { return Class(c / 100 % 10) }

// Reply is a server's reply to a command: a code and one or more lines of text
// (RFC 959 §4.2). On the wire the code precedes the first line and, in a reply
// of several lines, also the last. Lines does not contain it.
type Reply struct {
	Code  Code
	Lines []string
}

// NewReply returns a reply with the given lines.
func NewReply(code Code, lines ...string) Reply { return Reply{Code: code, Lines: lines} }

// Replyf returns a reply of one formatted line.
func Replyf(code Code, format string, args ...any) Reply {
	return Reply{Code: code, Lines: []string{fmt.Sprintf(format, args...)}}
}

// Text returns the lines joined by line feeds, without codes.
func (r Reply) Text() string { return strings.Join(r.Lines, "\n") }

// Last returns the last line, or "" if there is none. In a long reply it shows the outcome.
func (r Reply) Last() string {
	if len(r.Lines) == 0 {
		return ""
	}
	return r.Lines[len(r.Lines)-1]
}

// String returns the code and the first line, for people to read. If the first
// line is empty, the last one is shown. Control characters are replaced by '?'.
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

// Printable returns s for a terminal or a log, with control characters replaced by
// '?'. Unicode's line separators and marks of writing direction, which can make a
// text look like another one, are replaced too.
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

// Append appends the reply to b, including the last CRLF. CR, LF and NUL in the
// text become '_'. A line in the middle that starts with a digit is indented by a
// space, so that no client mistakes it for the last line.
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

// The limits for a reply that ReadReply accepts.
const (
	MaxReplyLines = 4096
	MaxReplyBytes = 1 << 20
)

// ErrReplyTooLong is returned for a reply that exceeds MaxReplyLines or MaxReplyBytes.
var ErrReplyTooLong = errors.New("the reply is too long")

// ReadReply reads one reply. A reply of several lines ends with a line that begins
// with the code of the first line, followed by a space or by nothing. All lines
// between are text, even if they begin with digits (RFC 959 §4.2).
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

// splitReply parses "250-text", "250 text" or "250". more reports whether a hyphen
// follows the code.
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

// Error is returned when the server refused a command. It wraps no other error,
// but errors.Is matches it with fs.ErrNotExist, fs.ErrExist or fs.ErrPermission if
// the reply means that; see Is.
type Error struct {
	Verb string // of the refused command; "" for a greeting
	Reply
}

// Error returns a message that quotes the reply.
func (e *Error) Error() string { return "the server says " + e.Reply.String() }

// Temporary reports whether the command may succeed later, which a 4xx code means.
func (e *Error) Temporary() bool { return e.Code.Class() == TransientFail }
