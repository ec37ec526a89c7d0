package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// oneWay is half the round-trip time of the relay.
const oneWay = 20 * time.Millisecond

// clientRow is a task for all clients.
type clientRow struct {
	do       string
	tree     string // what is transferred: a directory, or with get and put the one file in it
	files    int
	size     int64 // of each file
	sessions int
	far      bool // through the relay with the long round-trip time
	own      bool // only with miniftp's client and server
	plain    bool // miniftp copies with get -r or put -r, as most clients do, and not with mirror
	shown    []clientFigure
}

// clientFigure is a figure of a row.
type clientFigure struct {
	measure
	of func(s spent, files int) float64
}

// title returns the title of a row.
func (r clientRow) title() string { return r.shown[0].title }

// once reports whether the row is measured only once, because the round trips determine its time
// or because it takes long.
func (r clientRow) once() bool { return r.far || r.own }

func wall(s spent, _ int) float64  { return s.wall }
func cpu(s spent, _ int) float64   { return s.cpu }
func rss(s spent, _ int) float64   { return s.rss }
func calls(s spent, _ int) float64 { return s.calls }
func trips(s spent, n int) float64 { return s.wall / (2 * oneWay).Seconds() / float64(n) }

// tripsEach100 returns the number of round trips for each hundred files.
func tripsEach100(s spent, n int) float64 { return 100 * trips(s, n) }

func (l *lab) clientRows() []clientRow {
	cost := func(title, unit string, hold, aim float64, of func(spent, int) float64) clientFigure {
		return clientFigure{measure{title, unit, true, hold, aim, false}, of}
	}
	most := func(title, unit string, hold, aim float64, of func(spent, int) float64) clientFigure {
		return clientFigure{measure{title, unit, true, hold, aim, true}, of}
	}
	file := func(title, do, tree string, size int64, sessions int, far bool, shown ...clientFigure) clientRow {
		return clientRow{do, tree, 1, size, sessions, far, false, false, append([]clientFigure{cost(title, "s", 1, 1.1, wall)}, shown...)}
	}
	dir := func(title, do, tree string, n, sessions int, far bool, hold, aim float64, shown ...clientFigure) clientRow {
		return clientRow{do, tree, n, 4 << 10, sessions, far, false, false, append([]clientFigure{cost(title, "s", hold, aim, wall)}, shown...)}
	}
	s := l.size
	rows := []clientRow{
		file("19 get 1 GiB", get, "big", s.large, 1, false, cost("19 the same, CPU", "s", 1.1, 1.4, cpu), most("25 the same, peak RSS", "MiB", 14, 10, rss)),
		file("20 put 1 GiB", put, "big", s.large, 1, false, cost("20 the same, CPU", "s", 0.8, 1, cpu), most("25 the same, peak RSS", "MiB", 14, 10, rss)),
	}
	for _, do := range []string{down, up} {
		rows = append(rows,
			dir("21 1000 × 4 KiB "+do, do, "thousand", s.mirror, 1, false, 0.9, 1.3, cost("21 the same, CPU", "s", 0, 0, cpu)),
			dir("21 1000 × 4 KiB "+do+", 8 sessions", do, "thousand", s.mirror, 8, false, 0.9, 1.3))
	}
	for i, do := range []string{down, up} {
		plain := dir("21 1000 × 4 KiB "+do+[]string{", get -r", ", put -r"}[i], do, "thousand", s.mirror, 1, false, 0.9, 1.3)
		plain.plain = true
		rows = append(rows, plain)
	}
	for i, do := range []string{down, up} {
		rows = append(rows,
			dir("22 50 × 4 KiB at 40 ms "+do, do, "fifty", s.slow, 1, true, 1.3, 1.8, cost("22 the same, round trips a file", "", 0, 0, trips)),
			dir("23 50 × 4 KiB at 40 ms "+do+", 8 sessions", do, "fifty", s.slow, 8, true, 1.1, []float64{1.5, 2}[i]))
	}
	for _, do := range []string{get, put} {
		r := file("24 "+do+" 256 MiB at 40 ms", do, "middle", s.middle, 1, true)
		r.shown[0].aim = 1
		rows = append(rows, r)
	}
	rows = append(rows, file("24 get 256 MiB at 40 ms, 4 sessions", get, "middle", s.middle, 4, true))
	for _, do := range []string{down, up} {
		r := dir("10,000 × 4 KiB at 40 ms "+do, do, "chain", s.chain, 1, true, 0, 0, most("the same, round trips for each hundred", "", 2, 2, tripsEach100), cost("the same, connections, the first one included", "", 0, 0, calls))
		r.own = true
		rows = append(rows, r)
	}
	for _, do := range []string{down, up} {
		rows = append(rows, clientRow{do, "tree", s.tree, 100, 1, false, true, false, []clientFigure{
			most("25 100,000 × 100 bytes in 100 directories "+do+", peak RSS", "MiB", 14, 10, rss), cost("the same", "s", 0, 0, wall),
		}})
	}
	return rows
}

