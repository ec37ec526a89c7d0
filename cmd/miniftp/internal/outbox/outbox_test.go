package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp/server"
)

// inbox is a receiver that notes what it gets. answer, if not nil, is asked for the result of each delivery.
type inbox struct {
	answer func(e *Event) error
	mu     sync.Mutex
	got    []Event
	more   chan struct{}
}

func newInbox(answer func(e *Event) error) *inbox {
	return &inbox{answer: answer, more: make(chan struct{}, 1)}
}

func (b *inbox) receiver(key string) Receiver {
	return Receiver{Name: key, key: key, timeout: time.Minute, deliver: func(_ context.Context, e *Event, _ string) error {
		b.mu.Lock()
		b.got = append(b.got, *e)
		b.mu.Unlock()
		select {
		case b.more <- struct{}{}:
		default:
		}
		if b.answer != nil {
			return b.answer(e)
		}
		return nil
	}}
}

func (b *inbox) all() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// paths returns what has arrived, as kind and path.
func (b *inbox) paths() (all []string) {
	for _, e := range b.all() {
		all = append(all, strings.TrimSpace(e.Kind+" "+e.Path+" "+e.To))
	}
	return all
}

// await waits until ok, which is asked whenever something arrives.
func (b *inbox) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: got %q", what, b.paths())
		}
		select {
		case <-b.more:
		case <-tick.C:
		}
	}
}

