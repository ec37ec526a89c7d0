package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// attempt is a command that changes files, for TestAudit. The directory has a file named file and a directory named dir.
type attempt struct {
	before string // a command to send first
	works  string // the argument with which it works
	fails  string // one with which it fails because of the file
	data   bool   // it transfers a file
	silent bool   // it has no line if it works, because it changes nothing yet
}

var attempts = map[string]attempt{
	"STOR":         {works: "new", fails: "dir", data: true},
	"STOU":         {works: "new", fails: "none/new", data: true},
	"APPE":         {works: "file", fails: "dir", data: true},
	"MKD":          {works: "new", fails: "dir"},
	"RMD":          {works: "dir", fails: "file"},
	"DELE":         {works: "file", fails: "none"},
	"RNFR":         {works: "file", fails: "none", silent: true},
	"RNTO":         {before: "RNFR file", works: "new", fails: "none/new"},
	"MDTM":         {works: "20200102030405 file", fails: "20200102030405 none"},
	"MFMT":         {works: "20200102030405 file", fails: "20200102030405 none"},
	"MFF":          {works: "UNIX.mode=0600; file", fails: "UNIX.mode=0600; none"},
	"SITE CHMOD":   {works: "600 file", fails: "600 none"},
	"SITE UTIME":   {works: "20200102030405 file", fails: "20200102030405 none"},
	"SITE SYMLINK": {works: "file new", fails: "file dir"},
}

// TestAudit: each verb that changes files has exactly one line in the log, whether it works, fails because of the file, or
// is refused because of the account. The line says who, from where, what, which path, the result and the reason.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--user", "ro:x:ro", "--log-format", "json", "--log-sha256", "--failure-delay", "0", dir)
	type tried struct{ verb, user, arg, result, home, local string }
	var all []tried
	left := maps.Clone(attempts)
	for _, v := range server.Verbs() {
		if !v.Changes {
			continue
		}
		a, known := left[v.Name]
		if delete(left, v.Name); !known {
			t.Errorf("%s changes files, and no attempt tests its line in the log", v.Name)
			continue
		}
		for _, try := range []tried{{user: "rw", arg: a.works, result: "done"}, {user: "rw", arg: a.fails, result: "refused"}, {user: "ro", arg: a.works, result: "refused"}} {
			try.verb, try.home = v.Name, fmt.Sprint("/home", len(all))
			if err := os.MkdirAll(filepath.Join(dir, try.home, "dir"), 0o755); err != nil {
				t.Fatal(err)
			}
			verbtest.WriteFile(t, filepath.Join(dir, try.home, "file"), "content")
			try.local = speak(t, p.Addr, try.user, try.home, a, v.Name+" "+try.arg)
			all = append(all, try)
		}
	}
	for verb := range left {
		t.Errorf("%s changes no files", verb)
	}
	p.End() // the log is written in the background
	lines := audited(t, p.Log.String())
	for _, try := range all {
		a := attempts[try.verb]
		var its []map[string]any
		for _, line := range lines {
			if line["from"] == try.local && line["verb"] != nil && (line["verb"] != "RNFR" || try.verb == "RNFR") {
				its = append(its, line)
			}
		}
		name := fmt.Sprintf("%s %s by %s", try.verb, try.arg, try.user)
		if a.silent && try.result == "done" {
			if len(its) > 0 {
				t.Errorf("%s: %v", name, its)
			}
			continue
		}
		if len(its) != 1 {
			t.Errorf("%s: %d lines: %v", name, len(its), its)
			continue
		}
		line := its[0]
		if a.data && try.result == "done" {
			try.result = whole
			if line["bytes"] != 4.0 || len(fmt.Sprint(line["sha256"])) != 64 {
				t.Errorf("%s: no bytes or no SHA-256: %v", name, line)
			}
		}
		path, _ := line["path"].(string)
		if line["verb"] != try.verb || line["user"] != try.user || line["result"] != try.result || (line["why"] != nil) != (try.result == "refused") || path != "" && !strings.HasPrefix(path, try.home) {
			t.Errorf("%s: %v", name, line)
		}
	}
}

// TestAuditOfLoginsAndDownloads: logins and downloads have lines too, those that were refused included.
func TestAuditOfLoginsAndDownloads(t *testing.T) {
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--log-format", "json", "--failure-delay", "0", t.TempDir())
	local := speak(t, p.Addr, "rw", "/", attempt{before: "RETR none"}, "REIN", "USER mallory", "PASS wrong")
	p.End()
	var got []string
	for _, line := range audited(t, p.Log.String()) {
		if line["from"] == local && line["msg"] != "session closed" {
			got = append(got, fmt.Sprint(line["msg"], " ", line["user"], " ", line["path"], " ", line["result"], " ", line["why"]))
		}
	}
	want := `logged in rw <nil> done <nil>
refused rw /none refused 550 /none: no such file or directory.
refused mallory <nil> refused mallory: login incorrect: there is no such user`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
}

// audited parses a log in JSON.
func audited(t *testing.T, log string) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(log) {
		line := map[string]any{}
		if strings.HasPrefix(text, "{") {
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// speak logs in, sends the commands of an attempt, and quits. It returns the address that it called from.
func speak(t *testing.T, addr, user, home string, a attempt, commands ...string) (local string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := ftp.NewLineReader(conn, 4096)
	reply := func() string {
		text, err := ftp.ReadReply(r)
		if err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	send := func(line string) string { fmt.Fprintf(conn, "%s\r\n", line); return reply() }
	reply()
	for _, line := range []string{"USER " + user, "PASS x", "TYPE I", "CWD " + home} {
		send(line)
	}
	if a.before != "" {
		send(a.before)
	}
	for _, line := range commands {
		if !a.data {
			send(line)
			continue
		}
		var port int
		epsv := send("EPSV")
		if _, err := fmt.Sscanf(epsv[strings.Index(epsv, "(")+1:], "|||%d|", &port); err != nil {
			t.Fatal(epsv, err)
		}
		data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(send(line), "150") {
			_, _ = io.WriteString(data, "data")
			_ = data.Close()
			reply()
		}
		_ = data.Close()
	}
	send("QUIT")
	_, _ = io.Copy(io.Discard, conn) // the end, which is logged before it
	return conn.LocalAddr().String()
}
