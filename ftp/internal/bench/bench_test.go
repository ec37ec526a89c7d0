package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/internal/peers"
)

var (
	part   = flag.String("part", "", "measure servers, clients or growth only")
	rounds = flag.Int("rounds", 3, "interleaved rounds of each row")
	only   = flag.String("only", "", "rows whose title holds this")
	with   = flag.String("with", strings.Join(peers.Names(), ","), "the stock servers to measure beside")
	brief  = flag.Bool("brief", false, "small amounts, to see that all of it works")
	report = flag.String("report", "", "write what was measured to this file, between its markers, and the plots beside it")
)

// amounts are how much is moved, listed and opened.
type amounts struct {
	time         string // of a row with many operations
	large, tls   int64  // bytes
	text, twenty int64
	small        int64
	ten, hundred int // entries of directories
	many         int // downloads at once
	idle, forked int // sessions; of a server with a process for each
	idleTLS      int

	mirror, slow, chain, tree int // files
	middle                    int64
}

func size() amounts {
	if *brief {
		return amounts{"100ms", 8 << 20, 4 << 20, 1 << 20, 1 << 20, 4 << 10, 100, 1000, 20, 40, 10, 20, 50, 5, 500, 1000, 4 << 20}
	}
	return amounts{"500ms", gib, 256 << 20, 64 << 20, 20 << 20, 4 << 10, 10_000, 100_000, 300, 1000, 200, 300, 1000, 50, 10_000, 100_000, 256 << 20}
}

const gib = 1 << 30

// parts are what can be measured, in this order.
var parts = []struct {
	name string
	run  func(l *lab) string // what goes between the markers
}{
	{"servers", (*lab).servers},
	{"clients", (*lab).clients},
	{"growth", (*lab).growth},
}

// BenchmarkPeers measures all parts. It is one benchmark, whose one iteration is all of it.
func BenchmarkPeers(b *testing.B) {
	if *brief && *report != "" {
		b.Fatal("-brief: such figures are not for a report")
	}
	if *only != "" && *report != "" {
		b.Fatal("-only: a report is for all rows")
	}
	l := newLab(b)
	known := false
	for b.Loop() {
		for _, p := range parts {
			if *part != "" && *part != p.name {
				continue
			}
			known = true
			text := p.run(l)
			fmt.Fprintln(os.Stderr, text)
			if *report != "" {
				check(b, writeBlock(*report, p.name, text))
			}
		}
	}
	if !known {
		b.Fatalf("-part %q: there is no such part", *part)
	}
}

// lab is where a run is made: the program, and the files in memory where there is a tmpfs.
type lab struct {
	tb   testing.TB
	bin  string
	root string
	size amounts

	ecdsa, rsa *peers.Certs
}

func newLab(tb testing.TB) *lab {
	tb.Helper()
	l := &lab{tb: tb, root: tb.TempDir(), size: size(), ecdsa: peers.NewCerts(tb), rsa: peers.NewRSACerts(tb)}
	if dir, err := os.MkdirTemp("/dev/shm", "miniftp-bench-"); err == nil {
		tb.Cleanup(func() { _ = os.RemoveAll(dir) })
		l.root = dir
	}
	check(tb, os.Chmod(l.root, 0o755)) // pure-ftpd's user is nobody
	l.bin = build(tb)
	return l
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// say tells how far a run is.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// dir is a directory of the lab that is made by fill when it is first asked for.
func (l *lab) dir(name string, fill func(dir string)) string {
	dir := filepath.Join(l.root, name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	check(l.tb, os.Mkdir(dir, 0o755))
	fill(dir)
	return dir
}

// file writes a file of lines of text. Each page of it is there: a hole would be read
// faster than any file.
func (l *lab) file(name string, size int64) {
	f, err := os.Create(name)
	check(l.tb, err)
	for size > 0 {
		n, err := f.Write(lines[:min(size, int64(len(lines)))])
		check(l.tb, err)
		size -= int64(n)
	}
	check(l.tb, f.Close())
}

var lines = []byte(strings.Repeat(strings.Repeat("x", 63)+"\n", 1<<14))

// fileName is the name of the i-th of many files, from 1 on.
func fileName(i int) string { return fmt.Sprintf("f%06d", i) }

// files are n files of a size.
func (l *lab) files(dir string, n int, size int64) {
	for i := range n {
		check(l.tb, os.WriteFile(filepath.Join(dir, fileName(i+1)), lines[:size], 0o644))
	}
}
