package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// say sends lines unchanged and reads the reply to each, until the server closes the connection.
func say(t *testing.T, addr string, lines ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for _, line := range append([]string{""}, lines...) {
		if line != "" {
			fmt.Fprintf(conn, "%s\r\n", line)
		}
		for {
			reply, err := r.ReadString('\n')
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				return // the server has closed the connection, before or after it read this line
			}
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if len(reply) > 3 && reply[3] == ' ' {
				break
			}
		}
	}
}

// TestNoSecretInLogs: no log at its most detailed level holds a password, however it was configured or
// sent, and whether or not the login succeeded.
func TestNoSecretInLogs(t *testing.T) {
	const secret, wrong = "s3cret-word", "wr0ng-word"
	made, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	hash := string(made)
	for _, form := range []string{"text", "json"} {
		dir := t.TempDir()
		verbtest.WriteFile(t, filepath.Join(dir, "users"), "hashed:"+hash+"\nplain:"+secret+"\n")
		file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
users-file = "users"
[limits]
failure-delay = "0s"
max-login-failures = 0
[log]
level = "debug"
verbose = true
explain = true
[users.file]
password = "`+secret+`"
`)
		p := serveHere(t, "--config", file, "--log-format", form, "--xferlog", filepath.Join(dir, "xferlog"), "--user", "flag:"+secret, "mem://")
		for _, user := range []string{"hashed", "plain", "file", "flag", "nobody"} {
			say(t, p.Addr, "USER "+user, "PASS "+wrong, "USER "+user, "PASS "+secret, "PASS "+secret, "NOOP", "QUIT")
			say(t, p.Addr, "USER "+user, "pass "+secret+" ", "ACCT "+secret, "XPASS", "PASS", "QUIT")
			say(t, p.Addr, "PASS "+secret, "QUIT")
		}
		if code := p.End(); code != 0 {
			t.Errorf("exit %d", code)
		}
		all := p.Log.String()
		if strings.Contains(all, secret) || strings.Contains(all, wrong) || strings.Contains(all, hash) {
			t.Errorf("a secret is in the %s log:\n%s", form, all)
		}
		if !strings.Contains(all, "wrong password") || !strings.Contains(all, "logged in") {
			t.Errorf("the log does not report the logins:\n%s", all)
		}
	}
}

var controls = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f]|\u009b")

// TestHostileLogs: text from a client can't break a line of any log, and its control characters don't
// reach a terminal.
func TestHostileLogs(t *testing.T) {
	const evil = "x\x1b[31m\u009b2J\" 0 * c\t\x00\x7f'"
	for _, form := range []string{"text", "json"} {
		dir := t.TempDir()
		xfer := filepath.Join(dir, "xferlog")
		p := serveHere(t, "--log-format", form, "--log-level", "debug", "--verbose", "--xferlog", xfer, "--anonymous", "rw", "--failure-delay", "0s", "mem://")
		say(t, p.Addr, "USER "+evil, "PASS "+evil, evil+" "+evil, "CWD "+evil, "QUIT")
		say(t, p.Addr, "USER anonymous", "PASS x", "CWD "+evil, "TYPE "+evil, "MKD a\" b", evil, "QUIT")
		if code := p.End(); code != 0 {
			t.Errorf("exit %d", code)
		}
		_, log, _ := strings.Cut(p.Log.String(), "Ctrl-C stops.\n")
		if found := controls.FindString(log); found != "" {
			t.Errorf("%s: %q in\n%q", form, found, log)
		}
		for line := range strings.Lines(log) {
			wire := strings.HasPrefix(line, "[")
			var entry map[string]any
			if !wire && form == "json" && json.Unmarshal([]byte(line), &entry) != nil || !wire && form == "text" && !strings.HasPrefix(line, "time=") {
				t.Errorf("%s: malformed line %q", form, line)
			}
		}
	}
}

// logged returns what the log and the xferlog say about events that are one second apart.
func logged(form string, events ...ftp.Happening) (log, xfer string) {
	return loggedEvery(time.Second, form, events...)
}

func loggedEvery(step time.Duration, form string, events ...ftp.Happening) (log, xfer string) {
	var out, x bytes.Buffer
	cf := &config{Config: settings.FromFile("")}
	cf.LogFormat = form
	l, _ := openLogs((&verb.Env{Stdio: verb.Stdio{Err: &out}}), cf)
	l.xfer.instead = &x // before anything is written
	c := &ftp.Control{ID: 7, Side: ftp.ServerPI, Remote: netip.MustParseAddrPort("192.0.2.9:1234")}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for i, what := range events {
		l.see.Observe(ftp.Event{At: at.Add(time.Duration(i) * step), Control: c, What: what})
	}
	l.close()
	return out.String(), x.String()
}

// TestLogLines: log lines and xferlog lines have the documented attributes and fields.
func TestLogLines(t *testing.T) {
	tls := ftp.TLS{Version: "TLS 1.3"}
	reply := func(verb string, code ftp.Code) ftp.ReplyGiven {
		return ftp.ReplyGiven{Verb: verb, Reply: ftp.NewReply(code, "x")}
	}
	log, xfer := logged("text",
		ftp.ControlOpened{}, ftp.ControlSecured{TLS: tls}, ftp.LoggedInAs{User: "al ice"},
		ftp.CommandGiven{Command: ftp.Command{Verb: "TYPE", Arg: "A N"}}, reply("TYPE", 200),
		ftp.DataSecured{TLS: tls},
		ftp.TransferDone{Verb: "RETR", Path: "/a b\nc", Direction: ftp.Retrieve, Mode: ftp.Active, Bytes: 3000, Took: 1500 * time.Millisecond, Protection: ftp.Private},
		ftp.CommandGiven{Command: ftp.Command{Verb: "TYPE", Arg: "I"}}, reply("TYPE", 200),
		ftp.CommandGiven{Command: ftp.Command{Verb: "TYPE", Arg: "A"}}, reply("TYPE", 504),
		ftp.TransferDone{Verb: "STOR", Path: "/up", Direction: ftp.Store, Bytes: 5, Took: time.Millisecond, Err: &ftp.Error{Verb: "STOR", Reply: ftp.NewReply(426, "cut\x1b")}},
		ftp.TransferDone{Verb: "MLSD", Path: "/", Direction: ftp.Retrieve, Bytes: 10},
		ftp.ControlClosed{},
	)
	for _, want := range []string{
		`level=INFO msg="logged in" session=7 user="al ice" from=192.0.2.9:1234 tls="TLS 1.3" result=done` + "\n",
		`level=INFO msg=transferred session=7 user="al ice" verb=RETR path="/a b?c" bytes=3000 seconds=1.5 rate=2000 mode=active stance=dials tls="TLS 1.3" from=192.0.2.9:1234 result=whole` + "\n",
		`level=WARN msg="transfer failed" session=7 user="al ice" verb=STOR path=/up bytes=5 seconds=0.001 rate=5000 mode=passive stance=listens tls=clear from=192.0.2.9:1234 result="426 cut?"` + "\n",
		`level=INFO msg="session closed" session=7 user="al ice" from=192.0.2.9:1234 tls="TLS 1.3" seconds=13 commands=3 transfers=3 changes=0 sent=3010 received=5` + "\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
	want := "Sun Mar  1 12:00:06 2026 2 192.0.2.9 3000 /a_b?c a _ o r al_ice ftp 0 * c\n" +
		"Sun Mar  1 12:00:11 2026 1 192.0.2.9 5 /up b _ i r al_ice ftp 0 * i\n"
	if xfer != want {
		t.Errorf("xferlog:\n%swant\n%s", xfer, want)
	}
	_, xfer = logged("text", ftp.ControlOpened{}, ftp.LoggedInAs{User: "ftp"}, ftp.TransferDone{Verb: "RETR", Path: "", Bytes: 1})
	if !strings.HasSuffix(xfer, "1 192.0.2.9 1 _ b _ o a ftp ftp 0 * c\n") {
		t.Errorf("anonymous: %s", xfer)
	}
}

// TestLogRefusals: the line of a refusal names the reason, the client and the option that decides, also if
// the client was never admitted.
func TestLogRefusals(t *testing.T) {
	addr := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), port) }
	for _, tt := range []struct {
		what ftp.Happening
		want string
	}{
		{ftp.Refused{Why: "there are 3 sessions\x07", Reason: ftp.ReasonSessions}, `msg=refused session=7 from=192.0.2.9:1234 why="there are 3 sessions?" option=max-sessions`},
		{ftp.Refused{Why: "wrong"}, "msg=refused session=7 from=192.0.2.9:1234 why=wrong result=refused\n"},
		{ftp.StrangerRefused{Remote: addr(9)}, `why="another host connected to the data port" stranger=203.0.113.1:9 option=data-any-host`},
		{ftp.DataFailed{Mode: ftp.Active, Stance: ftp.Dials, Addr: addr(2000), Err: &dtp.GuardError{Addr: addr(2000), Why: "no"}}, "mode=active stance=dials addr=203.0.113.1:2000 option=data-any-host"},
		{ftp.DataFailed{Mode: ftp.Active, Stance: ftp.Dials, Addr: addr(22), Err: &dtp.GuardError{Addr: addr(22), Why: "no"}}, "addr=203.0.113.1:22 option=data-low-ports"},
		{ftp.DataFailed{Err: os.ErrDeadlineExceeded}, `msg="no data connection"`},
	} {
		log, _ := logged("text", tt.what)
		if !strings.Contains(log, tt.want) || !strings.Contains(log, "level=WARN") {
			t.Errorf("no %s in\n%s", tt.want, log)
		}
	}
}
