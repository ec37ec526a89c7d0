//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// mostMemory is the limit on the client's resident memory, including its code, whatever a server
// sends. An idle client uses about 13 MiB.
const mostMemory = 32 << 20

// peak runs miniftp and returns its peak resident memory. The usage reported after a process has
// ended includes its parent's before exec, so peak polls while it runs.
func peak(t *testing.T, dir string, args ...string) (code int, rss int64, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, verbtest.Program(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NETRC="+filepath.Join(dir, "none"), "HOME="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(over)
	}()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); err == nil {
			_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
			var kb int64
			if _, err := fmt.Sscan(rest, &kb); err == nil {
				rss = kb << 10
			}
		}
		select {
		case <-over:
			running = false
		case <-tick.C:
		}
	}
	if ctx.Err() != nil {
		t.Fatalf("%v does not end", args)
	}
	return cmd.ProcessState.ExitCode(), rss, said.String()
}

// endless writes text until the reader stops, but at most 3 GiB, after which the test has failed
// anyway.
func endless(w io.Writer, text func(i int) string) {
	n := int64(0)
	for i := 0; n < 3<<30; i++ {
		m, err := io.WriteString(w, text(i))
		if err != nil {
			return
		}
		n += int64(m)
	}
}

// TestHostileMemory: whatever the server sends without end, the client exits with one line and has
// used little memory.
func TestHostileMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: it builds the program")
	}
	lines := func(line string) func(c *verbtest.Victim, _ string) {
		return func(c *verbtest.Victim, _ string) { endless(c, func(int) string { return strings.Repeat(line, 1000) }) }
	}
	listing := func(line func(i int) string) func(h *verbtest.Hostile) {
		return func(h *verbtest.Hostile) {
			var block strings.Builder // formatting each line would be slower than reading it
			for i := range 1000 {
				block.WriteString(line(i))
			}
			h.List = func(_, _ string, w io.Writer) { endless(w, func(int) string { return block.String() }) }
		}
	}
	plain := func(i int) string { return fmt.Sprintf("type=file;size=1;perm=r;unique=%dg%d; file-%d\r\n", i, i, i) }
	unix := func(i int) string { return fmt.Sprintf("-rw-r--r-- 1 owner group 5 Jan  1 2020 file-%d\r\n", i) }
	long := func(i int) string {
		return fmt.Sprintf("type=file;size=1;x=%s; %d\r\n", strings.Repeat("x", 6_000), i)
	}
	// The others read as much as a listing may have. There is one for each kind of cause.
	quick := map[string]bool{"greeting of endless lines": true, "endless FEAT": true, "150 after 150": true, "listing of long lines": true, "tree of long lines": true}
	for name, x := range map[string]struct {
		set  func(h *verbtest.Hostile)
		args []string // URL stands for the server
	}{
		"greeting of endless lines": {func(h *verbtest.Hostile) { h.On["greeting"] = lines("220-and on it goes\r\n") }, []string{"ls", "URL/"}},
		"greeting without an end":   {func(h *verbtest.Hostile) { h.On["greeting"] = lines("220 and on it goes") }, []string{"ls", "URL/"}},
		"endless FEAT":              {func(h *verbtest.Hostile) { h.On["FEAT"] = lines("211-X\r\n") }, []string{"ls", "URL/"}},
		"endless short FEAT":        {func(h *verbtest.Hostile) { h.On["FEAT"] = lines("211-\r\n") }, []string{"ls", "URL/"}},
		"preliminary replies":       {func(h *verbtest.Hostile) { h.On["USER"] = lines("120 in a moment\r\n") }, []string{"ls", "URL/"}},
		"replies nobody asked for":  {func(h *verbtest.Hostile) { h.On["USER"] = lines("331 what?\r\n") }, []string{"ls", "URL/"}},
		"150 after 150":             {func(h *verbtest.Hostile) { h.On["RETR"] = lines("150 here it comes\r\n") }, []string{"get", "URL/f"}},
		"listing":                   {listing(plain), []string{"ls", "URL/"}},
		"listing, json":             {listing(plain), []string{"ls", "--json", "URL/"}},
		"listing by LIST":           {func(h *verbtest.Hostile) { listing(unix)(h); h.Feat = "" }, []string{"ls", "URL/"}},
		"listing of long lines":     {listing(long), []string{"ls", "URL/"}},
		"listing without an end of line": {func(h *verbtest.Hostile) {
			h.List = func(_, _ string, w io.Writer) { endless(w, func(int) string { return strings.Repeat("x", 10_000) }) }
		}, []string{"ls", "URL/"}},
		"recursive listing":         {listing(plain), []string{"ls", "-R", "URL/"}},
		"tree":                      {listing(plain), []string{"get", "-r", "URL/d", "."}},
		"tree of long lines":        {listing(long), []string{"get", "-r", "URL/d", "."}},
		"tree of odd names":         {listing(func(i int) string { return fmt.Sprintf("type=file; ../%d\r\n", i) }), []string{"get", "-r", "URL/d", "."}},
		"glob":                      {listing(plain), []string{"get", "URL/*", "."}},
		"glob of long lines":        {listing(long), []string{"stat", "URL/*"}},
		"glob that matches nothing": {listing(plain), []string{"get", "URL/x*", "."}},
		"removal of a tree":         {func(h *verbtest.Hostile) { listing(plain)(h); h.On["RMD"] = refuse; h.On["DELE"] = refuse }, []string{"rm", "-r", "URL/d"}},
		"listing of unreadable lines": {func(h *verbtest.Hostile) {
			h.Feat = ""
			listing(func(int) string { return "what is this?\r\n" })(h)
		}, []string{"ls", "URL/"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !quick[name] && !verbtest.Soaking {
				t.Skip("make soak runs it")
			}
			h := verbtest.NewHostile(t, x.set)
			for i, arg := range x.args {
				x.args[i] = strings.ReplaceAll(arg, "URL", "ftp://"+h.Addr)
			}
			code, rss, errs := peak(t, t.TempDir(), append([]string{x.args[0], "--retries", "0", "--timeout", "3s"}, x.args[1:]...)...)
			t.Logf("exit %d, %.1f MiB, %.300q", code, float64(rss)/(1<<20), errs)
			if code == 0 || !strings.HasPrefix(errs, "miniftp: ") || len(errs) > 4000 {
				t.Errorf("exit %d: %.4000s", code, errs)
			}
			if rss > mostMemory {
				t.Errorf("it used %d MiB", rss>>20)
			}
		})
	}
}

func refuse(c *verbtest.Victim, _ string) { c.Say("550 no") }
