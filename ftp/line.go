package ftp

import (
	"bytes"
	"errors"
	"io"
)

// Telnet bytes that a control connection may carry (RFC 854, RFC 959 §4.1.3).
const (
	iac  = 0xff // interpret as command
	dont = 0xfe
	will = 0xfb
	sb   = 0xfa // subnegotiation, until IAC SE
	se   = 0xf0
)

// ErrLineTooLong is a line beyond the LineReader's limit. The stream is not
// usable behind it.
var ErrLineTooLong = errors.New("the line is too long")

// LineReader frames the lines of a control connection. Lines end in CRLF, in CR CR
// LF or in a bare LF; Telnet commands (IAC …, the Synch before an ABOR) are taken out and
// a doubled IAC becomes one. A line never takes more memory than the limit, and
// an idle reader holds only a few hundred bytes.
//
// A stream that begins with a TLS handshake is ErrTLS at once.
//
// An error of the underlying reader, a timeout among them, loses nothing:
// ReadLine goes on where it stopped.
type LineReader struct {
	r     io.Reader
	limit int
	buf   []byte // what came: buf[start:end] is not yet read
	start int
	end   int
	scan  int    // buf[start:scan] holds no LF
	skip  telnet // inside a Telnet command
	begun bool   // a line was read
	line  []byte
}

// ErrTLS is a TLS handshake where the first line should begin. It may hold no LF to
// wait for.
var ErrTLS = errors.New("a TLS handshake instead of a line")

const tlsHandshake = 0x16

type telnet uint8

const (
	noTelnet telnet = iota
	sawIAC
	sawOption // IAC WILL/WONT/DO/DONT: one byte to come
	inSub
	inSubIAC
)

const idleLineBuffer = 512

// NewLineReader reads lines of at most limit bytes from r.
func NewLineReader(r io.Reader, limit int) *LineReader {
	return &LineReader{r: r, limit: limit}
}

// ReadLine returns the next line without its end. The slice is valid until the
// next call. At the end of the stream an unfinished line is dropped.
func (l *LineReader) ReadLine() ([]byte, error) {
	for {
		if !l.begun && l.end > l.start && l.buf[l.start] == tlsHandshake {
			return nil, ErrTLS
		}
		if i := bytes.IndexByte(l.buf[l.scan:l.end], '\n'); i >= 0 {
			at := l.scan + i
			line := l.buf[l.start:at]
			l.begun = true
			l.start, l.scan = at+1, at+1
			if len(line) > l.limit {
				return nil, ErrLineTooLong
			}
			return l.clean(line), nil
		}
		l.scan = l.end
		if l.end-l.start > l.limit {
			return nil, ErrLineTooLong
		}
		l.makeRoom()
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// Pending reports whether a whole line is here already, so that reading it
// would not wait.
func (l *LineReader) Pending() bool {
	return bytes.IndexByte(l.buf[l.scan:l.end], '\n') >= 0
}

// Buffered is the number of bytes that came and were not yet read as lines.
func (l *LineReader) Buffered() int { return l.end - l.start }

// GiveBack gives the buffer back if nothing in it is unread; the next ReadLine takes a new one.
func (l *LineReader) GiveBack() {
	if l.start == l.end {
		l.buf, l.start, l.end, l.scan = nil, 0, 0, 0
	}
}

// makeRoom leaves at least one byte to read into: it moves what is left to the
// front, grows towards the limit, and gives a large buffer back when empty.
func (l *LineReader) makeRoom() {
	switch {
	case l.start == l.end && len(l.buf) != idleLineBuffer:
		l.buf = make([]byte, idleLineBuffer)
	case l.start > 0:
		copy(l.buf, l.buf[l.start:l.end])
	case l.end == len(l.buf):
		grown := make([]byte, min(2*len(l.buf), l.limit+idleLineBuffer))
		copy(grown, l.buf[:l.end])
		l.buf = grown
	}
	l.end -= l.start
	l.scan -= l.start
	l.start = 0
}

// clean strips the CR of a CRLF and Telnet's commands. Most lines hold no Telnet
// command and are returned as they are. Some devices end a line in CR CR LF: no
// name can end in a CR, so all of them belong to the end.
func (l *LineReader) clean(line []byte) []byte {
	line = bytes.TrimRight(line, "\r")
	if l.skip == noTelnet && bytes.IndexByte(line, iac) < 0 {
		return line
	}
	l.line = line[:0] // in place: what is kept is never longer
	for _, c := range line {
		l.telnetByte(c)
	}
	line, l.line = l.line, nil
	if l.skip != inSub && l.skip != inSubIAC {
		l.skip = noTelnet
	}
	return line
}

func (l *LineReader) telnetByte(c byte) {
	switch l.skip {
	case noTelnet:
		if c == iac {
			l.skip = sawIAC
			return
		}
		l.line = append(l.line, c)
	case sawIAC:
		l.skip = noTelnet
		switch {
		case c == iac:
			l.line = append(l.line, iac)
		case c == sb:
			l.skip = inSub
		case c >= will && c <= dont:
			l.skip = sawOption
		case c < se: // the Synch's Data Mark went by as urgent data
			l.line = append(l.line, c)
		}
	case sawOption:
		l.skip = noTelnet
	case inSub:
		if c == iac {
			l.skip = inSubIAC
		}
	case inSubIAC:
		l.skip = inSub
		if c == se {
			l.skip = noTelnet
		}
	}
}