// clientServers holds the servers with which the clients are measured.
var clientServers = []string{"miniftp", "vsftpd"}

// field is a server for the clients, both directly and through a relay.
type field struct {
	target *target
	near   string // the address of the server
	far    string // the address of the relay
	relay  *relay // nil if there is none
	work   *lab
	scope  *scope
}

// passive is the number of ports for data connections of a server. A relay has a listener for
// each.
const passive = 200

// newField starts a server and a relay in front of it. The relay has another address and the same
// ports, so replies to EPSV are correct for both. If far is true, replies to PASV contain the
// address of the relay.
func (l *lab) newField(s *scope, name, root string, far bool) *field {
	const behind = "127.0.0.2"
	first := testutil.FreePorts(s, passive)
	opts := peers.Options{PassivePorts: fmt.Sprintf("%d-%d", first, first+passive-1)}
	if far {
		opts.PublicIP = behind
	}
	f := &field{target: l.serve(s, name, root, opts), work: l, scope: s}
	f.near, f.far = f.target.addr, f.target.addr
	if far {
		f.relay = newRelay(s, oneWay)
		f.far = f.relay.forward(s, behind+":0", f.target.addr)
		for port := int(first); port < int(first)+passive; port++ {
			own := fmt.Sprintf(":%d", port)
			f.relay.forward(s, behind+own, "127.0.0.1"+own)
		}
	}
	return f
}

// calls returns the number of connections through the relay so far.
func (f *field) calls() float64 {
	if f.relay == nil {
		return 0
	}
	return float64(f.relay.calls.Load())
}

// clients measures all rows of the clients.
func (l *lab) clients() string {
	var out strings.Builder
	var missing notes
	fmt.Fprintf(&out, "%d interleaved rounds, of rows at 40 ms and those of miniftp alone one; medians; %s.\n", *rounds, setting())
	for _, server := range clientServers {
		fmt.Fprintf(&out, "\nWith %s as the server:\n\n%s", server, head(clientNames))
		for _, r := range l.clientRows() {
			if !strings.Contains(r.title(), *only) || r.own && server != "miniftp" {
				continue
			}
			for _, line := range l.clientRow(r, server, &missing) {
				say("%s: %s", server, strings.TrimSpace(line))
				out.WriteString(line)
			}
		}
	}
	return out.String() + missing.String()
}

// cell holds the results of one client in a row.
type cell struct {
	runs []spent
	word string // shown instead of figures
	why  string
}

// clientRow runs a row with one server and returns its lines.
func (l *lab) clientRow(r clientRow, server string, missing *notes) []string {
	root := l.dir("served", func(dir string) { check(l.tb, os.Chmod(dir, 0o777)) })
	l.clientTree(r, root)
	s := &scope{TB: l.tb}
	defer s.close()
	cells := make([]cell, len(clientNames))
	var f *field
	if problem := s.try(func() { f = l.newField(s, server, root, r.far) }); problem != "" {
		missing.add("%s: %s", server, problem)
		return nil
	}
	n := *rounds
	if r.once() {
		n = 1
	}
	for round := range n {
		f.round(r, cells, round)
	}
	words := make([]string, len(cells))
	for i, c := range cells {
		words[i] = c.word
		if c.why != "" {
			missing.add("%s, %s with %s: %s", r.title(), clientNames[i], server, c.why)
		}
	}
	var all []string
	for _, shown := range r.shown {
		figures := make([][]float64, len(cells))
		for i, c := range cells {
			for _, run := range c.runs {
				figures[i] = append(figures[i], shown.of(run, r.files))
			}
		}
		line, _ := shown.line(figures, words)
		all = append(all, line)
	}
	return all
}

