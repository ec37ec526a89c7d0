package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"miniftp/ftp/internal/peers"
)

// growths returns the four loads whose growth is measured.
func (l *lab) growths() []growing {
	all := []growing{l.sessions(), l.entries(), l.sizes(), l.transfers()}
	if *brief {
		for i := range all {
			all[i].sizes = all[i].sizes[:min(len(all[i].sizes), 3)]
		}
	}
	return all
}

// fieldOf returns a function that scales a number of a result.
func fieldOf(name string, scale float64) func(result, float64) float64 {
	return func(r result, _ float64) float64 { return r[name] * scale }
}

func (l *lab) sessions() growing {
	run := func(l *lab, t *target, n int64) (result, string) {
		return l.load(t, "idle", "", "--time", "60s", "--sessions", strconv.FormatInt(n, 10))
	}
	total := func(r result, n float64) float64 { return r["server_pss_kib_each"] * n }
	each := fieldOf("server_pss_kib_each", 1)
	empty := func(l *lab, _ int64) string { return l.tree("") }
	return growing{
		name: "sessions", title: "Idle sessions", axis: "sessions", sizes: []int64{1, 10, 100, 1000, 5000},
		series: []series{
			{"", "miniftp", 0, run, peers.Options{}, empty, []column{
				{"memory (PSS), KiB", total, false},
				{"KiB each", each, true},
				{"time to open, ms", fieldOf("seconds", 1e3), false},
				{"CPU, ms", fieldOf("server_cpu_s", 1e3), false},
			}},
			{"pyftpdlib", "pyftpdlib", 1000, run, peers.Options{}, empty, []column{{"KiB", total, false}}},
		},
	}
}

func (l *lab) entries() growing {
	run := func(verb string) func(l *lab, t *target, n int64) (result, string) {
		return func(l *lab, t *target, _ int64) (result, string) { return l.load(t, verb, "", "--time", "1s") }
	}
	first, each := fieldOf("first_us", 1e-3), fieldOf("server_cpu_us_each", 1)
	root := func(l *lab, n int64) string {
		return l.dir(fmt.Sprintf("entries-%d", n), func(dir string) { l.files(dir, int(n), 0) })
	}
	ro := peers.Options{ReadOnly: true}
	return growing{
		name: "entries", title: "Directories", axis: "entries", sizes: []int64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000},
		series: []series{
			{"LIST", "miniftp", 0, run("list"), ro, root, []column{{"first byte, ms", first, false}, {"CPU, µs/entry", each, false}, {"server RSS, MiB", fieldOf("server_rss_kib", 1.0/1024), false}}},
			{"MLSD", "miniftp", 0, run("mlsd"), ro, root, []column{{"first byte, ms", first, true}, {"CPU, µs/entry", each, true}}},
			{"vsftpd LIST", "vsftpd", 100_000, run("list"), ro, root, []column{{"first byte, ms", first, false}}},
		},
	}
}

func (l *lab) sizes() growing {
	fetch := func(l *lab, t *target, _ int64) (result, string) {
		defer os.RemoveAll(t.root)
		return l.load(t, "get-large", "", "--time", "500ms")
	}
	store := func(l *lab, t *target, n int64) (result, string) {
		flags := []string{"--time", "500ms", "--size", strconv.FormatInt(n, 10)}
		if n >= gib {
			flags = append(flags, "--count", "1") // a second file would need space next to the first
		}
		if !l.room(n) {
			return nil, "there is no room for it in memory"
		}
		return l.load(t, "put-large", "", flags...)
	}
	// If there is not enough space, a large file is a hole after its first GiB.
	root := func(l *lab, n int64) string {
		return l.dir(fmt.Sprintf("sizes-%d", n), func(dir string) {
			name, there := filepath.Join(dir, "file"), n
			if !l.room(n) {
				there = min(n, gib)
				say("of %s bytes all but %s are a hole", grouped(n), grouped(there))
			}
			l.file(name, there)
			check(l.tb, os.Truncate(name, n))
		})
	}
	empty := func(l *lab, _ int64) string { return l.tree("") }
	shown := []column{
		{"ms", fieldOf("p50_us", 1e-3), false},
		{"CPU, ms", func(r result, n float64) float64 { return r["server_cpu_s_per_gib"] * n / gib * 1e3 }, false},
		{"CPU, s/GiB", fieldOf("server_cpu_s_per_gib", 1), true},
	}
	return growing{
		name: "sizes", title: "Files", axis: "bytes", sizes: []int64{1 << 10, 32 << 10, 1 << 20, 32 << 20, gib, 10 * gib},
		series: []series{
			{"RETR", "miniftp", 0, fetch, peers.Options{ReadOnly: true}, root, shown},
			{"STOR", "miniftp", 0, store, peers.Options{}, empty, shown},
		},
	}
}

func (l *lab) transfers() growing {
	run := func(l *lab, t *target, n int64) (result, string) {
		return l.load(t, "many", "", "--time", "500ms", "--sessions", strconv.FormatInt(n, 10))
	}
	root := func(l *lab, _ int64) string { return l.tree("twenty") }
	ro := peers.Options{ReadOnly: true}
	return growing{
		name: "transfers", title: "Downloads of 20 MiB at once", axis: "downloads", sizes: []int64{1, 3, 10, 30, 100, 300},
		series: []series{
			{"", "miniftp", 0, run, ro, root, []column{
				{"MB/s", fieldOf("rate", 1), false},
				{"CPU, s/GiB", fieldOf("server_cpu_s_per_gib", 1), true},
				{"whole after, p50, ms", fieldOf("finish_p50_us", 1e-3), false},
				{"p99, ms", fieldOf("finish_p99_us", 1e-3), false},
				{"wait for the 150, p99, ms", fieldOf("p99_us", 1e-3), true},
			}},
			{"pure-ftpd", "pure-ftpd", 0, run, ro, root, []column{{"p99, ms", fieldOf("finish_p99_us", 1e-3), false}}},
		},
	}
}
