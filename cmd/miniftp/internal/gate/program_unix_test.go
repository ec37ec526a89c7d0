//go:build unix

package gate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script makes an executable and returns its spec.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "check")
	check(t, os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return "exec:" + name
}

// The exit status of a program is its verdict, and the first line of its output the reason. Everything else means that
// the upload was not checked.
func TestProgram(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 64<<10)
	for name, c := range map[string]struct{ text, content, want string }{
		"passes":               {"exit 0", large, "passed"},
		"reads it all":         {`test "$(wc -c)" = 1048576 || exit 1`, large, "passed"},
		"reads the size":       {`test "$MINIFTP_SIZE" = 5 || exit 1`, "hello", "passed"},
		"refuses":              {"echo no executables; echo second line; exit 1", large, "refused: refused by the check: no executables"},
		"refuses silently":     {"exit 1", "x", "refused: refused by the check"},
		"hostile output":       {`printf '\033[2J226 fine\r\n%0999999d' 1; exit 1`, "x", "refused: refused by the check: ?[2J226 fine"},
		"endless output":       {`yes | head -c 10000000; exit 1`, "x", "refused: refused by the check: y"},
		"another status":       {"echo broken >&2; exit 2", "x", "unchecked: exit status 2: broken"},
		"killed":               {"kill -9 $$", "x", "unchecked: signal: killed"},
		"not found":            {"exec /no/such/program", "x", "unchecked: exit status 127"},
		"others hold its pipe": {"sleep 100 & exit 0", "x", "passed"},
		"no other environment": {`env | grep -v '^\(PATH\|LANG\|MINIFTP_[A-Z]*\|PWD\|SHLVL\|_\|OLDPWD\)='; test $? = 1 || exit 1`, "x", "passed"},
		"what it is told":      {`echo "$MINIFTP_USER $MINIFTP_PATH $MINIFTP_FROM $MINIFTP_VERB"; exit 1`, "x", "refused: refused by the check: alice /in box/x.exe 192.0.2.1 STOR"},
		"no descriptors":       {`for f in 3 4 5 6 7 8 9; do if [ -e /proc/$$/fd/$f ] && [ "$(readlink /proc/$$/fd/$f)" != "$0" ]; then echo $f; exit 1; fi; done`, "x", "passed"},
		"not executable":       {"", "x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := script(t, c.text)
			if c.want == "" {
				check(t, os.Chmod(strings.TrimPrefix(spec, "exec:"), 0o644))
				if _, err := New([]string{spec}, nil); err == nil {
					t.Error("accepted")
				}
				return
			}
			got := ask(t, spec, c.content)
			wants(t, got, c.want)
			if len(got) > 300 {
				t.Errorf("the reason has %d bytes", len(got))
			}
		})
	}
}

// When the context ends, the program and all that it has started are killed.
func TestProgramHangs(t *testing.T) {
	dir := t.TempDir()
	spec := script(t, `sleep 1000 & echo $! >`+dir+`/child; echo $$ >`+dir+`/self; mv `+dir+`/self `+dir+`/ready; sleep 1000`)
	g, err := New([]string{spec}, nil)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if _, err := os.Stat(dir + "/ready"); err == nil {
				return
			}
		}
	}()
	wants(t, verdictOf(g.CheckUpload(ctx, uploadOf(strings.Repeat("x", 1<<20)))), "unchecked: context canceled")
	for _, name := range []string{"child", "ready"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		if !ended(t, strings.TrimSpace(string(text))) {
			t.Errorf("process %s of the script still runs", name)
		}
	}
}

// What a program leaves running when it has given its verdict is killed.
func TestProgramLeaves(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	wants(t, ask(t, script(t, "sleep 1000 >/dev/null 2>&1 & echo $! >"+pid), "x"), "passed")
	text, err := os.ReadFile(pid)
	check(t, err)
	if !ended(t, strings.TrimSpace(string(text))) {
		t.Error("a process of the program still runs")
	}
}

// ended waits until the process has ended. One whose parent has not waited for it yet has.
func ended(t *testing.T, pid string) bool {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return true
		}
	}
	return false
}

// A content that can't be read is not a verdict of the program.
func TestProgramWithoutContent(t *testing.T) {
	g, err := New([]string{script(t, "cat >/dev/null")}, nil)
	check(t, err)
	u := uploadOf("x")
	u.Content = broken{}
	wants(t, verdictOf(g.CheckUpload(t.Context(), u)), "unchecked: input/output error")
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, syscall.EIO }
