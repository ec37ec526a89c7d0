package dtp

import (
	"errors"
	"io"
	"net"
	"os"
)

// wire is the TCP connection below TLS. Above TLS only whole records are visible. Below it, each byte that moves
// extends the deadline, and it is known whether the connection ended with a FIN.
type wire struct {
	net.Conn
	extend func() error // sets the next deadline (pump.extend); nil: the deadline is not changed
	ended  bool         // the peer's FIN was read
	out    *[]byte      // records that wait for flush; nil: each is written at once
	n      int          // bytes in out
}

func (w *wire) Read(b []byte) (int, error) {
	if w.extend != nil {
		if err := w.extend(); err != nil {
			return 0, err
		}
	}
	n, err := w.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		w.ended = true
	}
	return n, err
}

// Write writes a record, or holds it back if gather was called: package tls writes 16 KiB at a time.
func (w *wire) Write(b []byte) (int, error) {
	if w.out == nil {
		return w.send(b)
	}
	if w.n+len(b) > len(*w.out) {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > len(*w.out) {
		return w.send(b)
	}
	w.n += copy((*w.out)[w.n:], b)
	return len(b), nil
}

// gather holds records back from now on, to write many of them at once.
func (w *wire) gather() {
	if w.out == nil {
		w.out = buffers.Get().(*[]byte)
	}
}

func (w *wire) flush() error {
	if w.n == 0 {
		return nil
	}
	b := (*w.out)[:w.n]
	w.n = 0
	_, err := w.send(b)
	return err
}

// release releases the memory. Records that were not flushed are lost.
func (w *wire) release() {
	if w.out != nil {
		buffers.Put(w.out)
		w.out, w.n = nil, 0
	}
}

// send writes all of b. A write that has sent something before its deadline is continued.
func (w *wire) send(b []byte) (sent int, err error) {
	for sent < len(b) {
		if w.extend != nil {
			if err = w.extend(); err != nil {
				return sent, err
			}
		}
		n, err := w.Conn.Write(b[sent:])
		sent += n
		if err != nil && (n == 0 || w.extend == nil || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return sent, err
		}
	}
	return sent, nil
}
