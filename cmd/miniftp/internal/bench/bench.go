// Package bench implements the verb bench, which measures a server under load.
//
// Because the server usually runs on the same processor, the client must cost as little as possible. So the
// package does not use client.Client, but control connections without observers and bare sockets for data.
package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// The maximum values of flags.
const (
	mostBenchSize     = 64 << 30
	mostBenchSessions = 10_000
	mostBenchAtOnce   = 1000
	mostBenchEntries  = 1_000_000
	mostBenchCount    = 1_000_000_000
)

// load holds the settings of a run.
type load struct {
	rows     []loadRow
	size     int64 // bytes of a large file
	entries  int   // files in the directory that is listed
	sessions int   // sessions of the rows idle and many
	atOnce   int   // logins at a time
	count    int64 // operations per row, 0 for no limit
	time     time.Duration
}

// benchmark is one run of bench.
type benchmark struct {
	load

	e      *verb.Env
	ctx    context.Context
	r      *ftp.URL
	opts   client.Options
	host   string // of the URL; certificates must be for it
	dialer net.Dialer
	addrs  []netip.AddrPort // addresses for control connections; none if there is a proxy
	target *serverProcess   // of --server-pid; nil if not given
	files  *testFiles
	oldWay oldVerbs
	status *status
}

// Command returns the verb bench.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure a server under load", ArgsUsage: "URL",
		Flags: connect.Flags(
			&cli.StringFlag{Name: "only", Usage: "run only `ROWS`, such as login,get-small", DefaultText: "all"},
			flags.Duration("time", 2*time.Second, "", "end a row after `DURATION`; operations that have begun are finished first"),
			&cli.IntFlag{Name: "count", Usage: "end a row after `N` operations, if its time has not ended before", DefaultText: "0, no limit"},
			&cli.StringFlag{Name: "size", Value: "256M", Usage: "use large files of `BYTES` (256M is 256 MiB), and text files of a quarter of that"},
			&cli.IntFlag{Name: "at-once", Value: 16, Usage: "log in `N` times at once"},
			&cli.IntFlag{Name: "sessions", Value: 100, Usage: "open `N` sessions in the rows idle and many"},
			&cli.IntFlag{Name: "entries", Value: 1000, Usage: "list a directory of `N` files"},
			&cli.IntFlag{Name: "server-pid", Usage: "measure the processor time and the memory of process `PID` and its children, on this machine (Linux)", DefaultText: "none"},
			&cli.BoolFlag{Name: "yes", Usage: "allow a server on another host; use it only for servers of your own"},
		),
		Description: flags.Examples("Puts load on any FTP server, one row after the other: "+rowNames()+". In the row many, several files are downloaded at once. "+
			"It uploads the files that it needs to a new directory below that of the URL, and deletes them at the end. If it may not upload, it reads existing files. "+
			"A row fails if its last operation has not ended --timeout after the row's time. Servers on other hosts are refused without --yes.\n"+
			"--json prints one object: url, greeting, protection, mode and rows. A row has name, n (operations), seconds, bytes, rate and its unit; "+
			"p50_us, p99_us and max_us (time of an operation; in many, until the 150); first_us (median time until the first byte of a listing); "+
			"finish_p50_us and finish_p99_us (many); entries (of one listing); server_cpu_s, server_cpu_us_each (per operation, in listings per entry) or server_cpu_s_per_gib; "+
			"server_pss_kib, server_rss_kib and server_pss_kib_each (idle); own_cpu_s (of this program); failures, error and left_out (why the row was not run).",
			"miniftp bench --time 200ms --only login,latency,get-small ftp://127.0.0.1:2121/",
			"miniftp bench --size 16M --only get-large,put-large ftp://127.0.0.1:2121/",
			"miniftp bench --json --time 200ms --only mlsd,data ftp://127.0.0.1:2121/"),
		Action: func(c *cli.Context) error { return run(e, c) },
	}
}

// notForBench holds the client flags that would distort the results, or that the client of bench does not
// support.
var notForBench = []string{"ascii", "parallel", "mode", "level", "retries", "rate", "keep-alive", "charset", "explain", "verbose", "record"}

func run(e *verb.Env, c *cli.Context) error {
	for _, name := range notForBench {
		if flags.Asked(c, name) {
			return verb.Usagef("bench does not support --%s, because its client does as little as possible", name)
		}
	}
	r, err := target.Parse(c.Args().First())
	if err != nil {
		return err
	}
	l, err := loadSize(c)
	if err != nil {
		return err
	}
	target, err := newTarget(c)
	if err != nil {
		return err
	}
	ctx, stop := whileRead(c.Context, e)
	defer stop()
	b := &benchmark{
		load: l, e: e, ctx: ctx, r: r, target: target,
		dialer: net.Dialer{KeepAlive: -1},
		files:  &testFiles{dir: "miniftp-bench-" + randomName()},
		status: newStatus(e, c),
	}
	if err = b.prepare(c); err != nil {
		return err
	}
	shown := b.show(c)
	err = b.run(shown)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return verb.FirstError(shown.end(), err)
}

// whileRead returns a context that ends when standard output can no longer be written. Until stop is called,
// SIGPIPE does not kill the program, so that it can still delete its files on the server.
func whileRead(parent context.Context, e *verb.Env) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	out, ok := e.Out.(*verb.Output)
	if ok {
		out.Failed = cancel
	}
	return ctx, func() {
		cancel(nil)
		signal.Stop(pipe)
		if ok {
			out.Failed = nil
		}
	}
}

