package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		Draining: func() bool { return false },
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

// TestHost: without a token, the page answers only if it is asked by a name of this machine.
func TestHost(t *testing.T) {
	s := setUp(t, "")
	for host, want := range map[string]int{
		"127.0.0.1:80": 200, "localhost:1234": 200, "LOCALHOST": 200, "[::1]:80": 200, "127.1.2.3": 200,
		"evil.example": 403, "127.0.0.1.evil.example:80": 403, "localhost.evil.example": 403, "192.0.2.1": 403, "0.0.0.0": 403,
	} {
		for _, path := range []string{"/", "/console/console.js", "/console/console.css"} {
			if got, _, _ := s.do("GET", path, "", "Host: "+host); got != want {
				t.Errorf("%s of %s: %d, want %d", path, host, got, want)
			}
		}
	}
	for _, path := range []string{"/console/", "/console/index.html", "/console/../console.go", "/console/none.js", "/elsewhere"} {
		if got, _, _ := s.do("GET", path, ""); got != 404 && got != 307 && got != 301 {
			t.Errorf("%s: %d", path, got)
		}
	}
	_, head, _ := s.do("GET", "/", "")
	csp := head.Get("Content-Security-Policy")
	if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", head)
	}
}

// TestToken: with a token, nothing is answered without it. The URL that has it leads to one that does not.
func TestToken(t *testing.T) {
	const token = "a token of 16 characters"
	s := setUp(t, token)
	at := "/?token=" + strings.ReplaceAll(token, " ", "+")
	for _, path := range []string{"/", "/console/console.js", "/console/stream"} {
		if got, _, text := s.do("GET", path, "", "Host: ftp.example.org"); got != 401 || strings.Contains(text, "EventSource") {
			t.Errorf("%s without the token: %d", path, got)
		}
	}
	kick := fmt.Sprintf(`{"boot":%d,"id":7}`, s.boot())
	proof := []string{"Origin: " + s.base, proofHeader + ": 1"}
	if got, _, _ := s.do("POST", "/console/kick", kick, proof...); got != 401 || s.kicked.Load() != 0 {
		t.Errorf("kick without the token: %d", got)
	}
	for _, wrong := range []string{"/?token=", at + "x", at[:len(at)-1]} {
		if got, head, _ := s.do("GET", wrong, ""); got != 401 || head.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, %v", wrong, got, head)
		}
	}
	got, head, _ := s.do("GET", at, "")
	cookie := head.Get("Set-Cookie")
	if got != 303 || head.Get("Location") != "/" || !strings.Contains(cookie, "; HttpOnly; SameSite=Strict") || strings.Contains(cookie, "token") {
		t.Fatalf("with the token: %d, %v", got, head)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	for _, path := range []string{"/", "/console/console.js"} {
		if got, _, _ := s.do("GET", path, "", "Cookie: "+cookie); got != 200 {
			t.Errorf("%s with the cookie: %d", path, got)
		}
		if got, _, _ := s.do("GET", path, "", "Cookie: "+cookie[:len(cookie)-1]); got != 401 {
			t.Errorf("%s with half of the cookie: %d", path, got)
		}
	}
	if got, _, _ := s.do("POST", "/console/kick", kick, append(proof, "Cookie: "+cookie)...); got != 204 || s.kicked.Load() != 7 {
		t.Errorf("kick with the cookie: %d", got)
	}
	s.close()
	if text := s.log.String(); strings.Contains(text, "16 characters") || strings.Count(text, "wrong token") != 1 {
		t.Errorf("the log: %s", text)
	}
}

