package client_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// A listing of 300,000 names needs little memory, and is sorted.
func TestListingLong(t *testing.T) {
	testutil.Long(t)
	const n = 300_000
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.On["MLSD"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here it comes")
			c := s.Data()
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "type=file;size=10;modify=20200102030405;unique=fd01g%x; picture-%06d.jpg\r\n", i, (i*7)%n)
				if b.Len() > 1<<16 || i == n-1 {
					_, _ = io.WriteString(c, b.String())
					b.Reset()
				}
			}
			_ = c.Close()
			s.Say("226 done")
		}
	})
	c := dial(t, f, nil)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	all, err := c.ReadDir(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if held := heap() - before; held > 8<<20 && held < 1<<40 {
		t.Errorf("the listing needs %d MiB", held>>20)
	}
	i := 0
	for e, err := range all.All() {
		if want := fmt.Sprintf("picture-%06d.jpg", i); err != nil || e.Name != want || e.Size != 10 {
			t.Fatalf("%d: %+v, %v", i, e, err)
		}
		i++
	}
	if i != n || all.Len() != n {
		t.Errorf("%d of %d entries", i, all.Len())
	}
	found, err := c.Match(t.Context(), "*.jpg")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	if held := heap() - before; held > 16<<20 && held < 1<<40 {
		t.Errorf("the matches need %d MiB", held>>20)
	}
	i = 0
	for e, err := range found.All() {
		if want := fmt.Sprintf("picture-%06d.jpg", i); err != nil || e.Path != want || e.Name != want || e.Size != 10 {
			t.Fatalf("%d: %+v, %v", i, e, err)
		}
		i++
	}
	if i != n || found.Len() != n {
		t.Errorf("%d of %d entries match", i, found.Len())
	}
	if found, err := c.Glob(t.Context(), "*.jpg"); err == nil || len(found) != 0 {
		t.Errorf("a pattern that matches too much: %d, %v", len(found), err)
	}
	if found, err := c.Glob(t.Context(), "picture-0[0-5]*"); err != nil || len(found) != 60_000 {
		t.Errorf("a pattern: %d, %v", len(found), err)
	}
}
