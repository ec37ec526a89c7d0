package kept

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"

	"miniftp/ftp"
)

// Packed entries are returned unchanged and sorted, and all memory is given back.
func TestKept(t *testing.T) {
	at := time.Date(2026, 2, 28, 23, 59, 58, 123, time.UTC)
	all := []ftp.Entry{
		{Name: "plain", Type: ftp.FileEntry, Size: 5, Modified: at, Precise: time.Second, Mode: 0o644, HasMode: true, Perm: "rw", Unique: "1g2", Owner: "o", Group: "g", Links: 3},
		{Name: "nothing known", Size: -1},
		{Name: "link", Type: ftp.LinkEntry, Target: "../x", Size: -1, Precise: 24 * time.Hour},
		{Name: strings.Repeat("n", 70_000), Type: ftp.DirEntry},
		{Name: "\xff\x00"},
	}
	for i := range 2000 {
		all = append(all, ftp.Entry{Name: fmt.Sprintf("file %d", i), Size: int64(i) << 40, Unique: strings.Repeat("u", i%300)})
	}
	slices.SortStableFunc(all, func(a, b ftp.Entry) int { return cmp.Compare(a.Name, b.Name) })
	for _, room := range []int{MaxMemory, 0} { // in memory, and in a file
		b := NewBudget()
		b.Room = room
		k := List{Budget: b}
		for i := range all {
			if err := k.Add(&all[(i*7)%len(all)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.Sort(); err != nil {
			t.Fatal(err)
		}
		if k.Len() != len(all) || (k.disk != nil) != (room == 0) {
			t.Fatalf("%d entries, on disk: %v", k.Len(), k.disk != nil)
		}
		for i := range all {
			if got, err := k.Entry(i); got != all[i] || err != nil {
				t.Fatalf("%d: %+v, %v, want %+v", i, got, err, all[i])
			}
		}
		for _, i := range []int{5, 6, 7, 900, 3, len(all) - 1, 0} {
			if got, ok, err := k.Find(all[i].Name); !ok || err != nil || got != all[i] {
				t.Errorf("find %q: %+v, %v, %v", all[i].Name, got, ok, err)
			}
			if _, ok, err := k.Find(all[i].Name + "\x00?"); ok || err != nil {
				t.Errorf("found a name that does not exist: %v, %v", ok, err)
			}
		}
		if held := room - b.Room; held != k.took || room > 0 && held < 70_000 || held > 1<<20 {
			t.Errorf("it counts %d bytes, but holds %d", k.took, held)
		}
		k.Drop()
		if b.Room != room || b.Disk != MaxDisk || b.Entries != MaxEntries-len(all) {
			t.Errorf("the budget at the end is %+v", b)
		}
	}
}

// A listing of any length fits, up to a limit: what has no room in memory is in a file.
func TestKeptEnds(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	b := NewBudget()
	b.Disk = 32 << 20
	k := List{Budget: b}
	n := 0
	var err error
	for ; err == nil; n++ {
		err = k.Add(&ftp.Entry{Name: fmt.Sprintf("file-%07d.txt", n), Type: ftp.FileEntry, Size: 12345, Modified: time.Unix(1e9, 0), Precise: time.Second, Perm: "radfw", Unique: "fd01g1234567"})
		if k.took > MaxMemory {
			t.Fatalf("%d bytes are in memory", k.took)
		}
	}
	if !errors.Is(err, ErrTooMany) || n < 400_000 {
		t.Errorf("%d entries, %v", n, err)
	}
	k.Drop()
	if b.Disk != 32<<20 || b.Room != MaxMemory {
		t.Errorf("the budget at the end is %+v", b)
	}
}
