package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/internal/calm"
)

// loadRow is one kind of load. It makes one row of the table.
type loadRow struct {
	name  string
	unit  string // of its rate
	files bool   // it needs the directory of the run
	many  bool   // it has many sessions at once
	run   func(b *benchmark, f *figures) error
}

// pipelined is how many NOOPs are sent in one write.
const pipelined = 50

// allRows returns all rows in the order in which they run.
func allRows() []loadRow {
	return []loadRow{
		{"login", "/s", false, true, (*benchmark).runLogin},
		{"get-small", "files/s", true, false, fetchRow("I", smallFile)},
		{"put-small", "files/s", true, false, storeRow(smallFile)},
		{"get-large", "MB/s", true, false, fetchRow("I", largeFile)},
		{"put-large", "MB/s", true, false, storeRow(largeFile)},
		{"get-text", "MB/s", true, false, fetchRow("A", textFile)},
		{"data", "/s", true, false, fetchRow("I", emptyFile)},
		{"list", "entries/s", true, false, listRow("LIST")},
		{"mlsd", "entries/s", true, false, listRow("MLSD")},
		{"latency", "/s", false, false, (*benchmark).runLatency},
		{"pipeline", "/s", false, false, (*benchmark).runPipeline},
		{"idle", "/s", false, true, (*benchmark).runIdle},
		{"many", "MB/s", true, true, (*benchmark).runMany},
	}
}

// leftOut is returned if a row can't be run with this server, which is not a failure.
type leftOut struct{ why string }

func (l leftOut) Error() string { return l.why }

// measure runs a row.
func (b *benchmark) measure(row loadRow) (*figures, error) {
	f := &figures{row: row}
	calm.Client(!row.many) // the programs that people use have one thread for a session
	err := row.run(b, f)
	var out leftOut
	switch {
	case errors.As(err, &out):
		f.leftOut = out.why
		return f, nil
	case err != nil:
		f.problem = err.Error()
	case f.first != nil && b.ctx.Err() == nil:
		f.problem = f.first.Error()
		b.e.Note("%s: %d of %d failed: %s", row.name, f.failures, f.n+f.failures, f.problem)
	}
	return f, err
}

// rowContext returns the context of a row's load. When it ends, the row has failed.
func (b *benchmark) rowContext(f *figures) (context.Context, context.CancelFunc) {
	limit := b.time + b.opts.Timeout
	return context.WithTimeoutCause(b.ctx, limit, late(f.row.name+" did not end", limit))
}

// preparing returns a context for preparations, which ends if moved is not called for --timeout.
func (b *benchmark) preparing(what string) (ctx context.Context, moved func(), done func()) {
	ctx, cancel := context.WithCancelCause(b.ctx)
	wait := b.opts.Timeout
	t := time.AfterFunc(wait, func() { cancel(late(what+" made no progress", wait)) })
	return ctx, func() { t.Reset(wait) }, func() { t.Stop(); cancel(nil) }
}

// repeat runs step again and again in one session, in the directory of the files, until the row ends. Each step
// counts as n operations.
func (b *benchmark) repeat(f *figures, typ string, n int64, step func(u *session) error) error {
	ctx, cancel := b.rowContext(f)
	defer cancel()
	u, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer u.cut()
	if f.row.files {
		if err = u.enterDir(b.files.at); err == nil && typ != "I" {
			err = u.do("TYPE", typ)
		}
	}
	if err != nil {
		return err
	}
	m := b.measuring(f)
	for m.another(f.n) {
		start := time.Now()
		if err = step(u); err != nil {
			break
		}
		f.times.add(time.Since(start))
		f.n += n
	}
	m.stop()
	if err == nil {
		err = u.quit()
	}
	return err
}

// fetchRow returns the load of downloading one file again and again.
func fetchRow(typ, kind string) func(b *benchmark, f *figures) error {
	return func(b *benchmark, f *figures) error {
		file, err := b.need(kind)
		if err != nil {
			return err
		}
		f.perGiB = kind == largeFile || kind == textFile
		size := file.size
		if typ == "A" { // the server may convert line ends
			size = -1
		}
		return b.repeat(f, typ, 1, func(u *session) error { return u.retrieve("RETR", file.name, size, f) })
	}
}

// storeRow returns the load of uploading a file again and again, under one name.
func storeRow(kind string) func(b *benchmark, f *figures) error {
	return func(b *benchmark, f *figures) error {
		if b.files.refused != "" {
			return leftOut{b.files.refused}
		}
		f.perGiB = kind == largeFile
		size, name := b.fileSize(kind), "up-"+kind
		b.files.add(name)
		return b.repeat(f, "I", 1, func(u *session) error {
			err := u.store(name, size, chunk())
			if err == nil {
				f.bytes += size
			}
			return err
		})
	}
}

// listRow returns the load of listing a directory again and again.
func listRow(verb string) func(b *benchmark, f *figures) error {
	return func(b *benchmark, f *figures) error {
		dir, entries, err := b.needEntries(verb)
		if err != nil {
			return err
		}
		f.entries = entries
		err = b.repeat(f, "I", 1, func(u *session) error { return u.retrieve(verb, dir, -1, f) })
		var reply *ftp.Error
		if f.n == 0 && errors.As(err, &reply) && reply.Verb == verb && unknownVerb(reply.Code) {
			return leftOut{"the server does not support " + verb}
		}
		return err
	}
}

// runLatency sends NOOP and waits for the reply, again and again.
func (b *benchmark) runLatency(f *figures) error {
	return b.repeat(f, "I", 1, func(u *session) error { return u.do("NOOP", "") })
}

