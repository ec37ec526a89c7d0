//go:build unix

package authn

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp/server"
)

// askProgram asks a shell script once. It returns the result, or the error of the login.
func askProgram(ctx context.Context, t *testing.T, timeout time.Duration, text, password string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{
		Sources: []string{"exec:" + name}, Timeout: timeout,
		Account: func(user string, _ map[string]any) (*server.Account, error) { return &server.Account{Name: user}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.pause = 0
	_, err = c.Authenticate(ctx, login("bob", password))
	if err == nil {
		return "ok"
	}
	return strings.ReplaceAll(err.Error(), "exec:"+name, "PROGRAM")
}

func TestProgramAnswers(t *testing.T) {
	const down = "the login could not be checked: PROGRAM: "
	for _, tt := range []struct{ text, want string }{
		{`echo '{"result":"ok"}'`, "ok"}, // without reading its input
		{`cat >/dev/null; printf '{"result":"ok"}'`, "ok"},
		{`echo '{"result":"wrong"}'`, "login incorrect: refused by PROGRAM"},
		{`echo '{"result":"unknown"}'`, "login incorrect: no source knows the user"},
		{`grep -q '"password":"pass word"' && test $# = 0 && echo '{"result":"ok"}'`, "ok"},
		{`env | grep -q 'pass word' || echo '{"result":"ok"}'`, "ok"},
		{`sleep 60 & echo '{"result":"ok"}'`, "ok"}, // what it leaves in the background is killed
		{`echo '{"result":"ok"}'; exit 1`, down + "it ended with exit status 1"},
		{`echo '{"result":"ok"}'; kill -9 $$`, down + "it ended with signal: killed"},
		{`exit 0`, down + "the answer: not JSON, or something follows it"},
		{`echo 'nonsense pass word'`, down + "the answer: not JSON, or something follows it"},
		{`echo '{"result":"ok","pass word":1}'`, down + `the answer has the unknown key "****"`},
		{`echo first >&2; cat >&2; exit 3`, down + `it ended with exit status 3: {"version":1,"user":"bob","password":"****","certified":false,"address":"192.0.2.7","port":1234,"host":"","protocol":"ftp","tls":null}`},
		{`i=0; while [ $i -lt 20000 ]; do echo pass word pass word; i=$((i+1)); done >&2; exit 4`, down + "it ended with exit status 4: **** ****"},
		{`exec /does/not/exist`, down + "it ended with exit status 127"},
		{`trap "" PIPE TERM INT; dd if=/dev/zero bs=1M count=10 2>/dev/null; sleep 60`, down + "the answer has more than 65536 bytes"},
	} {
		if got := askProgram(t.Context(), t, long, tt.text, "pass word"); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "pass word") {
			t.Errorf("%s:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// TestProgramEnds: what a program has started is killed when it ends, and with it, if it hangs, when its time is over and when the
// client leaves.
func TestProgramEnds(t *testing.T) {
	for why, want := range map[string]string{
		"it ends": "ok", "its time is over": "the login could not be checked: PROGRAM: no answer in time", "the client leaves": "context canceled",
	} {
		pidFile := filepath.Join(t.TempDir(), "pid")
		ctx, cancel := context.WithCancel(t.Context())
		timeout, then := long, "wait; sleep 300"
		switch why {
		case "the client leaves":
			go func() {
				for ctx.Err() == nil {
					if text, err := os.ReadFile(pidFile); err == nil && strings.HasSuffix(string(text), "\n") {
						cancel()
					}
					time.Sleep(time.Millisecond)
				}
			}()
		case "its time is over":
			timeout = 5 * time.Second
		case "it ends":
			then = `echo '{"result":"ok"}'`
		}
		got := askProgram(ctx, t, timeout, "trap '' TERM INT\nsleep 300 >/dev/null 2>&1 &\necho $! >"+pidFile+"\n"+then, "x")
		cancel()
		if got != want {
			t.Errorf("%s: %s", why, got)
		}
		text, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); runs(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: what it has started still runs", why)
			}
		}
	}
}

// runs reports whether a process runs; one that has ended and waits for its parent does not.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
