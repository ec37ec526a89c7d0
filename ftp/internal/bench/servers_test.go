package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"miniftp/ftp/internal/peers"
)

// serverRow is a load for all servers.
type serverRow struct {
	bench string                  // the row of miniftp bench
	dir   string                  // the directory to read, by a user who may not write; "" means that uploads are allowed
	tls   string                  // the type of the server's key, "ecdsa" or "rsa"; "" means no TLS
	flags func(n string) []string // the flags for the server called n
	fresh bool                    // measured once, with a server that was just started
	shown []shown
}

// shown is a figure of a row: a number of the JSON, scaled.
type shown struct {
	measure
	field string
	scale float64
}

const perGiB, perOne = "server_cpu_s_per_gib", "server_cpu_us_each"

// serverRows returns all rows.
func (l *lab) serverRows() []serverRow {
	brief := func(flags ...string) func(string) []string {
		return func(string) []string { return append([]string{"--time", l.size.time}, flags...) }
	}
	size := func(n int64) func(string) []string { return brief("--size", strconv.FormatInt(n, 10)) }
	cost := func(title, unit, field string, scale, hold, aim float64) shown {
		return shown{measure{title, unit, true, hold, aim, false}, field, scale}
	}
	rate := func(title, unit string, hold, aim float64) shown {
		return shown{measure{title, unit, false, hold, aim, false}, "rate", 1}
	}
	most := func(title, unit, field string, scale, hold, aim float64) shown {
		return shown{measure{title, unit, true, hold, aim, true}, field, scale}
	}
	return []serverRow{
		{"get-large", "big", "", brief(), false, []shown{cost("1 RETR 1 GiB, CPU", "s/GiB", perGiB, 1, 0.8, 1), rate("2 RETR 1 GiB", "MB/s", 0.95, 1)}},
		{"put-large", "", "", size(l.size.large), false, []shown{cost("3 STOR 1 GiB, CPU", "s/GiB", perGiB, 1, 1, 1.15), rate("3 STOR 1 GiB", "MB/s", 0, 0)}},
		{"get-large", "quarter", "ecdsa", brief(), false, []shown{cost("4 RETR 256 MiB over TLS, CPU", "s/GiB", perGiB, 1, 0.9, 1.25)}},
		{"put-large", "", "ecdsa", size(l.size.tls), false, []shown{cost("5 STOR 256 MiB over TLS, CPU", "s/GiB", perGiB, 1, 0.95, 1.15)}},
		{"get-small", "small", "", brief(), false, []shown{cost("6 RETR 4 KiB, CPU", "µs", perOne, 1, 0.75, 1), rate("7 RETR 4 KiB", "files/s", 0.7, 1)}},
		{"put-small", "", "", brief(), false, []shown{cost("STOR 4 KiB, CPU", "µs", perOne, 1, 0, 0), rate("STOR 4 KiB", "files/s", 0, 0)}},
		{"login", "", "", brief(), false, []shown{rate("8 login and QUIT, 16 at a time", "/s", 0.9, 1.1), cost("8 login and QUIT, CPU", "µs", perOne, 1, 0.9, 1.1)}},
		{"login", "", "rsa", brief(), false, []shown{cost("9 login over TLS, RSA key, CPU", "µs", perOne, 1, 0.7, 1)}},
		{"login", "", "ecdsa", brief(), false, []shown{cost("9 login over TLS, ECDSA key, CPU", "µs", perOne, 1, 1.5, 3)}},
		{"list", "ten", "", brief(), false, []shown{cost("10 LIST of 10,000, CPU", "µs/entry", perOne, 1, 0.8, 1.2)}},
		{"mlsd", "ten", "", brief(), false, []shown{cost("10 MLSD of 10,000, CPU", "µs/entry", perOne, 1, 0.8, 1.2)}},
		{"list", "hundred", "", brief(), false, []shown{most("11 LIST of 100,000, first byte", "ms", "first_us", 1e-3, 15, 5)}},
		{"mlsd", "hundred", "", brief(), false, []shown{most("11 MLSD of 100,000, first byte", "ms", "first_us", 1e-3, 15, 5)}},
		{"many", "twenty", "", brief("--sessions", strconv.Itoa(l.size.many)), false, []shown{cost("12 300 × 20 MiB at once, CPU", "s/GiB", perGiB, 1, 0.7, 0.95), cost("12 the same, p99 wait for the 150", "ms", "p99_us", 1e-3, 0.3, 1)}},
		{"idle", "", "", l.idle(l.size.idle), true, []shown{most("13 idle session, PSS", "KiB", "server_pss_kib_each", 1, 8, 4)}},
		{"idle", "", "ecdsa", l.idle(l.size.idleTLS), true, []shown{most("14 idle session over TLS, PSS", "KiB", "server_pss_kib_each", 1, 40, 22)}},
		{"data", "small", "", brief(), false, []shown{cost("15 passive data connection, CPU", "µs", perOne, 1, 0.75, 1)}},
		{"data", "small", "", brief("--active"), false, []shown{cost("15 active data connection, CPU", "µs", perOne, 1, 0.75, 1)}},
		{"latency", "", "", brief(), false, []shown{cost("16 NOOP, p50", "µs", "p50_us", 1, 0.8, 1)}},
		{"pipeline", "", "", brief(), false, []shown{rate("17 NOOP pipelined", "/s", 2, 8), cost("17 NOOP pipelined, CPU", "µs", perOne, 1, 0, 0)}},
		{"get-text", "text", "", brief(), false, []shown{cost("18 RETR in TYPE A, CPU", "s/GiB", perGiB, 1, 1.5, 2.5)}},
	}
}

