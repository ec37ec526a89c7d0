package dtp

import (
	"bufio"
	"compress/zlib"
	"errors"
	"io"
	"sync"
)

// MODE Z (draft-preston-ftpext-deflate-04) is stream mode with a zlib stream in the
// place of the file.

// Bounds on what compressed bytes may become: beyond the first maxEasy bytes, so
// many times as came. Text becomes some ten times as much.
const (
	maxEasy   = 16 << 20
	maxGrowth = 200

	inflateLen = 32 << 10 // bytes that are read at a time
)

// deflated is MODE Z for one file.
type deflated struct {
	p        *pump
	out      *zlib.Writer
	wire     *bufio.Reader
	in       io.ReadCloser
	came, is int64 // bytes that were read, and what became of them
}

// compressors are those of each level: one takes most of a megabyte.
var compressors [10]sync.Pool

// level is how hard to try: 0 is zlib's own choice, else 1 to 9.
func (d *deflated) level() int {
	if l := d.p.job.Level; l >= 1 && l <= 9 {
		return l
	}
	return 6
}

// toWire is what a compressor writes to.
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
}

// Read is what a decompressor reads from.
func (d *deflated) Read(b []byte) (int, error) {
	n, err := d.p.read(b)
	d.came += int64(n)
	return n, err
}

func (d *deflated) read(b []byte) (int, error) {
	if d.in == nil {
		d.wire = bufio.NewReaderSize(d, inflateLen)
		if _, err := d.wire.Peek(1); errors.Is(err, io.EOF) {
			return 0, io.EOF // nothing at all: there are peers that send an empty file so
		}
		in, err := zlib.NewReader(d.wire)
		if err != nil {
			return 0, notZlib(err)
		}
		d.in = in
	}
	n, err := d.in.Read(b)
	d.is += int64(n)
	d.p.count(int64(n))
	switch {
	case d.is > maxEasy && d.is/maxGrowth > d.came:
		return 0, &BrokenError{ErrExpands}
	case errors.Is(err, io.EOF):
		return n, d.behind()
	case err != nil:
		return n, notZlib(err)
	}
	return n, nil
}

// errBehind is a peer whose compressed file has something behind its end.
var errBehind = errors.New("there is more behind the end of the compressed file")

// behind waits for the end of the connection, which is the file's: a close with
// something unread would be a reset.
func (d *deflated) behind() error {
	_, err := d.wire.ReadByte()
	if err == nil {
		return &BrokenError{errBehind}
	}
	return err
}

// notZlib is what is wrong with the compressed bytes, or with the connection.
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
