//go:build unix

package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

// checker writes a shell script that is a source of logins. In it, $q is the question.
func checker(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "check")
	if err := os.WriteFile(name, []byte("#!/bin/sh\nread -r q\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// accepts returns the line of a checker that accepts a user with the password pw and gives an account.
func accepts(user, account string) string {
	return fmt.Sprintf(`case "$q" in *'"user":"%s","password":"pw"'*) echo '{"result":"ok","account":%s}'; exit;; *'"user":"%[1]s"'*) echo '{"result":"wrong"}'; exit;; esac`, user, account)
}

const isUnknown = `echo '{"result":"unknown"}'`

// TestStockAuth: users whom a program accepts log in with curl and lftp, beside those of the configuration. They get the root of the
// server or of their group, and what the answer says; without that they may only read.
func TestStockAuth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv, staff := filepath.Join(dir, "srv"), filepath.Join(dir, "staff")
	if err := errors.Join(os.Mkdir(srv, 0o755), os.Mkdir(staff, 0o755)); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(staff, "plan"), "the plan")
	program := checker(t, strings.Join([]string{
		accepts("bob", `{"perm":"rw","quota":"1k"}`), accepts("reader", `{}`), accepts("carol", `{"group":"staff"}`), accepts("rita", `{"group":"staff","perm":"rw","umask":"027"}`),
		accepts("../out", `{"perm":"rw"}`), accepts("lost", `{"group":"nobody"}`), accepts("root", `{"root":"/"}`), isUnknown,
	}, "\n"))
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "srv/{user}"
[limits]
failure-delay = 0
max-login-failures = 0
[auth]
sources = ["file", "exec:`+program+`"]
cache = 0
[groups.staff]
root = "staff"
perm = ["read", "list", "store"]
[users.alice]
password = "pw"
`)
	if code, out, errs := try(t, "config", "check", file); code != verb.ExitOK || !strings.Contains(out, "alice may read and write; users of exec:"+program) {
		t.Fatalf("config check: exit %d: %s%s", code, out, errs)
	}
	p := verbtest.Serve(t, verbs, "--config", file, "--log-format", "text")
	for _, tt := range []struct {
		user, name, want string // the error of curl, or the file that it has made
	}{
		{"alice", "a", "srv/alice/a"},
		{"bob", "b", "srv/bob/b"},
		{"carol", "c", "staff/c"},
		{"rita", "d", "staff/d"},
		{"carol", "plan", "550"},   // may not replace
		{"bob", "large", "552"},    // the quota
		{"reader", "x", "550"},     // may only read
		{"lost", "x", "421"},       // the group does not exist
		{"root", "x", "421"},       // a source can't choose the root
		{"../out", "x", "530"},     // the name can't be in the root
		{"nobody", "x", "530"},     // unknown
		{"anonymous", "x", "530"},  // not asked
		{"ALICE", "x", "530"},      // not asked
		{"bo*", "x", "530"},        // unknown
		{"bob\"", "x", "530"},      // unknown
		{"alice' OR", "x", "530"},  // unknown
		{"bob\\", "x", "530"},      // unknown
		{"reader/..", "x", "530"},  // unknown
		{"staff", "plan", "530"},   // unknown
		{"carol ", "plan", "530"},  // unknown
		{"carol\t", "plan", "530"}, // unknown
	} {
		content := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "content"), "content")
		if tt.name == "large" {
			verbtest.WriteFile(t, content, strings.Repeat("x", 2000))
		}
		out, err := curlAs(t, p.Addr, tt.user, "-v", "-T", content, "ADDR/"+tt.name)
		if code, isCode := strings.CutPrefix(tt.want, "5"); isCode || strings.HasPrefix(tt.want, "421") {
			if err == nil || !strings.Contains(out, "< "+tt.want+" ") {
				t.Errorf("%s: no %s%s:\n%s", tt.user, tt.want, code[:0], out)
			}
			continue
		}
		if text := readText(t, filepath.Join(dir, tt.want)); err != nil || text != "content" {
			t.Errorf("%s: %q, %v\n%s", tt.user, text, err, out)
		}
	}
	if fi, err := os.Stat(filepath.Join(staff, "d")); err != nil || fi.Mode().Perm()&0o027 != 0 {
		t.Errorf("umask: %v, %v", fi, err)
	}
	if entries := verbtest.Files(t, dir); slices.ContainsFunc(entries, func(name string) bool { return strings.Contains(name, "out") }) {
		t.Errorf("there are %q", entries)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, verbtest.StockProgram(t, "lftp"), "-e", "set net:max-retries 1; set ftp:ssl-allow no; cat plan; quit", "-u", "carol,pw", "ftp://"+p.Addr+"/").CombinedOutput()
	if err != nil || string(out) != "the plan" {
		t.Errorf("lftp: %v: %s", err, out)
	}
	p.End()
	log := p.Log.String()
	for _, want := range []string{
		"lost: the login could not be checked: exec:" + program + ": the account in its answer: key group: there is no [groups.nobody]",
		`the account in its answer: key \"root\" is not one that a source can set`, "option=auth", "refused", "no source knows the user",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

// TestAuthMounts: users whom a program accepts have the mounts of their group, with their own names in them. An answer can't set
// mounts.
func TestAuthMounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"srv", "in", "pub"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	verbtest.WriteFile(t, filepath.Join(dir, "pub", "news"), "the news")
	program := checker(t, strings.Join([]string{
		accepts("bob", `{"group":"partners","perm":"rw"}`), accepts("carol", `{"group":"partners"}`), accepts("eve", `{"mounts":{"/etc":"/etc"}}`), isUnknown,
	}, "\n"))
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "srv/{user}"
[limits]
failure-delay = 0
[auth]
sources = ["file", "exec:`+program+`"]
[groups.partners.mounts]
"/pub" = "pub:ro"
"/in" = "in/{user}:drop"
`)
	p := verbtest.Serve(t, verbs, "--config", file, "--anonymous", "off")
	for _, tt := range []struct{ user, name, want string }{
		{"bob", "own", "srv/bob/own"},
		{"bob", "in/a", "in/bob/a"},
		{"carol", "in/a", "in/carol/a"},
		{"bob", "pub/a", "550"},
		{"carol", "own", "550"}, // read-only without an answer that says more
		{"eve", "a", "421"},
	} {
		said, ok := curlPut(t, p.Addr, tt.name, "content", "--user", tt.user+":pw")
		if ok != strings.Contains(tt.want, "/") || !ok && !strings.Contains(said, "< "+tt.want) {
			t.Errorf("%s, %s: want %s, but curl says:\n%s", tt.user, tt.name, tt.want, said)
		} else if ok && readText(t, filepath.Join(dir, tt.want)) != "content" {
			t.Errorf("%s, %s: not in %s", tt.user, tt.name, tt.want)
		}
	}
	if code, out, errs := try(t, "cat", "ftp://carol:pw@"+p.Addr+"/pub/news"); code != verb.ExitOK || out != "the news" {
		t.Errorf("cat: exit %d: %s%s", code, out, errs)
	}
}

// TestAuthOnly: without users of the configuration, the banner says who may log in, and a web service decides.
func TestAuthOnly(t *testing.T) {
	var down, asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() > 0 {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, `{"result":"ok","account":{"perm":"rw"}}`)
	}))
	defer s.Close()
	dir := t.TempDir()
	secret := verbtest.WriteFile(t, filepath.Join(dir, "secret"), "0123456789abcdef")
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"mem://\"\n[auth]\nsources = [\""+s.URL+"/token\"]\nsecret-file = \"secret\"\n")
	p := verbtest.StartServer(t, "mem://", "--config", file)
	p.Await("Ctrl-C stops.")
	banner := strings.Join(p.Read, "\n")
	if !strings.Contains(banner, "users of "+s.URL+"\n") || !strings.Contains(banner, "curl -u NAME ftp://") || strings.Contains(banner, "token") {
		t.Errorf("the banner:\n%s", banner)
	}
	p.MustLogIn("bob", "pw")
	down.Store(1)
	p.MustLogIn("bob", "pw") // remembered
	p.Refuses("bob", "other")
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	// A reload forgets what is remembered.
	p.Hangup("reloaded")
	p.Refuses("bob", "pw")
	down.Store(0)
	p.MustLogIn("bob", "pw")
	// It may also change the sources.
	verbtest.WriteFile(t, file, "[auth]\nsources = [\"file\"]\n[users.alice]\npassword = \"a\"\n")
	p.Hangup("reloaded")
	p.Refuses("bob", "pw")
	p.MustLogIn("alice", "a")
	verbtest.WriteFile(t, secret, "short")
	verbtest.WriteFile(t, file, "[auth]\nsources = [\""+s.URL+"\"]\nsecret-file = \"secret\"\n")
	p.Hangup("not reloaded")
	p.MustLogIn("alice", "a")
}

// TestAuthHangs: while a program hangs, few of them run, users of the configuration log in, and when the clients leave, no process
// is left.
func TestAuthHangs(t *testing.T) {
	t.Parallel()
	pids := t.TempDir()
	program := checker(t, "touch "+pids+"/$$\nsleep 300 & wait")
	p := verbtest.StartServer(t, "mem://", "--user", "alice:a", "--auth", "file", "--auth", "exec:"+program, "--auth-timeout", "4m", "--login-timeout", "5m")
	const clients = 200
	var conns []net.Conn
	for i := range clients {
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}} // else the logins of one address take turns
		conn, err := from.DialContext(t.Context(), "tcp", p.Addr)
		if err != nil {
			t.Skip("this system has only 127.0.0.1: ", err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		c := textproto.NewReader(textproto.NewConn(conn).R)
		if _, _, err := c.ReadResponse(220); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "USER user%d\r\n", i)
		if _, _, err := c.ReadResponse(331); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "PASS x\r\n")
	}
	running := func() int {
		entries, err := os.ReadDir(pids)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	eventually(t, "programs run", func() bool { return running() == 16 })
	start := time.Now()
	p.MustLogIn("alice", "a")
	if took := time.Since(start); took > time.Minute { // the timeouts are four times as long
		t.Errorf("a user of the configuration waited for %v", took)
	}
	if n := running(); n != 16 {
		t.Errorf("%d programs run", n)
	}
	for _, conn := range slices.Backward(conns) { // first those that wait
		_ = conn.Close()
	}
	eventually(t, "the programs have ended", func() bool {
		left, err := exec.CommandContext(t.Context(), "pgrep", "-f", "^/bin/sh "+program).Output()
		return err != nil && len(left) == 0
	})
}

// TestAuthDies: a program that is killed from outside is no verdict. When it has failed several times in a row, logins are refused
// without it.
func TestAuthDies(t *testing.T) {
	program := checker(t, "kill -9 $$")
	p := verbtest.Serve(t, verbs, "--metrics", "127.0.0.1:0", "--auth", "exec:"+program, "--max-login-failures", "3", "--failure-delay", "0", "--log-format", "text", "mem://")
	url := metricsURL.FindString(p.Log.String())
	for range 8 {
		if codes := script(t, p.Addr, "USER bob", "PASS secretpw"); !slices.Equal(codes, []int{220, 331, 421}) {
			t.Errorf("the codes are %v", codes)
		}
	}
	_, body := httpGet(t, url)
	got := samples(t, body)
	for name, want := range map[string]float64{
		`miniftp_auth_answers_total{source="exec:` + program + `",result="failed"}`:  5,
		`miniftp_auth_answers_total{source="exec:` + program + `",result="skipped"}`: 3,
		`miniftp_auth_source_up{source="exec:` + program + `"}`:                      0,
		`miniftp_logins_total{result="failed",reason="login_could_not_be_checked"}`:  8,
		`miniftp_logins_total{result="failed",reason="too_many_failed_logins"}`:      0,
		`miniftp_refusals_total{reason="login_could_not_be_checked",setting="auth"}`: 8,
		`miniftp_bans`: 0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	p.End()
	if log := p.Log.String(); strings.Count(log, "a source of logins is down") != 1 || strings.Contains(log, "secretpw") {
		t.Errorf("the log:\n%s", log)
	}
}

// TestAuthCertified: a source is asked about a user with a certificate, without a password.
func TestAuthCertified(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	ca := verbtest.CertFile(t, filepath.Join(dir, "ca.pem"), "authority")
	if err := local.SavePEM(filepath.Join(dir, "cam"), verbtest.MakeCert(t, "cam", time.Now().Add(time.Hour), &ca)); err != nil {
		t.Fatal(err)
	}
	program := checker(t, `case "$q" in *'"user":"cam","password":"","certified":true,"address":"127.0.0.1",'*'"protocol":"ftps","tls":{"version":"TLS 1.3","subject":"CN=cam","verified":true}}') echo '{"result":"ok"}';; *) echo '{"result":"wrong"}';; esac`)
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "mem://"
[auth]
sources = "exec:`+program+`"
[limits]
failure-delay = "0s"
[tls]
mode = "required"
self-signed = true
client-ca = "ca.pem"
client-user = true
`)
	p := serveHere(t, "--config", file)
	_, addr, _ := strings.Cut(p.Log.String(), "ftpes://")
	addr, _, _ = strings.Cut(addr, "/")
	t.Setenv("MINIFTP_PASSWORD", "pw")
	for user, want := range map[string]int{"cam": 0, "other": verb.ExitLogin} {
		code, out, errs := try(t, "ls", "--retries", "0", "--user", user, "--cert", filepath.Join(dir, "cam"),
			"--ca-cert", filepath.Join(dir, "miniftp", "self-signed.pem"), "ftpes://"+addr+"/")
		if code != want {
			t.Errorf("%s: exit %d: %s%s", user, code, out, errs)
		}
	}
}