// forks holds the servers that have one or two processes for each session.
const forks = "vsftpd proftpd pure-ftpd"

func (l *lab) idle(n int) func(string) []string {
	return func(name string) []string {
		m := n
		if strings.Contains(forks, name) {
			m = min(n, l.size.forked)
		}
		return []string{"--time", "60s", "--sessions", strconv.Itoa(m)}
	}
}

// tree returns the directory that a row reads, or an empty one for uploads.
func (l *lab) tree(name string) string {
	return l.dir("tree-"+name, func(dir string) {
		switch name {
		case "":
			check(l.tb, os.Chmod(dir, 0o777))
		case "big":
			l.file(filepath.Join(dir, "big"), l.size.large)
		case "quarter":
			l.file(filepath.Join(dir, "quarter"), l.size.tls)
		case "text":
			l.file(filepath.Join(dir, "text"), l.size.text)
		case "twenty":
			l.file(filepath.Join(dir, "twenty"), l.size.twenty)
		case "small":
			l.file(filepath.Join(dir, "small"), l.size.small)
			l.file(filepath.Join(dir, "empty"), 0)
		case "ten":
			l.files(dir, l.size.ten, 0)
		case "hundred":
			l.files(dir, l.size.hundred, 0)
		default:
			l.tb.Fatalf("unknown tree %q", name)
		}
	})
}

// names returns the servers to measure, miniftp first.
func names() []string {
	all := []string{"miniftp"}
	for name := range strings.SplitSeq(*with, ",") {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// options returns the options of a server for a row.
func (l *lab) options(r serverRow) peers.Options {
	opts := peers.Options{ReadOnly: r.dir != ""}
	if r.tls != "" {
		opts.TLS = peers.Explicit
		opts.Certs = map[string]*peers.Certs{"ecdsa": l.ecdsa, "rsa": l.rsa}[r.tls]
	}
	return opts
}

// servers measures all rows of the servers.
func (l *lab) servers() string {
	var out strings.Builder
	var missing notes
	columns := names()
	lowest, worst := 0.0, ""
	fmt.Fprintf(&out, "%d interleaved rounds, medians; %s. The spread is that of miniftp's own rounds.\n\n%s", *rounds, setting(), head(columns))
	for _, r := range l.serverRows() {
		if !strings.Contains(r.shown[0].title, *only) {
			continue
		}
		results := l.serverRow(r, columns, &missing)
		for _, s := range r.shown {
			figures := make([][]float64, len(columns))
			for i := range columns {
				for _, res := range results[i] {
					figures[i] = append(figures[i], res[s.field]*s.scale)
				}
			}
			line, ratio := s.line(figures, make([]string, len(columns)))
			say("%s", strings.TrimSpace(line))
			out.WriteString(line)
			if ratio > 0 && (ratio < lowest || worst == "") {
				lowest, worst = ratio, s.title
			}
		}
	}
	m := measure{hold: 0.5, aim: 0.8}
	fmt.Fprintf(&out, "\n26 The lowest ratio is %s, of %s (%s: %s).\n", number(lowest), worst, m.goal(), m.mark(lowest, lowest))
	return out.String() + missing.String()
}

// serverRow runs a row: in each round, the servers take turns. A server that fails is not measured
// for the rest of the row.
func (l *lab) serverRow(r serverRow, columns []string, missing *notes) [][]result {
	root := l.tree(r.dir)
	results := make([][]result, len(columns))
	failed := make([]bool, len(columns))
	targets := make([]*target, len(columns))
	s := &scope{TB: l.tb}
	defer s.close()
	run := func(i int) (problem string) {
		if targets[i] == nil {
			if problem = s.try(func() { targets[i] = l.serve(s, columns[i], root, l.options(r)) }); problem != "" {
				return problem
			}
		}
		res, problem := l.load(targets[i], r.bench, "", r.flags(columns[i])...)
		if problem == "" {
			results[i] = append(results[i], res)
		}
		return problem
	}
	n := *rounds
	if r.fresh {
		n = 1
	}
	for round := range n {
		for turn := range columns {
			i := (turn + round) % len(columns)
			if failed[i] {
				continue
			}
			if problem := run(i); problem != "" {
				failed[i], results[i] = true, nil
				missing.add("%s, %s: %s", r.shown[0].title, columns[i], problem)
				say("%s, %s: %s", r.shown[0].title, columns[i], problem)
			}
		}
	}
	return results
}
