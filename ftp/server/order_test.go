package server

import (
	"sync/atomic"
	"testing"

	"miniftp/ftp"
)

// numbered is a directory with that many files.
type numbered struct{ left *int }

func (d numbered) next(e *ftp.Entry) (bool, error) { return endless{0, "f", d.left}.next(e) }
func (numbered) Close() error                      { return nil }

// The entries that slow clients make the server keep for LIST -t are bounded in sum. A listing that exceeds the
// bound is not sorted, but whole.
func TestOrderIsBoundedOverAll(t *testing.T) {
	var sum atomic.Int64
	open := func() *listing {
		l := &listing{open: numbered{new(int)}, flags: lsFlags{byTime: true}, line: nameLine(""), sorts: &sum, gathering: true}
		if _, err := l.Read(make([]byte, 10)); err != nil { // read no further
			t.Fatal(err)
		}
		return l
	}
	var all []*listing
	kept := 0
	for range 50 {
		l := open()
		all = append(all, l)
		kept += len(l.ready)
	}
	if most := sortMostAll + 50*sortWindow; kept > most || sum.Load() > sortMostAll {
		t.Errorf("%d entries are kept, want %d at most", kept, most)
	}
	for _, l := range all {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if sum.Load() != 0 {
		t.Errorf("%d entries are still counted", sum.Load())
	}
	if l := open(); len(l.ready) < sortMost/2 {
		t.Errorf("%d entries were sorted although there is room", len(l.ready))
	}
}