// runPipeline sends many NOOPs at once and then reads the replies, again and again.
func (b *benchmark) runPipeline(f *figures) error {
	cmds := slices.Repeat([]ftp.Command{{Verb: "NOOP"}}, pipelined)
	return b.repeat(f, "I", pipelined, func(u *session) error {
		if err := u.pi.Write(cmds...); err != nil {
			return u.lost(err)
		}
		for range pipelined {
			if err := u.finish("NOOP"); err != nil {
				return err
			}
		}
		return nil
	})
}

// runLogin logs in and out, several at a time.
func (b *benchmark) runLogin(f *figures) error {
	ctx, cancel := b.rowContext(f)
	defer cancel()
	m := b.measuring(f)
	var begun atomic.Int64
	var wg sync.WaitGroup
	for range b.atOnce {
		wg.Go(func() {
			for m.another(begun.Add(1) - 1) {
				start := time.Now()
				u, err := b.enter(ctx)
				if err == nil {
					err = u.quit()
				}
				if err != nil {
					f.failed(err)
					return
				}
				f.done(time.Since(start))
			}
		})
	}
	wg.Wait()
	m.stop()
	return f.verdict()
}

// enterAll opens all sessions, several at a time, and runs each for every one. If that fails for a session, the
// failure is counted and the session is nil.
func (b *benchmark) enterAll(ctx context.Context, f *figures, each func(u *session) error) []*session {
	all := make([]*session, b.sessions)
	b.several(len(all), func(i int) error {
		start := time.Now()
		u, err := b.enter(ctx)
		if err == nil {
			if err = each(u); err == nil {
				all[i] = u
				f.timed(time.Since(start))
				return nil
			}
			u.cut()
		}
		f.failed(err)
		return ctx.Err()
	})
	return all
}

// several runs do for 0 to n-1 in --at-once goroutines. An error ends the goroutine.
func (b *benchmark) several(n int, do func(i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(b.atOnce, n) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if do(int(i)) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

// quitAll ends all sessions.
func (b *benchmark) quitAll(all []*session) {
	b.several(len(all), func(i int) error {
		if all[i] != nil {
			_ = all[i].quit()
		}
		return nil
	})
}

// runIdle opens sessions and leaves them open.
func (b *benchmark) runIdle(f *figures) error {
	ctx, cancel := b.rowContext(f)
	defer cancel()
	first, err := b.enter(ctx) // not measured: the first session may cost the server more than others
	if err != nil {
		return err
	}
	defer first.cut()
	m := b.measuring(f)
	all := b.enterAll(ctx, f, func(*session) error { return nil })
	f.n = int64(b.sessions) - f.failures
	m.stop()
	if f.n > 0 && f.memory.pss > 0 {
		each := float64(f.memory.pss-m.before.pss) / float64(f.n)
		f.pssEach = &each
	}
	b.quitAll(all)
	return verb.FirstError(f.verdict(), first.quit())
}

// runMany downloads a file in all sessions at once, again and again. The data connections are negotiated before
// each round, which is not measured.
func (b *benchmark) runMany(f *figures) error {
	file, err := b.need(oneFile)
	if err != nil {
		return err
	}
	f.perGiB, f.atOnce = true, b.sessions
	ctx, cancel := b.rowContext(f)
	defer cancel()
	all := b.enterAll(ctx, f, func(u *session) error { return u.enterDir(b.files.at) })
	defer func() { b.quitAll(all) }()
	// Negotiating between two rounds is not measured, but counts for the time limit.
	begun := time.Now()
	for again := true; again; again = f.failures == 0 && time.Since(begun) < b.time && (b.count == 0 || f.n < b.count) {
		b.several(len(all), func(i int) error { return f.keep(all, i, (*session).negotiate) })
		m := b.measuring(f)
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				_ = f.keep(all, i, func(u *session) error { return u.fetch("RETR", file.name, file.size, f) })
			})
		}
		wg.Wait()
		f.n = f.wholes.n
		m.stop()
	}
	f.times = f.waits
	return f.verdict()
}

// keep runs do for one of several sessions. If that fails, the failure is counted, the session is closed, and
// its element becomes nil.
func (f *figures) keep(all []*session, i int, do func(u *session) error) error {
	u := all[i]
	if u == nil {
		return nil
	}
	err := do(u)
	if err != nil {
		f.failed(err)
		u.cut()
		all[i] = nil
	}
	return u.ctx.Err()
}

// verdict returns the error of a row that counts failures: the first one, if nothing succeeded.
func (f *figures) verdict() error {
	if f.n == 0 && f.first != nil {
		return f.first
	}
	return nil
}

// header holds what is printed above the table.
type header struct {
	url, greeting, protection, mode string
}

// begin logs in once to see how the server greets, makes the run's directory if a row needs it, and prints the
// header.
func (b *benchmark) begin(shown *display) error {
	ctx, moved, done := b.preparing("the login")
	defer done()
	u, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer u.cut()
	u.moved = moved
	if b.opts.Dial == nil {
		b.addrs = append(b.addrs[:0], u.pi.Control().Remote)
	}
	h := header{url: b.r.String(), greeting: u.greeting.String(), protection: "clear", mode: b.opts.Mode.String()}
	if cs, ok := u.pi.TLS(); ok {
		h.protection = tls.VersionName(cs.Version)
	}
	if slices.ContainsFunc(b.rows, func(r loadRow) bool { return r.files }) {
		if err = b.makeDir(u); err != nil {
			return err
		}
	}
	shown.head(h)
	return u.quit()
}
