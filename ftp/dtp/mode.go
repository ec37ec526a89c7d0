package dtp

import (
	"errors"
	"io"
	"net"

	"miniftp/ftp"
)

// framing lays the bytes of a file on the data connection as the transfer mode has
// it (RFC 959 §3.4). Failures of the connection are errors of failed's kinds. A new
// mode is one more case in frame.
type framing interface {
	// write takes the next bytes of the file; flush sends what was taken.
	write(data []byte) error
	flush() error
	// end says that the file is whole, and sends all that is left.
	end() error
	// read is the next bytes of the file; io.EOF with or behind the last ones.
	read(b []byte) (int, error)
	// release gives memory back. Nothing is sent.
	release()
}

// frame is the framing of the Job's transfer mode.
func (p *pump) frame(conn *Conn) framing {
	switch p.job.Mode {
	case ftp.Block:
		return newBlocks(p, conn)
	case ftp.Deflate:
		return &deflated{p: p}
	}
	return stream{p}
}

// stream has nothing between the bytes: the file ends where the connection does
// (RFC 959 §3.4.1).
type stream struct{ p *pump }

func (s stream) write(data []byte) error { return s.p.write(data, s.p.count) }

func (s stream) flush() error { return nil }
func (s stream) end() error   { return nil }
func (s stream) release()     {}

func (s stream) read(b []byte) (int, error) {
	n, err := s.p.read(b)
	s.p.count(int64(n))
	return n, err
}

// errMarked is a sender that has doubts about what it sends (RFC 959 §3.4.2).
var errMarked = errors.New("the sender marks a part of the file as damaged")

// ErrExpands is a file whose compressed form grew beyond what a sane one does.
var ErrExpands = errors.New("the compressed data grows beyond all measure: stream mode takes it as it is")

// cutShort is the end of a connection before the end of a file that says its own.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return &BrokenError{io.ErrUnexpectedEOF}
	}
	return err
}

// netError is a failure of a read or write on the data connection.
func netError(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return failed(&net.OpError{Op: op, Err: err})
}
