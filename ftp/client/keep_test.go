package client

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
)

// What was packed comes back as it was, sorted; the room is given back.
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
	b := newBudget()
	k := kept{budget: b}
	for i := range all {
		if err := k.add(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	k.sort()
	slices.SortStableFunc(all, func(a, b ftp.Entry) int { return cmp.Compare(a.Name, b.Name) })
	for i := range all {
		if got := k.entry(i); got != all[i] {
			t.Fatalf("%d: %+v, want %+v", i, got, all[i])
		}
	}
	if held := maxKept - b.room; held != k.took || held < 70_000 || held > 1<<20 {
		t.Errorf("it says that it holds %d bytes, %d are taken", k.took, held)
	}
	k.drop()
	if b.room != maxKept || b.entries != maxEntries-len(all) {
		t.Errorf("%+v is left", b)
	}
}

// A directory of usual names has room for 100,000 of them, and an end.
func TestKeptEnds(t *testing.T) {
	k := kept{budget: newBudget()}
	n := 0
	var err error
	for ; err == nil; n++ {
		err = k.add(&ftp.Entry{Name: fmt.Sprintf("file-%07d.txt", n), Type: ftp.FileEntry, Size: 12345, Modified: time.Unix(1e9, 0), Precise: time.Second, Perm: "radfw", Unique: "fd01g1234567"})
	}
	if !errors.Is(err, ErrTooMany) || n < 100_000 || n > 200_000 {
		t.Errorf("%d entries, %v", n, err)
	}
}
