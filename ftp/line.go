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

// ErrLineTooLong is returned for a line that exceeds the LineReader's limit. The
// rest of the stream cannot be read.
var ErrLineTooLong = errors.New("the line is too long")

// LineReader reads the lines of a control connection. Lines end in CRLF, CR CR LF
// or a bare LF. Telnet commands, such as the Synch before an ABOR, are removed, and
// a doubled IAC becomes one. The reader uses no more memory than the limit for a
// line, and only a few hundred bytes while it waits for one.
//
// If the stream begins with a TLS handshake, ReadLine returns ErrTLS at once.
//
// After an error of the underlying reader, such as a timeout, ReadLine may be
// called again. It continues where it stopped, and no byte is lost.
type LineReader struct {
	r     io.Reader
	limit int
	buf   []byte // buf[start:end] was received and is not yet returned as a line
	start int
	end   int
	scan  int    // buf[start:scan] contains no LF
	skip  telnet // the position inside a Telnet command; it may span lines
	begun bool   // a line was read
	line  []byte // the line that clean assembles
}

// ErrTLS is returned when the stream begins with a TLS handshake instead of a line. A
// handshake need not contain an LF, so waiting for the end of the line could last forever.
var ErrTLS = errors.New("a TLS handshake instead of a line")

const tlsHandshake = 0x16

// telnet is the state of the parser of Telnet commands.
type telnet uint8

const (
	noTelnet  telnet = iota
	sawIAC           // the next byte is the command
	sawOption        // after IAC WILL, WONT, DO or DONT: one byte follows
	inSub            // in a subnegotiation, which IAC SE ends
	inSubIAC         // in a subnegotiation, after an IAC
)

// idleLineBuffer is the size of the buffer while no long line is read.
const idleLineBuffer = 512

// NewLineReader returns a LineReader for lines of at most limit bytes from r.
func NewLineReader(r io.Reader, limit int) *LineReader {
	return &LineReader{r: r, limit: limit}
}

// ReadLine returns the next line without its line ending. The slice is valid
// until the next call. An unfinished line at the end of the stream is discarded.
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

// Pending reports whether a whole line is already buffered, so that ReadLine
// would return without waiting.
func (l *LineReader) Pending() bool {
	return bytes.IndexByte(l.buf[l.scan:l.end], '\n') >= 0
}

// Buffered returns the number of bytes that were received and not yet returned as lines.
func (l *LineReader) Buffered() int { return l.end - l.start }

// GiveBack releases the buffer if it is empty. The next ReadLine allocates a new one.
func (l *LineReader) GiveBack() {
	if l.start == l.end {
		l.buf, l.start, l.end, l.scan = nil, 0, 0, 0
	}
}

// makeRoom makes room for at least one byte. It moves the unread bytes to the
// front of the buffer, or enlarges a full buffer up to the limit. An empty large
// buffer is replaced by a small one.
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

// clean removes the CRs at the end of a line, and Telnet commands. Most lines
// contain no Telnet command and are returned without a copy. Some devices end lines
// in CR CR LF. No name can end in a CR, so all CRs belong to the line ending.
func (l *LineReader) clean(line []byte) []byte {
	line = bytes.TrimRight(line, "\r")
	if l.skip == noTelnet && bytes.IndexByte(line, iac) < 0 {
		return line
	}
	l.line = line[:0] // in place, because removing commands never makes a line longer
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
		case c < se: // not a command: the Data Mark of a Synch was sent as urgent data and is missing here
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
