package bench

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var (
	rounds = flag.Int("rounds", 3, "interleaved rounds of each row")
	only   = flag.String("only", "", "rows whose name holds this")
	with   = flag.String("with", "vsftpd,pure-ftpd", "the stock servers to measure beside")
	report = flag.String("report", "", "write the table to this file, between its markers")
)

// makeFiles lays out what is fetched, in memory where there is a tmpfs.
func makeFiles(b *testing.B) string {
	b.Helper()
	root := b.TempDir()
	if dir, err := os.MkdirTemp("/dev/shm", "miniftp-bench-"); err == nil {
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
		root = dir
	}
	check(b, os.Chmod(root, 0o777))
	write := func(name string, content []byte) { check(b, os.WriteFile(filepath.Join(root, name), content, 0o666)) }
	big, err := os.Create(filepath.Join(root, "big"))
	check(b, err)
	for range gib / len(scratch) {
		_, err = big.Write(scratch)
		check(b, err)
	}
	check(b, big.Close())
	write("twenty", make([]byte, 20<<20))
	write("small", make([]byte, 4<<10))
	write("empty", nil)
	line := []byte(strings.Repeat("x", 59) + "\n")
	write("text", bytes.Repeat(line, 256<<20/len(line)))
	check(b, os.Mkdir(filepath.Join(root, "up"), 0o777))
	check(b, os.Chmod(filepath.Join(root, "up"), 0o777))
	for dir, n := range map[string]int{"ten": 10_000, "hundred": 100_000} {
		check(b, os.Mkdir(filepath.Join(root, dir), 0o777))
		for i := range n {
			write(filepath.Join(dir, fmt.Sprintf("file-%06d.dat", i)), nil)
		}
	}
	return root
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkPeers runs every row against miniftp and the stock servers in turn.
// It is one benchmark, whose one iteration is all of it.
func BenchmarkPeers(b *testing.B) {
	root := makeFiles(b)
	targets := []*target{startMiniftp(b, root)}
	for name := range strings.SplitSeq(*with, ",") {
		if name != "" {
			targets = append(targets, startPeer(b, name, root))
		}
	}
	table := map[string]map[string][]float64{} // measure, server
	for b.Loop() {
		for _, r := range rows {
			if !strings.Contains(r.name, *only) {
				continue
			}
			for round := range *rounds {
				for i := range targets {
					s := targets[(i+round)%len(targets)]
					if !r.can(s) {
						continue
					}
					for key, v := range r.run(b, s) {
						id := r.name + "/" + key
						if table[id] == nil {
							table[id] = map[string][]float64{}
						}
						table[id][s.name] = append(table[id][s.name], v)
					}
				}
			}
			fmt.Fprint(os.Stderr, lines(r, targets, table))
		}
	}
	if *report != "" {
		check(b, writeReport(*report, targets, table))
	}
}

// lines is a row of the table for each measure.
func lines(r row, targets []*target, table map[string]map[string][]float64) string {
	var out strings.Builder
	for _, m := range r.measures {
		got := table[r.name+"/"+m.key]
		fmt.Fprintf(&out, "| %s | %s |", m.title, m.unit)
		ours := median(got[targets[0].name])
		best := 0.0
		for _, s := range targets {
			v := median(got[s.name])
			fmt.Fprintf(&out, " %s |", number(v))
			if s.name != "miniftp" && v > 0 && (best == 0 || (v < best) == m.cost) {
				best = v
			}
		}
		ratio := "–"
		switch {
		case best == 0 || ours == 0:
		case m.cost:
			ratio = fmt.Sprintf("%.2f", best/ours)
		default:
			ratio = fmt.Sprintf("%.2f", ours/best)
		}
		spread := 0.0
		for _, v := range got[targets[0].name] {
			spread = max(spread, 100*max(v-ours, ours-v)/max(ours, 1e-9))
		}
		fmt.Fprintf(&out, " %s | ±%.0f %% |\n", ratio, spread)
	}
	return out.String()
}

const beginMark, endMark = "<!-- table: begin -->\n", "<!-- table: end -->"

// writeReport puts the table between the markers of a Markdown file.
func writeReport(name string, targets []*target, table map[string]map[string][]float64) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(old), beginMark)
	_, tail, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no markers for the table", name)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d interleaved rounds, medians; %s, %s, %d processors, files in memory.\n\n", *rounds, kernel(), runtime.Version(), runtime.NumCPU())
	names, dashes := "", ""
	for _, s := range targets {
		names, dashes = names+" "+s.name+" |", dashes+"---|"
	}
	fmt.Fprintf(&out, "| measure | unit |%s best peer ÷ ours, or ours ÷ best | spread |\n|---|---|%s---|---|\n", names, dashes)
	for _, r := range rows {
		out.WriteString(lines(r, targets, table))
	}
	return os.WriteFile(name, []byte(head+beginMark+out.String()+endMark+tail), 0o644)
}

func kernel() string {
	b, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return runtime.GOOS
	}
	return strings.TrimSpace(string(b))
}
