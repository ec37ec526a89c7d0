package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	xterm "golang.org/x/term"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Top returns the verb top.
func Top(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "top", Usage: "show the sessions of a running server, the fastest first",
		Flags: server(),
		Description: flags.Examples("Shows what miniftp who lists, every second anew, sorted by the rate of the transfers. q or Ctrl-C ends it. If standard output is not a terminal, it prints the table once.",
			"miniftp top",
			"miniftp top --socket /run/miniftp/control.sock"),
		Action: func(c *cli.Context) error { return runTop(e, c) },
	}
}

// topEvery is the time between two tables.
const topEvery = time.Second

// rates computes the current rates of sessions from two looks at them.
type rates struct {
	at         time.Time
	of         map[uint64]int64 // bytes per second, by session
	sent, recv int64            // the same, of all sessions
}

// look updates the rates, and the rates of the running transfers in all. It sorts all by rate.
func (r *rates) look(all []sessions.Info, now time.Time, before []sessions.Info) {
	took := now.Sub(r.at).Seconds()
	old := map[uint64]*sessions.Info{}
	for i := range before {
		old[before[i].ID] = &before[i]
	}
	first := r.at.IsZero()
	r.at, r.of, r.sent, r.recv = now, map[uint64]int64{}, 0, 0
	for i := range all {
		in := &all[i]
		was := old[in.ID]
		if was == nil {
			was = &sessions.Info{}
		}
		if first || took <= 0 { // there is no earlier look: use the average
			if in.Doing != nil {
				r.of[in.ID] = in.Doing.Rate
			}
			continue
		}
		sent, recv := float64(max(0, in.Sent-was.Sent))/took, float64(max(0, in.Received-was.Received))/took
		r.of[in.ID] = int64(sent + recv)
		r.sent += int64(sent)
		r.recv += int64(recv)
		if in.Doing != nil && in.Doing.Mode != "" {
			in.Doing.Rate = r.of[in.ID]
		}
	}
	slices.SortStableFunc(all, func(a, b sessions.Info) int { return cmp.Compare(r.of[b.ID], r.of[a.ID]) })
}

func runTop(e *verb.Env, c *cli.Context) error {
	cl, err := dial(c)
	if err != nil {
		return err
	}
	var r rates
	if !term.IsTerminal(e.Out) {
		all, err := cl.Sessions(c.Context)
		if err != nil {
			return err
		}
		r.look(all, time.Now(), nil)
		return write(e, join(table(all, term.Width(e.Out), false, time.Now())))
	}
	restore, keys := rawKeys(e.In)
	// The other screen of the terminal, so that what was there comes back; without a cursor.
	fmt.Fprint(e.Out, "\x1b[?1049h\x1b[?25l")
	defer func() {
		fmt.Fprint(e.Out, "\x1b[?25h\x1b[?1049l")
		restore()
	}()
	return refresh(c.Context, e, cl, &r, keys)
}

// refresh draws the table until a key ends it.
func refresh(ctx context.Context, e *verb.Env, cl *control.Client, r *rates, keys <-chan byte) error {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	var before []sessions.Info
	for {
		about, err := cl.About(ctx)
		var all []sessions.Info
		if err == nil {
			all, err = cl.Sessions(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return verb.ErrStopped
		case err != nil:
			return err
		}
		r.look(all, time.Now(), before)
		before = all
		if err := draw(e.Out, about, all, r); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return verb.ErrStopped
		case k := <-keys:
			if strings.IndexByte("qQ\x03\x04", k) >= 0 {
				return verb.ErrStopped
			}
		}
	}
}

// draw writes one picture of the screen.
func draw(w io.Writer, about control.About, all []sessions.Info, r *rates) error {
	width, height := term.Width(w), 24
	if f, ok := term.File(w); ok {
		if _, n, err := xterm.GetSize(int(f.Fd())); err == nil && n > 0 {
			height = n
		}
	}
	facts := []string{count(len(all)), "out " + term.Size(r.sent) + "/s", "in " + term.Size(r.recv) + "/s", "q ends", about.Name}
	if about.Draining {
		facts = append([]string{"draining"}, facts...)
	}
	head := facts[0]
	for _, fact := range facts[1:] {
		if longer := head + " · " + fact; term.Cells(longer) <= width {
			head = longer
		}
	}
	lines := append([]string{head, ""}, table(all, width, false, time.Now())...)
	if len(lines) > height {
		more := len(lines) - height + 1
		lines = append(lines[:height-1], term.Truncate(fmt.Sprintf("and %d more sessions", more), width, ""))
	}
	text := strings.Join(lines, "\x1b[K\r\n") + "\x1b[K"
	if !term.UTF8() {
		text = term.ASCII(text)
	}
	_, err := io.WriteString(w, "\x1b[H"+text+"\x1b[J")
	return err
}

// rawKeys makes a terminal deliver keys at once, Ctrl-C included, and returns them. If in is not a terminal, there are
// no keys. The read can't be interrupted; it ends with the process.
func rawKeys(in io.Reader) (restore func(), keys <-chan byte) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(f) {
		return func() {}, nil
	}
	was, err := xterm.MakeRaw(int(f.Fd()))
	if err != nil {
		return func() {}, nil
	}
	all := make(chan byte)
	go func() {
		for b := make([]byte, 1); ; {
			if n, err := f.Read(b); n == 0 || err != nil {
				return
			}
			all <- b[0]
		}
	}()
	return func() { _ = xterm.Restore(int(f.Fd()), was) }, all
}
