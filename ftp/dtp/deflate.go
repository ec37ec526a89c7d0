package dtp

import (
	"bufio"
	"compress/zlib"
	"errors"
	"io"
	"sync"
)

// MODE Z (draft-preston-ftpext-deflate-04) is stream mode with a zlib stream in place of the file.

// Limits on expansion, against small inputs that expand without end: more than maxEasy bytes may be at most
// maxGrowth times as many as were received. Text expands about ten times.
const (
	maxEasy   = 16 << 20
	maxGrowth = 200

	inflateLen = 32 << 10 // bytes read at a time
)

// deflated is MODE Z for one file.
type deflated struct {
	p        *pump
	out      *zlib.Writer  // the compressor
	src      *bufio.Reader // the compressed bytes, from the data connection
	in       io.ReadCloser // the decompressor, which reads src
	buf      *[]byte       // what it has decompressed
	received int64         // compressed bytes
	expanded int64         // bytes that they expanded to
}

// compressors are reused, by level: one takes most of a megabyte.
var compressors [10]sync.Pool

// level returns the compression level, 1 to 9.
func (d *deflated) level() int {
	if l := d.p.job.Level; l >= 1 && l <= 9 {
		return l
	}
	return 6
}

// toWire is the writer of a compressor.
type toWire struct{ p *pump }

func (w toWire) Write(b []byte) (int, error) {
	if err := w.p.write(b, nil); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (d *deflated) start() error {
	if d.out != nil {
		return nil
	}
	if w, ok := compressors[d.level()].Get().(*zlib.Writer); ok {
		d.out = w
		w.Reset(toWire{d.p})
		return nil
	}
	w, err := zlib.NewWriterLevel(toWire{d.p}, d.level())
	d.out = w
	return err
}

func (d *deflated) write(data []byte) error {
	err := d.start()
	if err == nil {
		_, err = d.out.Write(data)
	}
	if err == nil {
		d.p.count(int64(len(data)))
	}
	return err
}

func (d *deflated) flush() error {
	if d.out == nil {
		return nil
	}
	return d.out.Flush()
}

func (d *deflated) end() error {
	if err := d.start(); err != nil {
		return err
	}
	return d.out.Close()
}

func (d *deflated) release() {
	if d.out != nil {
		d.out.Reset(io.Discard)
		compressors[d.level()].Put(d.out)
		d.out = nil
	}
	if d.buf != nil {
		buffers.Put(d.buf)
		d.buf = nil
	}
}

// Read makes deflated the reader of a decompressor.
func (d *deflated) Read(b []byte) (int, error) {
	n, err := d.p.read(b)
	d.received += int64(n)
	return n, err
}

func (d *deflated) read() ([]byte, error) {
	if d.in == nil {
		d.src = bufio.NewReaderSize(d, inflateLen)
		if _, err := d.src.Peek(1); errors.Is(err, io.EOF) {
			return nil, io.EOF // some peers send an empty file as nothing at all
		}
		in, err := zlib.NewReader(d.src)
		if err != nil {
			return nil, notZlib(err)
		}
		d.in, d.buf = in, buffers.Get().(*[]byte)
	}
	n, err := d.in.Read(*d.buf)
	d.expanded += int64(n)
	d.p.count(int64(n))
	switch {
	case d.expanded > maxEasy && d.expanded/maxGrowth > d.received:
		return nil, &BrokenError{ErrExpands}
	case errors.Is(err, io.EOF):
		err = d.afterEnd()
	case err != nil:
		err = notZlib(err)
	}
	return (*d.buf)[:n], err
}

// errAfterEnd is returned if bytes follow the end of the compressed file.
var errAfterEnd = errors.New("there is more after the end of the compressed file")

// afterEnd waits for the end of the connection. Closing with bytes unread would send a reset.
func (d *deflated) afterEnd() error {
	_, err := d.src.ReadByte()
	if err == nil {
		return &BrokenError{errAfterEnd}
	}
	return err
}

// notZlib returns an error of the decompressor as one of failed's kinds.
func notZlib(err error) error {
	var broken *BrokenError
	var local *LocalError
	switch {
	case errors.As(err, &broken), errors.As(err, &local), errors.Is(err, ErrStalled):
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &BrokenError{err}
}