// TestAuthMadeBy: after a restart, the outbox finds the files of a user whose group nobody remembers.
func TestAuthMadeBy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"srv", "srv/bob", "staff"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now().Add(-time.Second)
	verbtest.WriteFile(t, filepath.Join(dir, "staff", "up"), "content")
	cf := parsed(t, "--config", verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"srv/{user}\"\n[groups.staff]\nroot = \"staff\"\n[auth]\nsources = \"exec:"+checker(t, isUnknown)+"\"\n"))
	roots := newRoots(t.Context())
	defer roots.end()
	cf.prepare(roots)
	for path, want := range map[string]bool{"/up": true, "/other": false} {
		for _, user := range []string{"bob", "carol"} {
			made, err := cf.madeBy(t.Context(), roots, server.Change{User: user, Verb: "STOR", Path: path, Bytes: 7}, began)
			if made != want || err != nil {
				t.Errorf("%s of %s: %v, %v", path, user, made, err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "srv", "carol")); err == nil {
		t.Error("a directory was made")
	}
	if _, err := cf.madeBy(t.Context(), roots, server.Change{User: "../x", Verb: "MKD", Path: "/"}, began); err != nil {
		t.Error(err) // only the group's root is looked at
	}
}

// TestExternalUsersAreForgotten: the number of trees of users who are not in the configuration is bounded, and a tree in use is kept.
func TestExternalUsersAreForgotten(t *testing.T) {
	dir := t.TempDir()
	cf := parsed(t, "--auth", "exec:"+checker(t, isUnknown), "--user", "alice:a", dir+"/{user}")
	roots := newRoots(t.Context())
	defer roots.end()
	cf.prepare(roots)
	before := len(roots.trees)
	account, err := cf.externalUser(roots, "bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, lease, err := account.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	for i := range maxExternal + 1000 {
		if _, err := cf.externalUser(roots, fmt.Sprint("user", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(roots.trees); n > maxExternal+2 {
		t.Errorf("%d trees are remembered", n)
	}
	for name := range roots.trees {
		if !strings.HasPrefix(filepath.Base(name), "user") || name == dir+"/users of --auth" {
			before--
		}
	}
	if before != -1 { // bob
		t.Errorf("%d other trees were forgotten", before+1)
	}
}
