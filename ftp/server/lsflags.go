package server

import (
	"strings"

	"miniftp/ftp"
)

// lsFlags are the flags of LIST that are supported.
type lsFlags struct {
	all       bool // -a: also hidden names, "." and ".."
	recursive bool // -R
	byTime    bool // -t
	bySize    bool // -S
	reverse   bool // -r
	itself    bool // -d: the directory itself
}

func (f *lsFlags) add(letters string) {
	for _, c := range letters {
		switch c {
		case 'a', 'A':
			f.all = true
		case 'R':
			f.recursive = true
		case 't':
			f.byTime = true
		case 'S':
			f.bySize = true
		case 'r':
			f.reverse = true
		case 'd':
			f.itself = true
		}
	}
}

// sorted reports whether the order requires reading all entries first.
func (f lsFlags) sorted() bool { return f.byTime || f.bySize || f.reverse }

func (f lsFlags) compare(a, b ftp.Entry) int {
	switch {
	case f.byTime && !a.Modified.Equal(b.Modified):
		return b.Modified.Compare(a.Modified)
	case f.bySize && a.Size != b.Size:
		if a.Size > b.Size {
			return -1
		}
		return 1
	}
	return strings.Compare(a.Name, b.Name)
}
