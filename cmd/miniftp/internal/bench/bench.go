// Package bench is the verb bench: it measures a server by load, on control connections of its own
// that keep no more than is measured.
//
// It stands on connect and term.
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

// The bounds of what bench can be asked for.
const (
	mostBenchSize     = 64 << 30
	mostBenchSessions = 10_000
	mostBenchAtOnce   = 1000
	mostBenchEntries  = 1_000_000
	mostBenchCount    = 1_000_000_000
)

// load is what bench is asked for.
type load struct {
	rows     []loadRow
	size     int64 // bytes of a large file
	entries  int   // of the directory that is listed
	sessions int   // of idle and many
	atOnce   int   // logins at a time
	count    int64 // operations of a row; 0: no bound
	time     time.Duration
}

// benchmark is one run of bench.
type benchmark struct {
	load

	e      *verb.Env
	ctx    context.Context
	r      *ftp.URL
	opts   client.Options
	host   string // as in the URL: certificates are for it
	dialer net.Dialer
	addrs  []netip.AddrPort // where the control connection may go to; none: through a proxy
	target *serverProcess   // of --server-pid; nil: none
	files  *testFiles
	oldWay oldVerbs
	status *status
}

// Command returns the verb bench.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure a server under load", ArgsUsage: "URL",
		Flags: connect.Flags(
			&cli.StringFlag{Name: "only", Usage: "the `ROWS` to run, such as login,get-small", DefaultText: "all"},
			flags.Duration("time", 2*time.Second, "", "end a row after `DURATION`; what has begun is finished first"),
			&cli.IntFlag{Name: "count", Usage: "end a row after `N` operations, if its time is not over before", DefaultText: "0, no bound"},
			&cli.StringFlag{Name: "size", Value: "256M", Usage: "`BYTES` of a large file: 256M is 256 MiB; a text has at most a quarter of it"},
			&cli.IntFlag{Name: "at-once", Value: 16, Usage: "`N` logins at a time"},
			&cli.IntFlag{Name: "sessions", Value: 100, Usage: "`N` sessions of the rows idle and many"},
			&cli.IntFlag{Name: "entries", Value: 1000, Usage: "`N` files in the directory that is listed"},
			&cli.IntFlag{Name: "server-pid", Usage: "measure the processor time and the memory of process `PID` and its children, on this machine (Linux)", DefaultText: "none"},
			&cli.BoolFlag{Name: "yes", Usage: "load a host other than this machine, too: only one that is yours"},
		),
		Description: flags.Examples("Puts load on any FTP server, row by row: "+rowNames()+". "+
			"It uploads what it needs to a new directory below the URL's, and removes that again; where it may not upload, it reads what is there. "+
			"A row that is not over --timeout after its time has failed. Hosts other than this machine are refused without --yes.\n"+
			"--json prints one object: url, greeting, protection, mode and rows. A row has name, n (operations), seconds, bytes, rate and its unit; "+
			"p50_us, p99_us and max_us (time of an operation, in many the wait for the 150); first_us (first byte of a listing, median); "+
			"finish_p50_us and finish_p99_us (many); entries (of one listing); server_cpu_s, server_cpu_us_each (an operation, in listings an entry) or server_cpu_s_per_gib; "+
			"server_pss_kib, server_rss_kib and server_pss_kib_each (idle); own_cpu_s (of this program); failures, error and left_out.",
			"miniftp bench --time 200ms --only login,latency,get-small ftp://127.0.0.1:2121/",
			"miniftp bench --size 16M --only get-large,put-large ftp://127.0.0.1:2121/",
			"miniftp bench --json --time 200ms --only mlsd,data ftp://127.0.0.1:2121/"),
		Action: func(c *cli.Context) error { return run(e, c) },
	}
}

// notForBench are client flags that would be measured too, or that a bare client has no use for.
var notForBench = []string{"ascii", "parallel", "mode", "level", "retries", "rate", "keep-alive", "charset", "explain", "verbose", "record"}