// round runs each client once, one after the other. Through the relay, clients that transfer small
// files run concurrently, because they mostly wait.
func (f *field) round(r clientRow, cells []cell, round int) {
	var wg sync.WaitGroup
	for turn := range cells {
		i := (turn + round) % len(cells)
		c := &cells[i]
		if c.word != "" || r.own && clientNames[i] != "miniftp" {
			continue
		}
		do := func() {
			s := &scope{TB: f.scope.TB}
			defer s.close()
			problem := s.try(func() { c.add(f.once(s, r, clientNames[i])) })
			if problem != "" {
				c.word, c.why = "–", problem
			}
		}
		if r.far && r.files > 1 {
			wg.Go(do)
		} else {
			do()
		}
	}
	wg.Wait()
}

// add adds the result of a run.
func (c *cell) add(s *spent, err error) {
	switch {
	case s == nil && err == nil:
		c.word = "–"
	case errors.Is(err, errLate):
		c.runs, c.word = nil, fmt.Sprintf("> %.0f", s.wall)
	case err != nil:
		c.runs, c.word, c.why = nil, "failed", err.Error()
	default:
		c.runs = append(c.runs, *s)
	}
}

// once runs a client in a new directory and checks that all files have arrived. It returns nil
// if the client does not support the task.
func (f *field) once(s *scope, r clientRow, client string) (*spent, error) {
	target := f.work.dir("got-"+client, func(string) {})
	defer os.RemoveAll(target)
	w := work{do: r.do, plain: r.plain, files: r.files, sessions: r.sessions, remote: r.tree, local: target}
	if r.do == put || r.do == up {
		w.local = filepath.Join(f.target.root, r.tree)
		w.remote = "up-" + client
		target = filepath.Join(f.target.root, w.remote)
		check(s, os.Mkdir(target, 0o777))
		check(s, os.Chmod(target, 0o777))
		defer os.RemoveAll(target)
	}
	switch r.do {
	case get:
		w.remote, w.local = w.remote+"/"+fileName(1), w.local+"/"+fileName(1)
	case put:
		w.remote, w.local = w.remote+"/"+fileName(1), w.local+"/"+fileName(1)
	}
	addr, limit := f.near, 10*time.Second
	if r.far {
		addr = f.far
	}
	if r.far {
		limit = time.Minute
	}
	if r.own {
		limit = 2 * time.Minute
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, err
	}
	argv := f.work.command(client, w, addr, f.target)
	if argv == nil {
		return nil, nil
	}
	before := f.calls()
	took, err := runClient(installed(s, argv), s.TempDir(), limit)
	took.calls = f.calls() - before
	if err != nil {
		return &took, err
	}
	files, size, err := held(target)
	if err == nil && (files != r.files || size != int64(r.files)*r.size) {
		err = fmt.Errorf("received %d files with %d bytes, want %d with %d", files, size, r.files, int64(r.files)*r.size)
	}
	return &took, err
}

// clientTree creates the files for a row.
func (l *lab) clientTree(r clientRow, root string) {
	dir := filepath.Join(root, r.tree)
	if _, err := os.Stat(dir); err == nil {
		return
	}
	check(l.tb, os.Mkdir(dir, 0o755))
	if r.files == 1 {
		l.file(filepath.Join(dir, fileName(1)), r.size)
		return
	}
	if r.tree != "tree" {
		l.files(dir, r.files, r.size)
		return
	}
	const each = 100
	for i := range each {
		sub := filepath.Join(dir, fmt.Sprintf("d%02d", i))
		check(l.tb, os.Mkdir(sub, 0o755))
		l.files(sub, r.files/each, r.size)
	}
}
