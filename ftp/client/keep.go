package client

import (
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"
	"time"

	"miniftp/ftp"
)

// Bounds on what a server may list.
const (
	maxEntries = 10_000_000 // of one listing, and of one walk
	maxListing = 128 << 20  // bytes of one listing
	maxKept    = 8 << 20    // bytes of entries that are held in memory at once
)

// budget is what one walk may still read, and hold at once.
type budget struct{ entries, room int }

func newBudget() *budget { return &budget{maxEntries, maxKept} }

// take is ErrTooMany if there is no room for one more entry of n bytes.
func (b *budget) take(n int) error {
	b.entries--
	b.room -= n
	if b.entries < 0 || b.room < 0 {
		return ErrTooMany
	}
	return nil
}

// kept is the entries of a directory, packed: there may be very many of them, and
// packed they take about what their lines took.
type kept struct {
	budget *budget
	took   int
	pages  [][]byte
	at     []uint32 // of each entry: page<<16 + offset
	buf    []byte
}

const pageSize = 1 << 16

func (k *kept) add(e *ftp.Entry) error {
	b := k.buf[:0]
	for _, s := range [...]string{e.Name, e.Perm, e.Unique, e.Owner, e.Group, e.Target} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	hasMode := int64(0)
	if e.HasMode {
		hasMode = 1
	}
	for _, n := range [...]int64{
		int64(e.Type), e.Size, e.Modified.Unix(), int64(e.Modified.Nanosecond()), int64(e.Precise), int64(e.Mode), hasMode, int64(e.Links),
	} {
		b = binary.AppendVarint(b, n)
	}
	k.buf = b
	const index = 8 // of at, which grows ahead
	if err := k.grow(len(b), index); err != nil {
		return err
	}
	last := len(k.pages) - 1
	k.at = append(k.at, uint32(last)<<16|uint32(len(k.pages[last])))
	k.pages[last] = append(k.pages[last], b...)
	return nil
}

// grow makes room for n more bytes on the last page.
func (k *kept) grow(n, index int) error {
	size := 512
	if i := len(k.pages) - 1; i >= 0 {
		if cap(k.pages[i])-len(k.pages[i]) >= n {
			k.took += index
			return k.budget.take(index)
		}
		size = min(pageSize, 4*cap(k.pages[i]))
	}
	size = max(size, n)
	k.took += size + index
	if err := k.budget.take(size + index); err != nil {
		return err
	}
	k.pages = append(k.pages, make([]byte, 0, size))
	return nil
}

// drop gives the room back.
func (k *kept) drop() {
	k.budget.room += k.took
	k.took, k.pages, k.at, k.buf = 0, nil, nil, nil
}

func (k *kept) bytes(i int) []byte { return k.pages[k.at[i]>>16][k.at[i]&(pageSize-1):] }

func word(b []byte) (s, rest []byte) {
	n, size := binary.Uvarint(b)
	b = b[size:]
	return b[:n], b[n:]
}

// entry unpacks one.
func (k *kept) entry(i int) ftp.Entry {
	b := k.bytes(i)
	var e ftp.Entry
	for _, s := range [...]*string{&e.Name, &e.Perm, &e.Unique, &e.Owner, &e.Group, &e.Target} {
		var w []byte
		w, b = word(b)
		*s = string(w)
	}
	var n [8]int64
	for i := range n {
		var size int
		n[i], size = binary.Varint(b)
		b = b[size:]
	}
	e.Type, e.Size, e.Precise, e.Mode = ftp.EntryType(n[0]), n[1], time.Duration(n[4]), fs.FileMode(n[5])
	e.Modified = time.Unix(n[2], n[3]).UTC()
	e.HasMode, e.Links = n[6] != 0, int(n[7])
	return e
}

// sort orders the entries by name.
func (k *kept) sort() {
	name := func(at uint32) []byte {
		s, _ := word(k.pages[at>>16][at&(pageSize-1):])
		return s
	}
	slices.SortFunc(k.at, func(a, b uint32) int { return slices.Compare(name(a), name(b)) })
}

// unpinned is e without the line that it was cut from, if that is of a length that may
// be much longer.
func unpinned(e ftp.Entry, length int) ftp.Entry {
	const short = 256
	if length > short {
		for _, s := range [...]*string{&e.Name, &e.Perm, &e.Unique, &e.Owner, &e.Group, &e.Target} {
			*s = strings.Clone(*s)
		}
	}
	return e
}