// TestParseToken checks what a token file may hold.
func TestParseToken(t *testing.T) {
	for text, ok := range map[string]bool{
		"0123456789abcdef\n": true, " 0123456789abcdef\r\n": true, "0123456789abcde": false, "": false,
		"0123456789 abcdef": false, "0123456789abcdef\nx": false, "0123456789abcdé": false,
	} {
		if _, err := ParseToken([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if a, b := NewToken(), NewToken(); a == b || len(a) < minToken {
		t.Errorf("random tokens: %s, %s", a, b)
	}
}

// TestKick: only the page itself can end a session, and only one of the server that it has seen.
func TestKick(t *testing.T) {
	s := setUp(t, "")
	order := fmt.Sprintf(`{"boot":%d,"id":7}`, s.boot())
	header, own := proofHeader+": 1", "Origin: "+s.base
	for _, tt := range []struct {
		body    string
		headers []string
		want    int
	}{
		{order, nil, 403},
		{order, []string{header}, 403},
		{order, []string{own}, 403},
		{order, []string{header, "Origin: https://evil.example"}, 403},
		{order, []string{header, "Origin: null"}, 403},
		{order, []string{header, own, "Sec-Fetch-Site: cross-site"}, 403},
		{order, []string{header, own, "Sec-Fetch-Site: same-site"}, 403},
		{order, []string{header, own, "Host: evil.example"}, 403},
		{"{", []string{header, own}, 400},
		{`{"boot":1,"id":7}`, []string{header, own}, 409},
		{order, []string{header, own}, 204},
		{order, []string{header, "Sec-Fetch-Site: same-origin"}, 204},
		{fmt.Sprintf(`{"boot":%d,"id":8}`, s.boot()), []string{header, own}, 404},
	} {
		s.kicked.Store(0)
		got, _, text := s.do("POST", "/console/kick", tt.body, tt.headers...)
		if got != tt.want || (s.kicked.Load() != 0) != (tt.want == 204 || tt.want == 404) {
			t.Errorf("%s %v: %d %s, want %d; kicked %d", tt.body, tt.headers, got, text, tt.want, s.kicked.Load())
		}
	}
	for _, h := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} { // takes the place of a viewer
		if got, _, _ := s.do("GET", "/console/stream", "", h); got != 403 {
			t.Errorf("a stream, %s: %d", h, got)
		}
	}
	if got, _, _ := s.do("GET", "/console/kick", ""); got != 405 {
		t.Errorf("GET: %d", got)
	}
}

// TestStream: a viewer is sent all once, and then what has changed.
func TestStream(t *testing.T) {
	s := setUp(t, "")
	s.emit(1, ftp.ControlOpened{}, ftp.LoggedInAs{User: "al\x1bice"}, given("NOOP"), reply("NOOP", 200, "ok"))
	s.emit(2, ftp.ControlOpened{}, ftp.Refused{Why: "no", Reason: ftp.ReasonPermission, Verb: "DELE"})
	for range 2 {
		s.emit(3, ftp.Refused{Why: "wrong password", User: "eve"})
	}
	l := s.listen("?session=1")
	var h hello
	l.next("hello", &h)
	var first state
	l.next("state", &first)
	if h.Name != "test" || h.Boot != s.boot() || first.Sessions != 2 || len(first.Rows) != 2 || first.Shown == nil || (*first.Shown)[0] != 2 || first.Ports.InUse != 2 {
		t.Errorf("hello %+v, state %+v", h, first)
	}
	if len(first.Refusals) != 2 || first.Refusals[0] != (refusal{"failed login", "", 2}) || first.Refusals[1] != (refusal{"no permission", "setting", 1}) || len(first.Events) != 4 {
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

// TestThroughput: what is counted is what was moved, also by sessions that end between two samples.
func TestThroughput(t *testing.T) {
	s := setUp(t, "")
	w, stop := s.list.Watch(100)
	defer stop()
	s.emit(1, ftp.ControlOpened{}, ftp.TransferDone{Verb: "RETR", Bytes: 1 << 40}) // before anybody looked
	for range 2 {
		<-w.C
	}
	h := s.newHub()
	check := func(what string, sent, received int64) {
		t.Helper()
		for len(w.C) > 0 {
			h.pass(<-w.C)
		}
		h.sample(h.last.Add(2 * time.Second))
		if got := h.now.sample; got.Sent != sent || got.Received != received {
			t.Errorf("%s: %d sent, %d received, want %d, %d", what, got.Sent, got.Received, sent, received)
		}
	}
	check("nothing", 0, 0)
	s.emit(1, ftp.DataOffered{}, given("RETR /a"), reply("RETR", 150, "go"))
	s.moved.Store(600)
	check("a transfer begins", 300, 0)
	s.moved.Store(400) // it has ended, and its bytes are not in the sum yet
	check("less is known", 0, 0)
	s.emit(1, ftp.TransferDone{Verb: "RETR", Bytes: 1000})
	check("it has ended", 200, 0)
	s.emit(2, ftp.ControlOpened{}, ftp.TransferDone{Verb: "STOR", Direction: ftp.Store, Bytes: 3000}, ftp.ControlClosed{})
	s.emit(1, ftp.TransferDone{Verb: "RETR", Bytes: 5000}, ftp.ControlClosed{})
	check("both sessions have ended", 2500, 1500)
	check("nothing again", 0, 0)
	if len(h.counted) != 0 {
		t.Errorf("%d sessions are remembered", len(h.counted))
	}
}

// TestCrowd: with a thousand busy sessions a viewer is sent some of them, and finds the others with the filter.
func TestCrowd(t *testing.T) {
	s := setUp(t, "")
	for id := uint64(1); id <= 1000; id++ {
		s.emit(id, ftp.ControlOpened{}, ftp.LoggedInAs{User: fmt.Sprintf("user%d", id)}, ftp.DataOffered{Mode: ftp.Passive}, given("RETR /"+strings.Repeat("x", 5000)), reply("RETR", 150, "go"))
	}
	l := s.listen("")
	for range 3 {
		s.moved.Add(1)
		var st state
		size := l.next("state", &st)
		if st.Sessions != 1000 || st.Moving != 1000 || len(st.Rows) > mostRows+mostMoving || size > 150_000 {
			t.Errorf("%d sessions, %d rows, %d bytes", st.Sessions, len(st.Rows), size)
		}
	}
	var st state
	s.listen("?filter=USER123").next("state", &st)
	if st.Matched != 1 || len(st.Rows) != 1 || st.Rows[0].User != "user123" {
		t.Errorf("the filter: %d of %d", st.Matched, st.Sessions)
	}
	for _, query := range []string{"?session=x", "?session=-1", "?filter=" + strings.Repeat("x", maxFilter+1)} {
		if got, _, _ := s.do("GET", "/console/stream"+query, ""); got != 400 {
			t.Errorf("%.30s: %d", query, got)
		}
	}
}

// TestViewers: there are so many viewers at most, and nothing runs when all have left.
func TestViewers(t *testing.T) {
	s := setUp(t, "")
	all := make([]*listener, maxViewers)
	for i := range all {
		all[i] = s.listen("")
		all[i].next("state", new(state))
	}
	var full struct{ Most int }
	s.listen("").next("full", &full)
	if full.Most != maxViewers {
		t.Errorf("%d", full.Most)
	}
	_ = all[0].body.Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if h, v, _, _ := s.join(0); v != nil {
			h.leave(v)
			break
		}
		if time.Now().After(end) {
			t.Fatal("the place of a viewer who left stays taken")
		}
	}
	for _, l := range all {
		_ = l.body.Close()
	}
	h := s.hub
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		h.mu.Lock()
		n := len(h.viewers)
		h.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d viewers are left", n)
		}
	}
	if h.idle(time.Now()) || !h.idle(time.Now().Add(lingerTime+time.Second)) || s.hub != nil {
		t.Error("the hub does not end some time after the last viewer")
	}
}

// TestSlowViewer: a viewer that does not keep up loses steps, and is told how many.
func TestSlowViewer(t *testing.T) {
	s := setUp(t, "")
	s.emit(1, ftp.ControlOpened{})
	h, v, _, _ := s.join(1)
	defer h.leave(v)
	for range viewerQueue + 50 {
		h.pass(sessions.Event{Kind: sessions.Commanded, Session: 1, Verb: "NOOP"})
		h.pass(sessions.Event{Kind: sessions.Commanded, Session: 2, Verb: "NOOP"})
	}
	if got := h.steps(&ladder{}, v, <-v.steps); got.Lost != 50 || len(got.Steps) != mostSteps {
		t.Errorf("%d lost, %d steps", got.Lost, len(got.Steps))
	}
	for range 2 * keptEvents {
		h.pass(sessions.Event{Kind: sessions.LoggedIn, Session: 3, User: "x"})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) > keptEvents || len(h.notable) > keptNotable {
		t.Errorf("%d events and %d lines are kept", len(h.events), len(h.notable))
	}
}
