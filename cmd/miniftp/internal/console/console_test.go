package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/web"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// stage is a page of a server that does not exist: a test emits its events.
type stage struct {
	*Console
	t      *testing.T
	list   *sessions.List
	base   string
	kicked atomic.Uint64
	moved  atomic.Int64 // of each running transfer
	log    bytes.Buffer // to be read after Close
	client http.Client
	close  func()
}

func setUp(t *testing.T, token string) *stage {
	t.Helper()
	s := &stage{t: t, Console: New(func(r ftp.Reason) string { return "setting" })}
	s.list = sessions.New(func(ftp.Reason) string { return "" }, func(e ftp.Event, _ *sessions.Session, _ bool) { s.Follow(e) })
	site, err := web.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(site, Source{
		Name: "test", Version: "1", Sessions: s.list, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Progress: func(uint64) (moved, total int64, ok bool) { return s.moved.Load(), 1000, true },
		Kick:     func(id uint64) bool { s.kicked.Store(id); return id == 7 },
		Ports:    func() dtp.PortsUsage { return dtp.PortsUsage{Size: 10, InUse: 2} },
		Draining: func() bool { return false }, Quotas: func() []sessions.Quota { return nil },
	}, token)
	site.Serve()
	s.base = "http://" + site.Addr().String()
	s.client = http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ended := false
	s.close = func() {
		if !ended {
			ended = true
			s.client.CloseIdleConnections()
			site.Close()
			s.Console.Close()
		}
	}
	t.Cleanup(func() { s.close(); goleak.VerifyNone(t) })
	return s
}

// emit emits events of a session.
func (s *stage) emit(id uint64, all ...ftp.Happening) {
	c := &ftp.Control{ID: id, Side: ftp.ServerPI, Local: netip.MustParseAddrPort("192.0.2.1:21"), Remote: netip.MustParseAddrPort("192.0.2.9:1234")}
	for _, what := range all {
		s.list.Observe(ftp.Event{At: time.Now(), Control: c, What: what})
	}
}

// do sends a request with headers, each "Name: value". "Host" is the host that it is for.
func (s *stage) do(method, path, body string, headers ...string) (status int, head http.Header, text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(all)
}

// listener reads a stream.
type listener struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Reader
}

func (s *stage) listen(query string) *listener {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/console/stream"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = res.Body.Close() })
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		s.t.Fatalf("%s, %s", res.Status, got)
	}
	return &listener{s.t, res.Body, bufio.NewReader(res.Body)}
}

// next returns the next message with that name. Its data are put into value.
func (l *listener) next(name string, value any) (size int) {
	l.t.Helper()
	for {
		event, err := l.r.ReadString('\n')
		data, err2 := l.r.ReadString('\n')
		_, err3 := l.r.ReadString('\n')
		if err := errors.Join(err, err2, err3); err != nil {
			l.t.Fatal(err)
		}
		if event != "event: "+name+"\n" {
			continue
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), value); err != nil {
			l.t.Fatal(err)
		}
		return len(data)
	}
}

func given(line string) ftp.CommandGiven {
	c, err := ftp.ParseCommand([]byte(line))
	if err != nil {
		panic(err)
	}
	return ftp.CommandGiven{Command: c.Masked()}
}

func reply(verb string, code ftp.Code, text string) ftp.ReplyGiven {
	return ftp.ReplyGiven{Verb: verb, Reply: ftp.NewReply(code, text)}
}

// TestStream: a viewer is sent all once, and then what has changed.
func TestStream(t *testing.T) {
	s := setUp(t, "")
	s.emit(1, ftp.ControlOpened{}, ftp.LoggedInAs{User: "al\x1bice"}, given("NOOP"), reply("NOOP", 200, "ok"))
	s.emit(2, ftp.ControlOpened{}, ftp.Refused{Why: "no", Reason: ftp.ReasonPermission, Verb: "DELE"})
	for range 2 {
		s.emit(3, ftp.Refused{Why: "wrong password", User: "eve", Reason: ftp.ReasonLogin})
	}
	l := s.listen("?session=1")
	var h hello
	l.next("hello", &h)
	var first state
	l.next("state", &first)
	if h.Name != "test" || h.Boot != s.boot() || first.Sessions != 2 || len(first.Rows) != 2 || first.Shown == nil || (*first.Shown)[0] != 2 || first.Ports.InUse != 2 {
		t.Errorf("hello %+v, state %+v", h, first)
	}
	if len(first.Refusals) != 2 || first.Refusals[0] != (refusal{"login incorrect", "setting", 2}) || first.Refusals[1] != (refusal{"no permission", "setting", 1}) || len(first.Events) != 4 {
		t.Errorf("refusals %v, events %v", first.Refusals, first.Events)
	}
	var st steps
	l.next("steps", &st)
	if len(st.Steps) == 0 || st.Steps[0].Label != "control" || st.Steps[0].LeftDoes != dials {
		t.Errorf("steps %+v", st)
	}
	for _, r := range first.Rows {
		if r.ID == 1 && r.User != "al?ice" {
			t.Errorf("the control character of a name: %q", r.User)
		}
	}
	var again state
	for range 20 { // a machine that is very busy may take idle times to have changed
		again = state{}
		if l.next("state", &again); len(again.Rows) == 0 {
			break
		}
	}
	if len(again.Rows) != 0 || again.Shown != nil || again.Transfer != nil || again.Refusals != nil || again.Events != nil {
		t.Errorf("nothing has changed, but the state is %+v", again)
	}
	s.emit(1, given("RETR /a"), ftp.DataOpened{Mode: ftp.Passive, Local: netip.MustParseAddrPort("192.0.2.1:4000"), Remote: netip.MustParseAddrPort("192.0.2.9:5000")}, reply("RETR", 150, "go"))
	l.next("steps", &st)
	if len(st.Steps) != 3 || st.Steps[1].Left != ":5000" || st.Steps[1].Right != ":4000" {
		t.Errorf("steps %+v", st)
	}
	s.moved.Store(500)
	for again.Rows = nil; len(again.Rows) == 0 || again.Rows[0].Moved != 500; {
		again = state{}
		l.next("state", &again)
	}
	if r := again.Rows[0]; len(again.Rows) != 1 || r.Total != 1000 || r.Mode != "passive" {
		t.Errorf("a transfer: %+v", again)
	}
	s.emit(1, ftp.TransferDone{Verb: "RETR", Bytes: 900}, ftp.ControlClosed{})
	for !again.Ended {
		again = state{}
		l.next("state", &again)
	}
}
