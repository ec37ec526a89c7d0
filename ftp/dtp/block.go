package dtp

import (
	"encoding/binary"
	"errors"
	"io"
	"strconv"

	"miniftp/ftp"
)

// Descriptors of a block (RFC 959 §3.4.2).
const (
	endOfFile = 64
	suspect   = 32
	marker    = 16

	blockHead  = 3         // bytes of a header: the descriptor, and the length in two bytes
	blockMost  = 1<<16 - 1 // bytes in a block
	markEvery  = 16 << 20  // bytes of a file between two restart markers
	markerMost = 64        // bytes of a marker that a peer may send
	aheadMost  = 16 << 10  // bytes read beyond the current block; an idle session may have to hold them
)

// blocks is MODE B. A file is a sequence of blocks, the last of which is marked as such, so the data
// connection stays open for the next file, and restart markers can be inserted. Bytes that
// were read and belong to the next file stay with the Conn (unread).
type blocks struct {
	p    *pump
	conn *Conn

	out    *[]byte
	n      int   // bytes in out
	last   int   // position of the last header in out; -1: there is none
	held   int64 // bytes of the file in out
	marked int64 // bytes of the file since the last marker
	sent   int64 // bytes of the file before out

	left  int  // bytes of the current block that are not read yet
	kind  byte // its descriptor
	ended bool // it is the last block of the file
}

// unread holds bytes that were read from a data connection beyond the end of a file.
type unread struct {
	buf      *[]byte
	from, to int
}

func newBlocks(p *pump, conn *Conn) *blocks { return &blocks{p: p, conn: conn, last: -1} }

func (b *blocks) write(data []byte) error {
	for len(data) > 0 {
		if b.out == nil {
			b.out = buffers.Get().(*[]byte)
		}
		if b.p.job.Marks && b.marked >= markEvery {
			if err := b.mark(); err != nil {
				return err
			}
		}
		room := min(len(*b.out)-b.n-blockHead, blockMost)
		if room <= 0 {
			if err := b.flush(); err != nil {
				return err
			}
			continue
		}
		some := data[:min(len(data), room)]
		b.append(0, some)
		b.held += int64(len(some))
		b.marked += int64(len(some))
		data = data[len(some):]
	}
	return nil
}

func (b *blocks) append(descriptor byte, content []byte) {
	buf := *b.out
	b.last = b.n
	buf[b.n] = descriptor
	binary.BigEndian.PutUint16(buf[b.n+1:], uint16(len(content)))
	b.n += blockHead + copy(buf[b.n+blockHead:], content)
}

// mark inserts a restart marker: the position in the file, as REST takes it (RFC 959 §3.5).
func (b *blocks) mark() error {
	at := strconv.AppendInt(nil, b.p.job.Offset+b.sent+b.held, 10)
	if b.n+blockHead+len(at) > len(*b.out) {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.append(marker, at)
	b.marked = 0
	return nil
}

func (b *blocks) flush() error {
	if b.n == 0 {
		return nil
	}
	data := (*b.out)[:b.n]
	b.n, b.last = 0, -1
	if err := b.p.write(data, nil); err != nil {
		return err
	}
	b.sent += b.held
	b.p.count(b.held)
	b.held = 0
	return nil
}

// end marks the last block that is still held back, or sends an empty one.
func (b *blocks) end() error {
	if b.last >= 0 && (*b.out)[b.last] == 0 {
		(*b.out)[b.last] = endOfFile
		return b.flush()
	}
	if b.out == nil {
		b.out = buffers.Get().(*[]byte)
	} else if b.n+blockHead > len(*b.out) {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.append(endOfFile, nil)
	return b.flush()
}

func (b *blocks) release() {
	if b.out != nil {
		buffers.Put(b.out)
		b.out = nil
	}
	b.conn.ahead.release()
}

func (b *blocks) read() ([]byte, error) {
	for {
		switch {
		case b.left > 0 && b.kind&marker != 0:
			if err := b.readMarker(); err != nil {
				return nil, err
			}
		case b.left > 0:
			if b.kind&suspect != 0 {
				return nil, &BrokenError{errMarked}
			}
			data, err := b.more(1)
			if err != nil {
				return nil, err
			}
			data = data[:min(len(data), b.left)]
			b.left -= len(data)
			b.conn.ahead.from += len(data)
			b.p.count(int64(len(data)))
			if b.left == 0 && b.ended {
				return data, io.EOF
			}
			return data, nil
		case b.ended:
			return nil, io.EOF
		default:
			head, err := b.more(blockHead)
			if err != nil {
				return nil, err
			}
			b.kind, b.left = head[0], int(binary.BigEndian.Uint16(head[1:]))
			b.ended = b.kind&endOfFile != 0
			b.conn.ahead.from += blockHead
		}
	}
}

// errMarker is returned for a restart marker that is too long.
var errMarker = errors.New("a restart marker is too long")

func (b *blocks) readMarker() error {
	if b.left > markerMost {
		return &BrokenError{errMarker}
	}
	text, err := b.more(b.left)
	if err != nil {
		return err
	}
	if b.p.job.Marker != nil {
		b.p.job.Marker(string(text[:b.left]))
	}
	b.conn.ahead.from += b.left
	b.left = 0
	return nil
}

// more returns the bytes that were read ahead, at least n of them. It reads if there are fewer.
func (b *blocks) more(n int) ([]byte, error) {
	u := &b.conn.ahead
	u.grow()
	for u.to-u.from < n {
		if u.from > 0 {
			u.to = copy(*u.buf, (*u.buf)[u.from:u.to])
			u.from = 0
		}
		most := min(max(n, b.left)+aheadMost-(u.to-u.from), len(*u.buf)-u.to)
		got, err := b.p.read((*u.buf)[u.to : u.to+most])
		u.to += got
		if err != nil && u.to-u.from < n {
			return nil, cutShort(err)
		}
	}
	return (*u.buf)[u.from:u.to], nil
}

// grow provides a full buffer, also after shrink.
func (u *unread) grow() {
	if u.buf != nil && len(*u.buf) == smallLen {
		return
	}
	old := *u
	*u = unread{buf: smallBuffers.Get().(*[]byte)}
	if old.buf != nil {
		u.to = copy(*u.buf, (*old.buf)[old.from:old.to])
	}
}

// shrink moves the bytes to a slice of their size, since nothing will be read for a while.
func (u *unread) shrink() {
	if u.buf == nil || len(*u.buf) != smallLen {
		return
	}
	left := append([]byte(nil), (*u.buf)[u.from:u.to]...)
	smallBuffers.Put(u.buf)
	*u = unread{buf: &left, to: len(left)}
}

// release releases the memory if it holds no bytes.
func (u *unread) release() {
	if u.buf == nil || u.from < u.to {
		return
	}
	if len(*u.buf) == smallLen {
		smallBuffers.Put(u.buf)
	}
	*u = unread{}
}

// drop discards the bytes and releases the memory.
func (u *unread) drop() {
	u.from = u.to
	u.release()
}

// keeps reports whether the Job leaves the data connection open.
func keeps(j *Job) bool { return j.Mode == ftp.Block }