func run(e *verb.Env, c *cli.Context) error {
	for _, name := range notForBench {
		if flags.Asked(c, name) {
			return verb.Usagef("bench takes no --%s: its client does as little as it can", name)
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

// whileRead returns a context that ends when standard output can't be written any more.
// Until stop is called, a closed pipe does not end the program at once.
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

// prepare finds the host, which has to be this one unless the user says otherwise, and
// reads the flags of a connection.
func (b *benchmark) prepare(c *cli.Context) error {
	host, port, err := net.SplitHostPort(b.r.Addr)
	if err != nil {
		return err
	}
	b.host = host
	if through := connect.ProxyName(c, b.r); through != "" {
		if !c.Bool("yes") {
			return verb.Usagef("bench would go through the proxy %s, to a host that may not be this one: --yes says that it is yours to load, --proxy none goes straight", through)
		}
	} else if err = b.resolve(port, c.Bool("yes")); err != nil {
		return err
	}
	if b.opts, err = connect.ByHand(b.e, c, b.r); err != nil {
		return err
	}
	debug.SetGCPercent(400) // memory is no matter here; the processor is the server's
	return nil
}

// resolve finds the addresses that may be loaded.
func (b *benchmark) resolve(port string, anywhere bool) error {
	ctx, cancel := context.WithTimeout(b.ctx, client.DefaultTimeout)
	defer cancel()
	all, err := connect.Addresses(ctx, b.host)
	if err != nil {
		return verb.At(b.r.String(), &client.ConnectError{Addr: b.r.Addr, Err: pi.Cause(err)})
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return verb.Usagef("%q is no port", port)
	}
	for _, a := range all {
		if a = a.Unmap(); !a.IsLoopback() && !anywhere {
			return verb.Usagef("%s is not this machine (%v): bench is no load for other people's servers; --yes says that it is yours", b.host, a)
		}
		b.addrs = append(b.addrs, netip.AddrPortFrom(a, uint16(n)))
	}
	return nil
}

// loadSize reads the flags that say how much.
func loadSize(c *cli.Context) (l load, err error) {
	if l.rows, err = chosenRows(c.String("only")); err != nil {
		return l, err
	}
	if l.time = c.Duration("time"); l.time <= 0 || l.time > 24*time.Hour {
		return l, verb.Usagef("--time %v: it is more than nothing and at most a day", l.time)
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
			return l, verb.Usagef("--%s %d: it is a number from %d to %d", f.name, *f.to, f.least, f.most)
		}
	}
	if l.count = int64(c.Int("count")); l.count < 0 || l.count > mostBenchCount {
		return l, verb.Usagef("--count %d: it is a number from 0, no bound, to %d", l.count, mostBenchCount)
	}
	return l, nil
}

// chosenRows are those of --only, in the order in which they always run.
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

// rowNames lists all rows.
func rowNames() string {
	var names []string
	for _, r := range allRows() {
		names = append(names, r.name)
	}
	return strings.Join(names, ", ")
}

// parseSize reads 1000, 4K, 256M or 2GiB; the units are powers of 1024.
func parseSize(s string) (int64, error) {
	n, err := flags.ParseSize(s, 1024)
	if err != nil || n < 1 || n > mostBenchSize {
		return 0, verb.Usagef("--size %q: it is written as 500K, 256M or 1GiB, and at most 64G", s)
	}
	return n, nil
}

// run runs the rows. Behind a refusal it goes on with the next one.
func (b *benchmark) run(shown *display) (err error) {
	defer func() { err = b.leave(err) }()
	if err = b.begin(shown); err != nil {
		return b.told(b.r.String(), err)
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
		problem = b.told(b.r.String()+": "+row.name, problem)
		if !goesOn(problem) {
			return verb.FirstError(err, problem)
		}
		b.e.SayError(problem)
		err = verb.FirstError(err, verb.Reported{Err: problem})
	}
	return err
}

// leave removes what was uploaded. What stays behind is told in the line that ends
// the run, if there is one.
func (b *benchmark) leave(err error) error {
	left := b.cleanUp()
	switch {
	case left == nil:
	case b.ctx.Err() != nil:
		b.e.Say(b.e.Message(left.Error())) // SayError is silent behind an interrupt
	case err == nil:
		return left
	case errors.As(err, new(verb.Reported)):
		b.e.SayError(left)
	default:
		return fmt.Errorf("%w; %s", err, left.Error())
	}
	return err
}

// told is an error with what can be done about it, and the place where it happened.
func (b *benchmark) told(where string, err error) error {
	return verb.At(where, connect.TLSHint(connect.LoginHint(err, b.opts), b.opts))
}

// goesOn reports whether another row may get on better: it does behind a refusal,
// nothing does without a server.
func goesOn(err error) bool {
	var reply *ftp.Error
	return errors.As(err, &reply) && reply.Code != 421 && !verb.Fatal(err)
}