func opened(t *testing.T, dir string, change func(c *Config), receivers ...Receiver) *Outbox {
	t.Helper()
	o := New()
	o.Use(Kinds, "")
	c := Config{Dir: dir, Size: 10 << 20, Receivers: receivers, Server: "here", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	c.Made = func(context.Context, server.Change, time.Time) (bool, error) { return true, nil }
	if change != nil {
		change(&c)
	}
	if err := o.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// do makes a change.
func do(t *testing.T, o *Outbox, verb, path, to string) {
	t.Helper()
	end, err := o.Begin(t.Context(), server.Change{Verb: verb, Path: path, To: to, User: "u"})
	if err != nil {
		t.Fatal(err)
	}
	if end != nil {
		end(true)
	}
}

// crash leaves o as a kill does: nothing more is written, and the lock is given up.
func crash(o *Outbox) {
	o.stop()
	o.cut()
	o.journal.close()
	o.work.Wait()
	o.unlock()
	o.journal = nil // for Close
}

func TestDelivered(t *testing.T) {
	dir, b := t.TempDir(), newInbox(nil)
	o := opened(t, dir, nil, b.receiver("a"))
	do(t, o, "USER", "", "")
	do(t, o, "STOR", "/f", "")
	do(t, o, "RNTO", "/f", "/g")
	do(t, o, "RETR", "/g", "")
	do(t, o, "DELE", "/g", "")
	end, err := o.Begin(t.Context(), server.Change{Verb: "STOR", Path: "/failed"})
	if err != nil {
		t.Fatal(err)
	}
	end(false)
	b.await(t, "delivery", func() bool { return len(b.all()) == 5 })
	got := slices.DeleteFunc(b.paths(), func(s string) bool { return s == "login" })
	if want := []string{"upload /f", "rename /f /g", "download /g", "delete /g"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	b.await(t, "end", func() bool { return o.Stats().Pending == 0 })
	names, err := filepath.Glob(dir + "/*")
	if err != nil || len(names) != 1 {
		t.Errorf("left: %q, %v", names, err)
	}
	if fi, err := os.Stat(names[0]); err != nil || fi.Size() != 0 {
		t.Errorf("the journal was not truncated: %v, %v", fi.Size(), err)
	}
}

// TestRestart: what was not delivered is, with the same ID; what was about to be made is compared with the files.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	down := newInbox(func(*Event) error { return errors.New("down") })
	up := newInbox(nil)
	o := opened(t, dir, nil, down.receiver("a"), up.receiver("b"))
	do(t, o, "STOR", "/1", "")
	do(t, o, "STOR", "/2", "")
	for _, path := range []string{"/made", "/not-made"} {
		if _, err := o.Begin(t.Context(), server.Change{Verb: "STOR", Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	down.await(t, "first tries", func() bool { return len(down.all()) >= 2 })
	up.await(t, "the other receiver", func() bool { return o.delivered.Load() == 2 })
	ids := map[string]string{}
	for _, e := range down.all() {
		ids[e.Path] = e.ID
	}
	crash(o)
	torn, err := filepath.Glob(dir + "/journal-*")
	if err != nil || len(torn) == 0 {
		t.Fatal(err)
	}
	f, err := os.OpenFile(torn[len(torn)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`0badc0de {"t":"event","seq":99,"ev`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()

	a, b := newInbox(nil), newInbox(nil)
	o = opened(t, dir, func(c *Config) {
		c.Made = func(_ context.Context, c server.Change, _ time.Time) (bool, error) { return c.Path == "/made", nil }
	}, a.receiver("a"), b.receiver("b"))
	a.await(t, "after the restart", func() bool { return o.Stats().Pending == 0 })
	got := a.paths()
	slices.Sort(got)
	if want := []string{"upload /1", "upload /2", "upload /made"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for _, e := range a.all() {
		if id := ids[e.Path]; id != "" && id != e.ID {
			t.Errorf("%s: the ID has changed from %s to %s", e.Path, id, e.ID)
		}
		if e.Recovered != (e.Path == "/made") {
			t.Errorf("%s: recovered is %v", e.Path, e.Recovered)
		}
	}
	if got := b.paths(); !slices.Equal(got, []string{"upload /made"}) {
		t.Errorf("the receiver that had the others got %q", got)
	}
}

// TestOrder: events at a path keep their order although deliveries fail at random, and a rename is between what
// concerns either path.
func TestOrder(t *testing.T) {
	n := 0
	var mu sync.Mutex
	b := newInbox(func(*Event) error {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%3 == 0 {
			return errors.New("not now")
		}
		return nil
	})
	o := opened(t, t.TempDir(), nil)
	q := newQueue(o, b.receiver("a"), 0)
	q.wait = time.Millisecond
	o.queues, o.journal.keys = []*queue{q}, []string{"a"}
	do(t, o, "MKD", "/d", "")
	for i := range 20 {
		do(t, o, "STOR", fmt.Sprintf("/d/%d", i%4), "")
	}
	do(t, o, "RNTO", "/d", "/e")
	do(t, o, "STOR", "/e/0", "")
	do(t, o, "STOR", "/other", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.work.Go(func() { q.run(ctx, ctx) })
	b.await(t, "delivery", func() bool { return o.delivered.Load() == 24 })
	cancel()
	last := map[string]time.Time{}
	for i, e := range b.all() {
		if e.Time.Before(last[e.Path]) {
			t.Errorf("%d: %s %s came after a later event", i, e.Kind, e.Path)
		}
		last[e.Path] = e.Time
	}
	ends := func(path string) (first, end int) {
		first = -1
		for i, p := range b.paths() {
			if p == path {
				if end = i; first < 0 {
					first = i
				}
			}
		}
		return first, end
	}
	from, to := ends("rename /d /e")
	_, before := ends("upload /d/3")
	after, _ := ends("upload /e/0")
	if before > from || after < to {
		t.Errorf("the rename was tried at %d to %d, an upload before it at %d, one after it at %d", from, to, before, after)
	}
}

// TestHangs: a receiver that hangs at one path delays neither other paths nor sessions.
func TestHangs(t *testing.T) {
	hang := make(chan struct{})
	b := newInbox(func(e *Event) error {
		if e.Path == "/hangs" {
			<-hang
		}
		return nil
	})
	o := opened(t, t.TempDir(), nil, b.receiver("a"))
	defer close(hang)
	do(t, o, "STOR", "/hangs", "")
	do(t, o, "STOR", "/hangs", "")
	for i := range 100 {
		do(t, o, "STOR", fmt.Sprintf("/%d", i), "")
	}
	b.await(t, "the others", func() bool { return o.delivered.Load() == 100 })
}

// TestFull: when the outbox is full, changes are refused, and accepted again when events were delivered. Events that stay do not
// keep the rest of the journal.
func TestFull(t *testing.T) {
	var mu sync.Mutex
	up := false
	b := newInbox(func(e *Event) error {
		mu.Lock()
		defer mu.Unlock()
		if !up || e.Path == "/stays" {
			return errors.New("down")
		}
		return nil
	})
	dir := t.TempDir()
	o := opened(t, dir, func(c *Config) { c.Size = 200_000 })
	q := newQueue(o, b.receiver("a"), 0)
	q.wait = time.Millisecond
	o.queues, o.journal.keys = []*queue{q}, []string{"a"}
	do(t, o, "STOR", "/stays", "")
	n := 0
	for ; o.Ready("STOR") == nil; n++ {
		do(t, o, "STOR", fmt.Sprintf("/%d", n), "")
	}
	if n < 100 {
		t.Fatalf("full after %d", n)
	}
	for range 100_000 { // what Ready keeps back
		var end func(bool)
		var err error
		if end, err = o.Begin(t.Context(), server.Change{Verb: "STOR", Path: "/x"}); err != nil {
			if !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			break
		}
		end(true)
		n++
	}
	mu.Lock()
	up = true
	mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.work.Go(func() { q.run(ctx, ctx) })
	b.await(t, "delivery", func() bool { return o.delivered.Load() == uint64(n) })
	for i := range 3 * n {
		do(t, o, "STOR", fmt.Sprintf("/again%d", i), "")
		if i%100 == 99 {
			b.await(t, "delivery", func() bool { return o.delivered.Load() == uint64(n+i+1) })
		}
	}
	b.await(t, "the last", func() bool { return o.Stats().Pending == 1 })
	cancel()
	j := o.journal
	crash(o)
	if j.size > 200_000 {
		t.Errorf("the journal has %d bytes", j.size)
	}
	later := newInbox(nil)
	o = opened(t, dir, nil, later.receiver("a"))
	later.await(t, "what stayed", func() bool { return o.Stats().Pending == 0 })
	if got := later.paths(); !slices.Equal(got, []string{"upload /stays"}) {
		t.Errorf("got %q", got)
	}
}

// TestRejected: an event that is rejected again and again is given up, and kept.
func TestRejected(t *testing.T) {
	b := newInbox(func(e *Event) error {
		if e.Path == "/bad" {
			return &rejection{"it answered 400"}
		}
		return nil
	})
	dir := t.TempDir()
	o := opened(t, dir, nil)
	q := newQueue(o, b.receiver("a"), 0)
	q.wait = time.Millisecond
	o.queues, o.journal.keys, o.dead = []*queue{q}, []string{"a"}, deadLetters{dir: dir}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.work.Go(func() { q.run(ctx, ctx) })
	do(t, o, "STOR", "/bad", "")
	do(t, o, "DELE", "/bad", "")
	do(t, o, "STOR", "/good", "")
	b.await(t, "end", func() bool { return o.Stats().Pending == 0 })
	if st := o.Stats(); st.Dead != 2 || st.Failed != 2*deadAfter || st.Delivered != 1 {
		t.Errorf("%+v", st)
	}
	text, err := os.ReadFile(dir + "/dead-letters")
	if lines := strings.Count(string(text), "\n"); err != nil || lines != 2 || !strings.Contains(string(text), `"why":"it answered 400"`) {
		t.Errorf("dead letters: %s, %v", text, err)
	}
}

// TestSamePath: of two changes at the same path, the second waits for the outcome of the first.
func TestSamePath(t *testing.T) {
	b := newInbox(nil)
	o := opened(t, t.TempDir(), nil, b.receiver("a"))
	end, err := o.Begin(t.Context(), server.Change{Verb: "STOR", Path: "/f"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Begin(ctx, server.Change{Verb: "RNTO", Path: "/g", To: "/f"}); err == nil {
		t.Error("it did not wait")
	}
	do(t, o, "STOR", "/g", "")
	end(true)
	do(t, o, "RNTO", "/g", "/f")
	b.await(t, "delivery", func() bool { return len(b.all()) == 3 })
}

// TestLocked: two servers can't share a directory. It is tried with a context that has ended, because Open waits otherwise.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir, nil, newInbox(nil).receiver("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New().Open(ctx, Config{Dir: dir, Size: 1 << 20, Log: slog.Default()}); err == nil {
		t.Error("it was opened twice")
	}
}

func BenchmarkBegin(b *testing.B) {
	o := New()
	o.Use(Kinds, "")
	box := newInbox(nil)
	if err := o.Open(b.Context(), Config{Dir: b.TempDir(), Size: 100 << 20, Receivers: []Receiver{box.receiver("a")}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}); err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	for i := 0; b.Loop(); i++ {
		end, err := o.Begin(b.Context(), server.Change{Verb: "STOR", Path: fmt.Sprintf("/%d", i)})
		if err != nil {
			b.Fatal(err)
		}
		end(true)
	}
}
