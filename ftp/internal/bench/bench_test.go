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
	only   = flag.String("only", "", "measure only rows whose title contains this")
	with   = flag.String("with", strings.Join(peers.Names(), ","), "the stock servers to measure")
	brief  = flag.Bool("brief", false, "use small amounts, to check that everything works")
	report = flag.String("report", "", "write the figures to this file, between its markers, and the plots to its directory")
)

// amounts holds the sizes and counts of what is transferred, listed and opened.
type amounts struct {
	time         string // the duration of a row with many operations
	large, tls   int64  // bytes
	text, twenty int64
	small        int64
	ten, hundred int // entries of directories
	many         int // concurrent downloads
	idle, forked int // idle sessions; those of a server with a process for each session
	idleTLS      int

	mirror, slow, chain, tree int // numbers of files
	middle                    int64
}

func size() amounts {
	if *brief {
		return amounts{"100ms", 8 << 20, 4 << 20, 1 << 20, 1 << 20, 4 << 10, 100, 1000, 20, 40, 10, 20, 50, 5, 500, 1000, 4 << 20}
	}
	return amounts{"500ms", gib, 256 << 20, 64 << 20, 20 << 20, 4 << 10, 10_000, 100_000, 300, 1000, 200, 300, 1000, 50, 10_000, 100_000, 256 << 20}
}

const gib = 1 << 30

// parts holds the parts of the measurement, in their order.
var parts = []struct {
	name string
	run  func(l *lab) string // returns the text between the markers of the part
}{
	{"servers", (*lab).servers},
	{"clients", (*lab).clients},
	{"growth", (*lab).growth},
}

// BenchmarkPeers measures all parts in a single iteration.
func BenchmarkPeers(b *testing.B) {
	if *brief && *report != "" {
		b.Fatal("-brief can't be combined with -report")
	}
	if *only != "" && *report != "" {
		b.Fatal("-only can't be combined with -report")
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
		b.Fatalf("-part %q: want servers, clients or growth", *part)
	}
}

// lab holds the program to measure and the files for a run, which are in memory if there is a tmpfs.
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
	check(tb, os.Chmod(l.root, 0o755)) // because pure-ftpd's user is nobody
	l.bin = build(tb)
	return l
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// say prints the progress of a run.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// dir returns a directory of the lab. In the first call for a name, fill creates its content.
func (l *lab) dir(name string, fill func(dir string)) string {
	dir := filepath.Join(l.root, name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	check(l.tb, os.Mkdir(dir, 0o755))
	fill(dir)
	return dir
}

// file writes a file of lines of text. It has no holes, because these are read faster than
// real data.
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

// fileName returns the name of the i-th of many files, counted from 1.
func fileName(i int) string { return fmt.Sprintf("f%06d", i) }

// files returns a function that creates n files of a size.
func (l *lab) files(dir string, n int, size int64) {
	for i := range n {
		check(l.tb, os.WriteFile(filepath.Join(dir, fileName(i+1)), lines[:size], 0o644))
	}
}
