package sessions

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"miniftp/ftp"
)

// player feeds a List with the events of one session.
type player struct {
	*List
	control ftp.Control
	at      time.Time
}

func play(l *List, id uint64) *player {
	return &player{l, ftp.Control{ID: id, Side: ftp.ServerPI, Local: netip.MustParseAddrPort("192.0.2.1:21"), Remote: netip.MustParseAddrPort("192.0.2.9:1234")}, time.Now()}
}

// do emits events, one each second.
func (p *player) do(all ...ftp.Happening) {
	for _, what := range all {
		p.at = p.at.Add(time.Second)
		p.Observe(ftp.Event{At: p.at, Control: &p.control, What: what})
	}
}

func given(line string) ftp.CommandGiven {
	c, err := ftp.ParseCommand([]byte(line))
	if err != nil {
		panic(err)
	}
	return ftp.CommandGiven{Command: c.Masked()}
}

func reply(verb string, code ftp.Code) ftp.ReplyGiven {
	return ftp.ReplyGiven{Verb: verb, Reply: ftp.NewReply(code, "x")}
}

func newList() *List { return New(func(ftp.Reason) string { return "" }, nil) }

// TestDoing: a session shows its running command, with what it has moved, or else the last one.
func TestDoing(t *testing.T) {
	l := newList()
	p := play(l, 7)
	p.at = time.Now().Add(-time.Hour)
	now := func() Info {
		t.Helper()
		all := l.Infos("s", func(uint64) (moved, total int64, ok bool) { return 500, 1000, true })
		if len(all) != 1 {
			t.Fatalf("%d sessions", len(all))
		}
		return all[0]
	}
	p.do(ftp.ControlOpened{}, reply("", 220), given("USER alice"), reply("USER", 331), given("PASS hush"))
	if in := now(); in.Doing == nil || in.Doing.Verb != "PASS" || in.Doing.Path != "****" || in.User != "" {
		t.Errorf("during the login: %+v", in)
	}
	p.do(ftp.LoggedInAs{User: "alice"}, reply("PASS", 230), given("TYPE a"), reply("TYPE", 200))
	if in := now(); in.Doing != nil || in.Last != "TYPE a" || in.Idle < 3000 || in.User != "alice" || in.Server != "s" {
		t.Errorf("idle: %+v", in)
	}
	p.do(given("RETR big"))
	if in := now(); in.Doing == nil || in.Doing.Mode != "" || in.Sent != 0 {
		t.Errorf("before the transfer: %+v, %+v", in, in.Doing)
	}
	p.do(ftp.DataOpened{Mode: ftp.Active, Stance: ftp.Dials}, reply("RETR", 150), given("NOOP"), reply("NOOP", 200))
	if in := now(); in.Doing == nil || in.Doing.Path != "big" || in.Doing.Moved != 500 || in.Doing.Total != 1000 || in.Doing.Mode != "active" || in.Doing.Stance != "dials" || in.Sent != 500 || in.Idle != 0 {
		t.Errorf("during the transfer: %+v, %+v", in, in.Doing)
	}
	p.do(ftp.TransferDone{Verb: "RETR", Direction: ftp.Retrieve, Bytes: 1000}, reply("RETR", 226))
	if in := now(); in.Doing != nil || in.Sent != 1000 || in.Transfers != 1 || in.Commands != 5 {
		t.Errorf("after the transfer: %+v", in)
	}
	p.do(given("REIN"), reply("REIN", 220))
	if in := now(); in.User != "" {
		t.Errorf("after REIN: %+v", in)
	}
	p.do(ftp.ControlClosed{})
	if n := l.Len(); n != 0 {
		t.Errorf("%d sessions after the end", n)
	}
}

