package client_test

import (
	"fmt"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
)

// Any number of paths fits. They are returned sorted, a directory before its contents.
func TestPaths(t *testing.T) {
	testutil.Long(t)
	const n = 200_000
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var p client.Paths
	for range 2 { // after Close it is empty and can be used again
		for i := range n {
			k := (i * 7) % n
			e := client.WalkEntry{Path: fmt.Sprintf("/a long enough name/%06d", k), Entry: ftp.Entry{Type: ftp.FileEntry, Size: int64(k), Modified: at}}
			testutil.Must(t, p.Add(e))
		}
		testutil.Must(t, p.Add(client.WalkEntry{Path: "/a long enough name", Entry: ftp.Entry{Type: ftp.DirEntry}}))
		for range 2 {
			i := -1
			for e, err := range p.All() {
				want := "/a long enough name"
				if i >= 0 {
					want = fmt.Sprintf("/a long enough name/%06d", i)
				}
				if err != nil || e.Path != want || i >= 0 && (e.Size != int64(i) || e.Name != want[len(want)-6:] || !e.Modified.Equal(at)) {
					t.Fatalf("%d: %+v, %v", i, e, err)
				}
				i++
			}
			if i != n || p.Len() != n+1 {
				t.Errorf("%d of %d", i, p.Len())
			}
		}
		p.Close()
		if p.Len() != 0 {
			t.Errorf("%d are left", p.Len())
		}
	}
}
