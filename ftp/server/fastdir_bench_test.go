//go:build linux

package server

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"miniftp/ftp/internal/testutil"

	"miniftp/fsroot"
	"miniftp/ftp"
)

// manyFiles makes a directory with n files.
func manyFiles(tb testing.TB, n int) *fsroot.Root {
	tb.Helper()
	dir := tb.TempDir()
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%06d.txt", i)), nil, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	root, err := fsroot.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = root.Close() })
	return root
}

// readAll lists the root and returns the length of the listing.
func readAll(tb testing.TB, root *fsroot.Root, facts ftp.Facts, line func([]byte, *ftp.Entry) []byte, buf []byte) int {
	tb.Helper()
	l := &listing{desc: describer{fs: root, perm: ReadWrite, facts: facts}, line: line, hidden: true}
	r, err := l.desc.dir("/")
	if err != nil {
		tb.Fatal(err)
	}
	l.open = r
	for all := 0; ; {
		n, err := l.Read(buf)
		if all += n; err != nil {
			return all
		}
	}
}

func mlsdLine(b []byte, e *ftp.Entry) []byte { return ftp.AppendMLSx(b, e, ftp.AllFacts) }

// Per entry a listing allocates only the name that is passed to fstatat and, for MLSD, the unique fact. All
// other memory is per batch.
func TestListingAllocations(t *testing.T) {
	testutil.Long(t)
	const entries = 2000
	root := manyFiles(t, entries)
	buf := make([]byte, 256<<10)
	for _, tt := range []struct {
		verb  string
		facts ftp.Facts
		line  func([]byte, *ftp.Entry) []byte
		most  float64
	}{
		{"LIST", 0, listLine(), 1},
		{"MLSD", ftp.AllFacts, mlsdLine, 2},
	} {
		got := testing.AllocsPerRun(5, func() { readAll(t, root, tt.facts, tt.line, buf) })
		if got > tt.most*entries+100 {
			t.Errorf("%s of %d entries made %.0f allocations, want at most %.0f per entry", tt.verb, entries, got, tt.most)
		}
	}
}

func BenchmarkDirectory(b *testing.B) {
	const entries = 2000
	root := manyFiles(b, entries)
	buf := make([]byte, 256<<10)
	for _, bb := range []struct {
		verb  string
		facts ftp.Facts
		line  func([]byte, *ftp.Entry) []byte
	}{{"LIST", 0, listLine()}, {"MLSD", ftp.AllFacts, mlsdLine}} {
		b.Run(bb.verb, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n += readAll(b, root, bb.facts, bb.line, buf)
			}
			b.SetBytes(int64(n / b.N))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
		})
	}
}
