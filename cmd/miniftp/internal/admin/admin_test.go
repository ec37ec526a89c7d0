package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// site is a server in this process with a socket of its own.
type site struct {
	t *testing.T
	*verbtest.InProcess
	socket string
}

func serveAt(t *testing.T, args ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "c") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s.sock")
	return &site{t, verbtest.Serve(t, verbs, append([]string{"--control", socket}, args...)...), socket}
}

// do runs a verb for the server, and checks its exit code. The first words are the verb.
func (s *site) do(want int, words string, args ...string) (out, errs string) {
	s.t.Helper()
	all := append(append(strings.Fields(words), "--socket", s.socket), args...)
	code, out, errs := try(s.t, all...)
	if code != want {
		s.t.Errorf("miniftp %s: exit %d, want %d: %s", strings.Join(all, " "), code, want, errs)
	}
	return out, errs
}

func (s *site) sessions() (all []sessions.Info) {
	s.t.Helper()
	out, _ := s.do(0, "who --json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		s.t.Fatalf("%v in %s", err, out)
	}
	return all
}

// await waits until ok reports true for the sessions.
func (s *site) await(what string, ok func([]sessions.Info) bool) []sessions.Info {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all := s.sessions()
		if ok(all) {
			return all
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: %+v", what, all)
		}
	}
}