// TestLongCommand: a client can't make the list hold much text.
func TestLongCommand(t *testing.T) {
	l := newList()
	p := play(l, 1)
	p.do(ftp.ControlOpened{}, given("CWD "+strings.Repeat("é", 4000)), given(strings.Repeat("X", 4000)))
	if s := l.open[1]; len(s.arg) > 2*maxArg || len(s.verb) > 2*maxArg {
		t.Errorf("it holds %d and %d bytes", len(s.verb), len(s.arg))
	}
	if size := unsafe.Sizeof(Session{}); size > 208 {
		t.Errorf("a session takes %d bytes", size)
	}
}

// TestWatch: a listener that does not read loses events, and is told how many. Others get all.
func TestWatch(t *testing.T) {
	l := newList()
	p := play(l, 1)
	slow, stopSlow := l.Watch(4)
	fast, stopFast := l.Watch(100)
	defer stopSlow()
	p.do(ftp.ControlOpened{}, given("PASS hush"))
	for range 8 {
		p.do(given("NOOP"))
	}
	if n := len(fast.C); n != 10 {
		t.Errorf("the fast one has %d events", n)
	}
	kinds := ""
	for range 4 {
		v := <-slow.C
		kinds += v.Kind + " "
		if text, _ := json.Marshal(v); strings.Contains(string(text), "hush") {
			t.Errorf("a secret: %s", text)
		}
	}
	p.do(given("NOOP"))
	lost := <-slow.C
	if lost.Kind != Lost || lost.Events != 6 || kinds != "opened command command command " {
		t.Errorf("the slow one got %s, then %+v", kinds, lost)
	}
	if v := <-slow.C; v.Kind != Commanded || v.Verb != "NOOP" {
		t.Errorf("after the loss: %+v", v)
	}
	stopFast()
	n := len(fast.C)
	p.do(given("NOOP"))
	if len(fast.C) != n {
		t.Error("events after stop")
	}
}

// TestRecent: the last events that people look for are Kept, and no more.
func TestRecent(t *testing.T) {
	l := newList()
	p := play(l, 1)
	p.do(ftp.ControlOpened{})
	if all := l.Recent(); len(all) != 0 {
		t.Errorf("%d events", len(all))
	}
	for i := range 2*Kept + 3 {
		p.do(given("RETR x"), ftp.TransferDone{Verb: "RETR", Path: "/x", Bytes: int64(i)})
	}
	all := l.Recent()
	if len(all) != Kept || all[0].Bytes != Kept+3 || all[Kept-1].Bytes != 2*Kept+2 {
		t.Errorf("%d events, from %d to %d bytes", len(all), all[0].Bytes, all[len(all)-1].Bytes)
	}
}

// TestEventForms: every event has a kind of its own and valid JSON.
func TestEventForms(t *testing.T) {
	l := newList()
	p := play(l, 1)
	w, stop := l.Watch(100)
	defer stop()
	all := []ftp.Happening{
		ftp.ControlOpened{},
		ftp.ControlSecured{},
		ftp.ControlCleared{},
		ftp.LoggedInAs{User: "a\x1bb"},
		given("NOOP"), reply("NOOP", 200),
		ftp.DataOffered{},
		ftp.DataOpened{},
		ftp.DataSecured{},
		ftp.DataFailed{Err: errTest},
		ftp.StrangerRefused{},
		ftp.Refused{Why: "no\x1b"},
		ftp.Changed{Verb: "DELE", Path: "/x\x9b", Reply: ftp.NewReply(250, "")},
		ftp.TransferDone{Err: errTest},
		ftp.ControlClosed{Err: errTest},
	}
	p.do(all...)
	seen := map[string]bool{}
	for range all {
		v := <-w.C
		text, err := json.Marshal(v)
		if err != nil || v.Kind == "" || seen[v.Kind] || v.Version != 1 || strings.ContainsAny(string(text), "\x1b\u009b") {
			t.Errorf("%s, %v", text, err)
		}
		seen[v.Kind] = true
	}
}

type testError struct{}

func (testError) Error() string { return "bad\x1bluck" }

var errTest = testError{}
