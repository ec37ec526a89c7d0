package kept

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"miniftp/ftp/dtp"
)

// diskKept holds entries in a temporary file. At first these are runs, each sorted by name; then merge writes them
// all in order to a second file. Each entry is preceded by its length.
type diskKept struct {
	file   *os.File
	size   int64
	runs   []int64 // offset of each run
	n      int     // number of entries
	sparse []int64 // offset of every 16th entry, once they are in order

	window []byte // the part of the file that was read last
	from   int64  // its offset
	next   int    // index of the entry after the one that was read last
	off    int64  // offset of entry next
}

const eachOf = 16 // one in so many entries is in sparse

// newDiskKept creates the file. It removes its name at once if the system allows that, so that the file can't be
// left behind.
func newDiskKept() (*diskKept, error) {
	f, err := os.CreateTemp("", "miniftp-listing-*")
	if err != nil {
		return nil, &dtp.LocalError{Err: fmt.Errorf("the listing does not fit in memory: %w", err)}
	}
	_ = os.Remove(f.Name())
	return &diskKept{file: f}, nil
}

func (d *diskKept) close() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name())
}

// spill writes the entries in memory to the file, as a sorted run.
func (k *List) spill() (err error) {
	if k.disk == nil {
		if k.disk, err = newDiskKept(); err != nil {
			return err
		}
	}
	d := k.disk
	k.sortPages()
	d.runs = append(d.runs, d.size)
	w := bufio.NewWriterSize(d.file, pageSize)
	for _, at := range k.at {
		b := k.pages[at>>16][at&(pageSize-1):]
		if err := d.write(w, b[:packedLen(b)], k.Budget); err != nil {
			return err
		}
	}
	d.n += len(k.at)
	k.release()
	return diskError(w.Flush())
}

// packedLen returns the length of the packed entry at the beginning of b.
func packedLen(b []byte) int {
	rest := b
	const words, numbers = 6, 8
	for range words {
		_, rest = word(rest)
	}
	for range numbers {
		_, size := binary.Varint(rest)
		rest = rest[size:]
	}
	return len(b) - len(rest)
}

func (d *diskKept) write(w *bufio.Writer, b []byte, room *Budget) error {
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(b)))
	_, _ = w.Write(head[:n])
	_, err := w.Write(b)
	d.size += int64(n + len(b))
	if room.Disk -= n + len(b); room.Disk < 0 {
		return ErrTooMany
	}
	return diskError(err)
}

// diskError adds to an error of the file what the file is for.
func diskError(err error) error {
	if err == nil {
		return nil
	}
	return &dtp.LocalError{Err: fmt.Errorf("the temporary file of a long listing: %w", err)}
}

// merge merges the runs into another file, in order.
func (k *List) merge() error {
	if len(k.at) > 0 {
		if err := k.spill(); err != nil {
			return err
		}
	}
	old := k.disk
	sorted, err := newDiskKept()
	if err != nil {
		return err
	}
	defer old.close()
	k.disk = sorted
	runs := make(mergeHeap, 0, len(old.runs))
	for i, from := range old.runs {
		to := old.size
		if i+1 < len(old.runs) {
			to = old.runs[i+1]
		}
		const buffer = 8 << 10
		r := &mergeRun{in: bufio.NewReaderSize(io.NewSectionReader(old.file, from, to-from), buffer)}
		if err := r.read(); err != nil {
			return err
		}
		runs = append(runs, r)
	}
	heap.Init(&runs)
	w := bufio.NewWriterSize(sorted.file, pageSize)
	for len(runs) > 0 {
		if sorted.n%eachOf == 0 {
			sorted.sparse = append(sorted.sparse, sorted.size)
		}
		if err := sorted.write(w, runs[0].entry, k.Budget); err != nil {
			return err
		}
		sorted.n++
		switch err := runs[0].read(); {
		case errors.Is(err, io.EOF):
			heap.Pop(&runs)
		case err != nil:
			return err
		default:
			heap.Fix(&runs, 0)
		}
	}
	k.Budget.Disk += int(old.size)
	return diskError(w.Flush())
}

// mergeRun is a sorted run that is being read.
type mergeRun struct {
	in    *bufio.Reader
	entry []byte
	name  []byte
}

// read reads the next entry. It returns io.EOF at the end.
func (r *mergeRun) read() error {
	n, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return diskError(err)
	}
	if uint64(cap(r.entry)) < n {
		r.entry = make([]byte, n)
	}
	r.entry = r.entry[:n]
	if _, err := io.ReadFull(r.in, r.entry); err != nil {
		return diskError(err)
	}
	r.name, _ = word(r.entry)
	return nil
}

type mergeHeap []*mergeRun

func (h mergeHeap) Len() int           { return len(h) }
func (h mergeHeap) Less(i, j int) bool { return bytes.Compare(h[i].name, h[j].name) < 0 }
func (h mergeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)        { *h = append(*h, x.(*mergeRun)) }
func (h *mergeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// bytes returns packed entry i, which is valid until the next call. Reading entries in order is fast; otherwise up to
// 15 entries are skipped.
func (d *diskKept) bytes(i int) ([]byte, error) {
	if first := i / eachOf * eachOf; i < d.next || first > d.next {
		d.next, d.off = first, d.sparse[i/eachOf]
	}
	for {
		head, err := d.read(d.off, binary.MaxVarintLen64)
		if err != nil {
			return nil, err
		}
		n, size := binary.Uvarint(head)
		if size <= 0 || int64(n) > d.size {
			return nil, diskError(io.ErrUnexpectedEOF)
		}
		at := d.off + int64(size)
		d.next, d.off = d.next+1, at+int64(n)
		if d.next > i {
			return d.read(at, int(n))
		}
	}
}

// read returns n bytes at an offset of the file, or fewer at its end.
func (d *diskKept) read(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), d.size-off))
	if off < d.from || off+int64(n) > d.from+int64(len(d.window)) {
		const ahead = 16 << 10
		if cap(d.window) < max(n, ahead) {
			d.window = make([]byte, max(n, ahead))
		}
		d.from = off
		got, err := d.file.ReadAt(d.window[:max(n, ahead)], off)
		if d.window = d.window[:got]; got < n {
			return nil, diskError(err)
		}
	}
	return d.window[off-d.from:][:n], nil
}