func (s *site) login(user, password string) (*client.Client, error) {
	c, err := client.Dial(s.t.Context(), s.Addr, &client.Options{User: user, Password: password})
	if err == nil {
		s.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func (s *site) mustLogin(user, password string) *client.Client {
	s.t.Helper()
	c, err := s.login(user, password)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestWhoAndKick: during a transfer who shows its progress; kick ends a session that transfers, and one that is idle.
func TestWhoAndKick(t *testing.T) {
	curl := verbtest.StockProgram(t, "curl")
	dir := t.TempDir()
	verbtest.WriteFile(t, filepath.Join(dir, "big.bin"), strings.Repeat("x", 8<<20))
	s := serveAt(t, "--user", "alice:hush", "--user", "bob:hush2", "--rate", "500k", dir)
	if out, errs := s.do(0, "who"); out != "" || !strings.Contains(errs, "nobody is connected") {
		t.Errorf("without sessions: %q, %q", out, errs)
	}
	idle := s.mustLogin("bob", "hush2")
	get := exec.CommandContext(t.Context(), curl, "-sS", "-u", "alice:hush", "ftp://"+s.Addr+"/big.bin", "-o", os.DevNull)
	ended := make(chan error, 1)
	go func() { ended <- get.Run() }()
	running := func(all []sessions.Info) bool {
		return len(all) == 2 && all[1].Doing != nil && all[1].Doing.Moved > 0
	}
	all := s.await("a transfer", running)
	if d := all[1].Doing; d.Verb != "RETR" || d.Path != "big.bin" || d.Total != 8<<20 || d.Mode != "passive" || all[1].Sent != d.Moved || all[0].User != "bob" || all[0].Doing != nil {
		t.Errorf("%+v, %+v", all, d)
	}
	out, _ := s.do(0, "who")
	if !strings.Contains(out, "alice  127.0.0.1") || !strings.Contains(out, "RETR big.bin  ") || !strings.Contains(out, " % of 8.4 MB  ") || strings.Contains(out, "hush") {
		t.Errorf("the table is\n%s", out)
	}
	if out, _ = s.do(0, "top"); strings.Index(out, "alice") > strings.Index(out, "bob") {
		t.Errorf("the fastest is not the first:\n%s", out)
	}

	if out, _ = s.do(0, "kick", "2"); !strings.HasPrefix(out, "ended session 2: alice from 127.0.0.1:") {
		t.Errorf("kick: %q", out)
	}
	if err := <-ended; err == nil {
		t.Error("curl has noticed nothing")
	}
	if out, _ = s.do(0, "kick --user bob"); !strings.Contains(out, "session 1: bob") {
		t.Errorf("kick --user: %q", out)
	}
	if _, err := idle.Command(t.Context(), "NOOP", ""); err == nil {
		t.Error("the idle session continues")
	}
	s.await("the end of the sessions", func(all []sessions.Info) bool { return len(all) == 0 })
	s.do(5, "kick", "2")
	s.do(5, "kick --from 127.0.0.0/8")
	s.mustLogin("bob", "hush2")
	if out, _ = s.do(0, "kick --json --from 127.0.0.0/8"); !strings.Contains(out, `"user": "bob"`) || !strings.Contains(out, `"done": 1`) {
		t.Errorf("kick --json: %s", out)
	}
	for _, args := range [][]string{{}, {"alice"}, {"--user", "x", "3"}, {"--from", "nowhere"}, {"--shared-state", "s3://x/y", "3"}} {
		s.do(2, "kick", args...)
	}
}

// TestBan: a ban refuses the next login, and lifting it admits the one after that.
func TestBan(t *testing.T) {
	s := serveAt(t, "--user", "alice:hush", "--user", "bob:hush2", "mem://")
	s.mustLogin("bob", "hush2")
	s.do(0, "ban add --for 2h", "127.0.0.1", "alice")
	var no *ftp.Error
	if _, err := s.login("alice", "hush"); !errors.As(err, &no) {
		t.Errorf("the banned user: %v", err)
	}
	s.mustLogin("bob", "hush2")
	if out, _ := s.do(0, "ban list"); !strings.Contains(out, "127.0.0.1  alice  ") {
		t.Errorf("the list is\n%s", out)
	}
	if out, _ := s.do(0, "ban list --json"); !strings.Contains(out, `"addr": "127.0.0.1"`) || !strings.Contains(out, `"user": "alice"`) {
		t.Errorf("the list is\n%s", out)
	}
	s.do(0, "ban remove", "127.0.0.1", "alice")
	s.mustLogin("alice", "hush")
	s.do(5, "ban remove", "127.0.0.1", "alice")
	s.do(2, "ban add", "example.org")
	s.do(2, "ban add --for 0s", "127.0.0.1")
	if code, _, errs := try(t, "ban", "lst"); code != 2 || !strings.Contains(errs, "did you mean list?") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestBanAddress: a ban of an address refuses users who have not logged in from there before.
func TestBanAddress(t *testing.T) {
	s := serveAt(t, "--user", "alice:hush", "mem://")
	s.mustLogin("alice", "hush")
	s.do(0, "ban add", "::ffff:127.0.0.1")
	if _, err := s.login("alice", "hush"); err == nil {
		t.Error("a banned address may log in")
	}
	s.do(0, "ban remove", "127.0.0.1")
	s.mustLogin("alice", "hush")
}

// TestReload: a mistake is reported and changes nothing.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.toml")
	verbtest.WriteFile(t, file, "root = \"mem://\"\n[users.alice]\npassword = \"one\"\n")
	s := serveAt(t, "--config", file)
	verbtest.WriteFile(t, file, "root = \"mem://\"\n[users.alice]\npassword = \"two\"\nperm = \"all\"\nhoem = \"/\"\n")
	out, errs := s.do(2, "reload")
	if out != "" || !strings.Contains(errs, "m.toml:4") || !strings.Contains(errs, "m.toml:5") || !strings.Contains(errs, "nothing has changed") {
		t.Errorf("it prints %q, %q", out, errs)
	}
	s.mustLogin("alice", "one")
	verbtest.WriteFile(t, file, "root = \"mem://\"\ncontrol = \"off\"\n[users.alice]\npassword = \"two\"\n[log]\nformat = \"json\"\n")
	if _, errs = s.do(0, "reload"); !strings.Contains(errs, "changing log.format needs a restart") || !strings.Contains(errs, "reloaded") {
		t.Errorf("it prints %q", errs)
	}
	s.mustLogin("alice", "two")
}

// TestDrain: a server that drains admits nobody, lets its sessions work, and ends with the last one.
func TestDrain(t *testing.T) {
	s := serveAt(t, "--user", "alice:hush", "mem://")
	c := s.mustLogin("alice", "hush")
	if _, errs := s.do(1, "drain --timeout 100ms"); !strings.Contains(errs, "still has 1 session after 100ms") {
		t.Errorf("it prints %q", errs)
	}
	if conn, err := net.Dial("tcp", s.Addr); err == nil {
		_ = conn.Close()
		t.Error("the port still listens")
	}
	if _, errs := s.do(0, "who"); !strings.Contains(errs, "draining") {
		t.Errorf("who: %q", errs)
	}
	if _, err := c.Store(t.Context(), "/f", strings.NewReader("text")); err != nil {
		t.Errorf("an upload: %v", err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = c.Close() })
	s.do(0, "drain")
	if code := s.End(); code != 0 {
		t.Errorf("the server ends with exit %d", code)
	}
	if log := s.Log.String(); !strings.Contains(log, "why=drained") {
		t.Errorf("its log ends\n%s", log)
	}
	if _, errs := s.do(3, "who"); !strings.Contains(errs, "no such socket") {
		t.Errorf("who: %q", errs)
	}
}

// TestDrainEmpty: a server without sessions ends at once, and a signal ends one that drains.
func TestDrainEmpty(t *testing.T) {
	s := serveAt(t, "mem://")
	s.do(0, "drain")
	if code := s.End(); code != 0 {
		t.Errorf("exit %d", code)
	}
	s = serveAt(t, "mem://")
	s.mustLogin("anonymous", "x")
	s.do(1, "drain --timeout 50ms")
	if code := s.End(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestEvents: the events of a session, for people and as JSON, without secrets.
func TestEvents(t *testing.T) {
	s := serveAt(t, "--user", "alice:s3cret", "--failure-delay", "0s", "mem://")
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() { code <- runTo(t, w, "events", "--socket", s.socket, "--follow", "--json"); _ = w.Close() }()
	lines := json.NewDecoder(r)
	time.Sleep(300 * time.Millisecond) // it listens
	if _, err := s.login("alice", "wr0ng"); err == nil {
		t.Error("a wrong password was accepted")
	}
	c := s.mustLogin("alice", "s3cret")
	if _, err := c.Store(t.Context(), "/f", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Command(t.Context(), "SITE", "PSWD s3cret newsecret")
	_ = c.Close()
	all, kinds := "", ""
	for end := false; !end; {
		var raw json.RawMessage
		if err := lines.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		var v sessions.Event
		if err := json.Unmarshal(raw, &v); err != nil || v.Version != 1 {
			t.Fatalf("%s: %v", raw, err)
		}
		all += string(raw) + "\n"
		kinds += " " + v.Kind
		end = v.Kind == sessions.Closed && v.Session == 2
	}
	for _, secret := range []string{"wr0ng", "s3cret", "newsecret"} {
		if strings.Contains(all, secret) {
			t.Errorf("a secret in\n%s", all)
		}
	}
	for _, kind := range []string{"opened", "command", "reply", "refused", "logged-in", "data-offered", "data-opened", "transfer"} {
		if !strings.Contains(kinds, " "+kind) {
			t.Errorf("no %s in%s", kind, kinds)
		}
	}
	out, _ := s.do(0, "events")
	if !strings.Contains(out, "alice → /f  4 B  ") || !strings.Contains(out, "wrong password") || !strings.Contains(out, "alice disconnected") {
		t.Errorf("for people:\n%s", out)
	}
	if _, errs := s.do(2, "events --shared-state s3://x/y"); !strings.Contains(errs, "can't be used together") {
		t.Errorf("it prints %s", errs)
	}
	s.End()
	if n := <-code; n != 0 {
		t.Errorf("events ends with exit %d", n)
	}
}

// TestControlOff: without a socket the server works. With --control a socket that can't be made is an error.
func TestControlOff(t *testing.T) {
	s := verbtest.Serve(t, verbs, "--control", "off", "mem://")
	if s.End() != 0 {
		t.Error("it does not end")
	}
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "f"), "")
	if code, _, errs := try(t, "serve", "--listen", "127.0.0.1:0", "--control", file, "mem://"); code != 8 || !strings.Contains(errs, "not a socket") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestControlMissing: a default socket that can't be made is a warning.
func TestControlMissing(t *testing.T) {
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "f"), "")
	t.Setenv("XDG_RUNTIME_DIR", file) // no directory
	s := verbtest.Serve(t, verbs, "mem://")
	c, err := client.Dial(t.Context(), s.Addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if code := s.End(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if log := s.Log.String(); !strings.Contains(log, "no socket for miniftp who") { // it is written in the background
		t.Errorf("it prints\n%s", log)
	}
}

// runTo runs a verb in this process, with its standard output to w.
func runTo(t *testing.T, w io.Writer, args ...string) int {
	return flags.Run(t.Context(), verbs, append([]string{"miniftp"}, args...), verb.Stdio{In: strings.NewReader(""), Out: w, Err: io.Discard})
}

// TestWhoTellsOfCertificates: who says which certificate ends soon; its JSON is still a list of sessions.
func TestWhoTellsOfCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.pem")
	verbtest.CertFile(t, file, "ftp.example.org") // valid for an hour
	s := serveAt(t, "--tls-cert", file, "mem://")
	if _, errs := s.do(0, "who"); !strings.Contains(errs, file+": the certificate expires in 5") {
		t.Error(errs)
	}
	if out, errs := s.do(0, "who --json"); out != "[]\n" || errs != "" {
		t.Errorf("%q %q", out, errs)
	}
}
