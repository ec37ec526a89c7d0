// Package kept stores long listings: packed, sorted and, beyond a limit, in a temporary file.
package kept

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"time"

	"miniftp/ftp"
)

// Limits on what a server may list. What does not fit in memory is stored in a temporary file.
const (
	MaxEntries = 10_000_000 // entries of one listing, and of one walk
	MaxListing = 256 << 20  // bytes of one listing
	MaxMemory  = 4 << 20    // bytes of all entries in memory
	MaxDisk    = 1 << 30    // bytes of all entries in files
	minKept    = 64 << 10   // bytes that each listing may have in memory in any case
)

// Budget is what one walk may still use: Entries counts all that it reads, Room and Disk the bytes that it stores at
// the same time, in memory and in files.
type Budget struct{ Entries, Room, Disk int }

// NewBudget returns the full Budget of a walk.
func NewBudget() *Budget { return &Budget{MaxEntries, MaxMemory, MaxDisk} }

// ErrTooMany is returned for a listing, or a tree of them, with too many entries.
var ErrTooMany = errors.New("the listing is too long: more than 10,000,000 names, or 256 MiB for one directory")

// Take returns ErrTooMany if there is no room for one more entry of n bytes.
func (b *Budget) Take(n int) error {
	b.Entries--
	b.Room -= n
	if b.Entries < 0 || b.Room < 0 {
		return ErrTooMany
	}
	return nil
}

// List stores the entries of a directory. They are packed, because there may be very many: a packed entry takes about
// as much memory as its line in the listing. When the Budget has no room left, entries go to a temporary file.
//
// A List is used in three steps: Add all entries, Sort, and then read them by Entry, Name and Find.
type List struct {
	Budget *Budget
	took   int // bytes taken from Budget.Room
	pages  [][]byte
	at     []uint64 // position of each entry: page<<16 + offset
	buf    []byte
	disk   *diskKept // nil: all entries are in memory
	hint   int       // where Find begins to search
}

const pageSize = 1 << 16

// pack appends an entry to b.
func pack(b []byte, e *ftp.Entry) []byte {
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
	return b
}

// Add adds an entry. It returns ErrTooMany if the Budget does not allow it.
func (k *List) Add(e *ftp.Entry) error {
	k.buf = pack(k.buf[:0], e)
	if k.Budget.Entries--; k.Budget.Entries < 0 {
		return ErrTooMany
	}
	if k.Budget.Room < len(k.buf)+pageSize && k.took >= minKept {
		if err := k.spill(); err != nil {
			return err
		}
	}
	k.grow(len(k.buf))
	last := len(k.pages) - 1
	k.at = append(k.at, uint64(last)<<16|uint64(len(k.pages[last])))
	k.pages[last] = append(k.pages[last], k.buf...)
	return nil
}

// grow makes room for n more bytes on the last page.
func (k *List) grow(n int) {
	const index = 16 // memory per element of at, which grows in advance
	size := 512
	if i := len(k.pages) - 1; i >= 0 {
		if cap(k.pages[i])-len(k.pages[i]) >= n {
			k.took += index
			k.Budget.Room -= index
			return
		}
		size = min(pageSize, 4*cap(k.pages[i]))
	}
	size = max(size, n)
	k.took += size + index
	k.Budget.Room -= size + index
	k.pages = append(k.pages, make([]byte, 0, size))
}

// Drop frees the memory and removes the file.
func (k *List) Drop() {
	k.release()
	k.buf, k.hint = nil, 0
	if k.disk != nil {
		k.Budget.Disk += int(k.disk.size)
		k.disk.close()
		k.disk = nil
	}
}

// release frees the memory.
func (k *List) release() {
	k.Budget.Room += k.took
	k.took, k.pages, k.at = 0, nil, nil
}

// Len returns the number of entries.
func (k *List) Len() int {
	if k.disk != nil {
		return k.disk.n + len(k.at)
	}
	return len(k.at)
}

// word splits a string with its length before it from the beginning of b.
func word(b []byte) (s, rest []byte) {
	n, size := binary.Uvarint(b)
	b = b[size:]
	return b[:n], b[n:]
}

// bytes returns packed entry i, which is valid until the next call. It may be followed by others.
func (k *List) bytes(i int) ([]byte, error) {
	if k.disk != nil {
		return k.disk.bytes(i)
	}
	return k.pages[k.at[i]>>16][k.at[i]&(pageSize-1):], nil
}

// Name returns the name of entry i, which is valid until the next call.
func (k *List) Name(i int) ([]byte, error) {
	b, err := k.bytes(i)
	if err != nil {
		return nil, err
	}
	name, _ := word(b)
	return name, nil
}

// Entry returns entry i. An error is one of the temporary file.
func (k *List) Entry(i int) (ftp.Entry, error) {
	b, err := k.bytes(i)
	if err != nil {
		return ftp.Entry{}, err
	}
	return unpack(b), nil
}

func unpack(b []byte) ftp.Entry {
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

// Sort sorts the entries by name. It must be called after the last Add and before the first entry is read.
func (k *List) Sort() error {
	if k.disk != nil {
		return k.merge()
	}
	k.sortPages()
	return nil
}

// sortPages sorts the entries in memory.
func (k *List) sortPages() {
	name := func(at uint64) []byte {
		s, _ := word(k.pages[at>>16][at&(pageSize-1):])
		return s
	}
	slices.SortFunc(k.at, func(a, b uint64) int { return slices.Compare(name(a), name(b)) })
}

// Find returns the entry with the given name. It is fast if names are looked up in order: it searches from where the
// last call ended, in steps that double.
func (k *List) Find(name string) (e ftp.Entry, ok bool, err error) {
	compare := func(i int) int {
		at, bad := k.Name(i)
		if bad != nil && err == nil {
			err = bad
		}
		return strings.Compare(string(at), name)
	}
	from, to := 0, k.Len()
	if k.hint < to && compare(k.hint) <= 0 {
		from = k.hint
		step := 1
		for from+step < to && compare(from+step) <= 0 {
			from, step = from+step, 2*step
		}
		to = min(to, from+step)
	}
	i := from + sort.Search(to-from, func(i int) bool { return compare(from+i) >= 0 })
	k.hint = min(i, max(k.Len()-1, 0))
	if err != nil || i == k.Len() || compare(i) != 0 {
		return ftp.Entry{}, false, err
	}
	e, err = k.Entry(i)
	return e, err == nil, err
}

// Unpinned returns e. If the line that e was parsed from is long, e gets copies of its strings, so that it does not
// keep the whole line in memory. length is that of the longest such line.
func Unpinned(e ftp.Entry, length int) ftp.Entry {
	const short = 256
	if length > short {
		for _, s := range [...]*string{&e.Name, &e.Perm, &e.Unique, &e.Owner, &e.Group, &e.Target} {
			*s = strings.Clone(*s)
		}
	}
	return e
}