// prepare looks up the host, which must be this machine unless --yes is given, and reads the flags for
// connections.
func (b *benchmark) prepare(c *cli.Context) error {
	host, port, err := net.SplitHostPort(b.r.Addr)
	if err != nil {
		return err
	}
	b.host = host
	if through := connect.ProxyName(c, b.r); through != "" {
		if !c.Bool("yes") {
			return verb.Usagef("bench would connect through the proxy %s, to a host that may not be this machine: add --yes if the server is yours, or --proxy none to connect directly", through)
		}
	} else if err = b.resolve(port, c.Bool("yes")); err != nil {
		return err
	}
	if b.opts, err = connect.ByHand(b.e, c, b.r); err != nil {
		return err
	}
	debug.SetGCPercent(400) // spend memory rather than processor time, which the server needs
	return nil
}

// resolve looks up the addresses of the server. Unless anywhere is true, they must be of this machine.
func (b *benchmark) resolve(port string, anywhere bool) error {
	ctx, cancel := context.WithTimeout(b.ctx, client.DefaultTimeout)
	defer cancel()
	all, err := connect.Addresses(ctx, b.host)
	if err != nil {
		return verb.At(b.r.String(), &client.ConnectError{Addr: b.r.Addr, Err: pi.Cause(err)})
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return verb.Usagef("%q is not a port number", port)
	}
	for _, a := range all {
		if a = a.Unmap(); !a.IsLoopback() && !anywhere {
			return verb.Usagef("%s is not this machine (%v): bench must not be used on servers of other people; add --yes if the server is yours", b.host, a)
		}
		b.addrs = append(b.addrs, netip.AddrPortFrom(a, uint16(n)))
	}
	return nil
}

// loadSize returns the load that the flags ask for.
func loadSize(c *cli.Context) (l load, err error) {
	if l.rows, err = chosenRows(c.String("only")); err != nil {
		return l, err
	}
	if l.time = c.Duration("time"); l.time <= 0 || l.time > 24*time.Hour {
		return l, verb.Usagef("--time %v: must be greater than 0 and at most a day", l.time)
	}
	if l.size, err = parseSize(c.String("size")); err != nil {
		return l, err
	}
	for _, f := range []struct {
		name        string
		least, most int
		to          *int
	}{
		{"at-once", 1, mostBenchAtOnce, &l.atOnce},
		{"sessions", 1, mostBenchSessions, &l.sessions},
		{"entries", 1, mostBenchEntries, &l.entries},
	} {
		if *f.to = c.Int(f.name); *f.to < f.least || *f.to > f.most {
			return l, verb.Usagef("--%s %d: must be a number from %d to %d", f.name, *f.to, f.least, f.most)
		}
	}
	if l.count = int64(c.Int("count")); l.count < 0 || l.count > mostBenchCount {
		return l, verb.Usagef("--count %d: must be a number from 0 (no limit) to %d", l.count, mostBenchCount)
	}
	return l, nil
}

// chosenRows returns the rows named by --only, in the usual order.
func chosenRows(only string) ([]loadRow, error) {
	all := allRows()
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if !slices.ContainsFunc(all, func(r loadRow) bool { return r.name == names[i] }) {
			return nil, verb.Usagef("--only %q: the rows are %s", name, rowNames())
		}
	}
	return slices.DeleteFunc(all, func(r loadRow) bool { return !slices.Contains(names, r.name) }), nil
}

// rowNames returns the names of all rows.
func rowNames() string {
	var names []string
	for _, r := range allRows() {
		names = append(names, r.name)
	}
	return strings.Join(names, ", ")
}

// parseSize parses a size such as 1000, 4K, 256M or 2GiB. The units are powers of 1024.
func parseSize(s string) (int64, error) {
	n, err := flags.ParseSize(s, 1024)
	if err != nil || n < 1 || n > mostBenchSize {
		return 0, verb.Usagef("--size %q: must be a size such as 500K, 256M or 1GiB, at most 64G", s)
	}
	return n, nil
}

// run runs the rows. After a refusal it continues with the next row.
func (b *benchmark) run(shown *display) (err error) {
	defer func() { err = b.leave(err) }()
	if err = b.begin(shown); err != nil {
		return b.explained(b.r.String(), err)
	}
	for i, row := range b.rows {
		b.status.say("%s   %d of %d", row.name, i+1, len(b.rows))
		f, problem := b.measure(row)
		b.status.clear()
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		shown.row(f)
		if problem == nil {
			continue
		}
		problem = b.explained(b.r.String()+": "+row.name, problem)
		if !mayContinue(problem) {
			return verb.FirstError(err, problem)
		}
		b.e.SayError(problem)
		err = verb.FirstError(err, verb.Reported{Err: problem})
	}
	return err
}

// leave deletes the uploaded files. If that fails, it adds the reason to err or reports it.
func (b *benchmark) leave(err error) error {
	left := b.cleanUp()
	switch {
	case left == nil:
	case b.ctx.Err() != nil:
		b.e.Say(b.e.Message(left.Error())) // after an interrupt, SayError prints nothing
	case err == nil:
		return left
	case errors.As(err, new(verb.Reported)):
		b.e.SayError(left)
	default:
		return fmt.Errorf("%w; %s", err, left.Error())
	}
	return err
}

// explained returns err with what the user can do about it, and with the place where it happened.
func (b *benchmark) explained(where string, err error) error {
	return verb.At(where, connect.TLSHint(connect.LoginHint(err, b.opts), b.opts))
}

// mayContinue reports whether other rows may succeed after err: after a refusal they may, without a server
// they can't.
func mayContinue(err error) bool {
	var reply *ftp.Error
	return errors.As(err, &reply) && reply.Code != 421 && !verb.Fatal(err)
}
