package dtp

import (
	"errors"
	"io"
	"net"

	"miniftp/ftp"
)

// framing sends and receives the bytes of a file in the form of a transfer mode (RFC 959 §3.4). Its
// errors are of the kinds that the function failed returns. To add a mode, add a case to frame.
type framing interface {
	// write takes the next bytes of the file, and may hold them back until flush.
	write(data []byte) error
	flush() error
	// end marks the end of the file and sends everything that was held back.
	end() error
	// read returns the next bytes of the file, which are valid until the next call. It returns io.EOF with the last
	// bytes or after them.
	read() ([]byte, error)
	// release releases memory. It sends nothing.
	release()
}

// frame returns the framing of the Job's transfer mode.
func (p *pump) frame(conn *Conn) framing {
	switch p.job.Mode {
	case ftp.Block:
		return newBlocks(p, conn)
	case ftp.Deflate:
		return &deflated{p: p}
	}
	return &stream{p: p}
}

// stream is stream mode: the bytes of the file and nothing else. The file ends where the connection
// does (RFC 959 §3.4.1).
type stream struct {
	p  *pump
	in *[]byte // to read into
}

func (s *stream) write(data []byte) error { return s.p.write(data, s.p.count) }

func (s *stream) flush() error { return nil }
func (s *stream) end() error   { return nil }

func (s *stream) read() ([]byte, error) {
	if s.in == nil {
		s.in = buffers.Get().(*[]byte)
	}
	n, err := s.p.read(*s.in)
	s.p.count(int64(n))
	return (*s.in)[:n], err
}

func (s *stream) release() {
	if s.in != nil {
		buffers.Put(s.in)
		s.in = nil
	}
}

// errMarked is returned for a block that the sender marks as suspect (RFC 959 §3.4.2).
var errMarked = errors.New("the sender marks a part of the file as damaged")

// ErrExpands is returned when compressed data expands more than any ordinary file does.
var ErrExpands = errors.New("the compressed data expands too much: use stream mode for this file")

// cutShort turns the end of the connection into an error, for modes in which the file has an end
// of its own.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return &BrokenError{io.ErrUnexpectedEOF}
	}
	return err
}

// netError returns a failed read or write on the data connection as an error of failed's kinds.
func netError(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return failed(&net.OpError{Op: op, Err: err})
}
