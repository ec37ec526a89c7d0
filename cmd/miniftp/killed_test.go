package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/client"
)

// gated is a reader that returns the content of before, and that of after only once open is closed.
type gated struct {
	before, after io.Reader
	open          <-chan struct{}
}

func (g *gated) Read(b []byte) (int, error) {
	if n, err := g.before.Read(b); n > 0 || err == nil {
		return n, nil
	}
	<-g.open
	return g.after.Read(b)
}

// reaches waits until a file that matches the pattern has at least n bytes.
func reaches(t *testing.T, pattern string, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		found, err := filepath.Glob(pattern)
		if err != nil || time.Now().After(end) {
			t.Fatalf("%s did not reach %d bytes: %v, %v", pattern, n, found, err)
		}
		for _, f := range found {
			if fi, err := os.Stat(f); err == nil && fi.Size() >= int64(n) {
				return
			}
		}
	}
}

// The ends of the hidden names of running and of partial uploads, as patterns.
var (
	runningTag = strings.Repeat("[0-9a-f]", 32) + ".upload"
	keptTag    = strings.Repeat("[0-9a-f]", 24) + ".upload"
)

// hidden returns the hidden names in root, which listings leave out.
func hidden(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(root + "/.*.upload")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func want(t *testing.T, file string, content []byte) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%s: %d bytes (%v) differ from the expected %d", filepath.Base(file), len(got), err, len(content))
	}
}

// TestKilledServer: a server that is killed repeatedly during two uploads leaves no incomplete file
// under a final name: one file does not exist, the other keeps its old content. After some time,
// the next server turns the hidden files into partial uploads, which a client resumes at the exact
// byte.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	root, content, old := t.TempDir(), verbtest.Pattern(3_000_000), []byte("the old one, whole")
	local := filepath.Join(t.TempDir(), "local")
	for file, b := range map[string][]byte{root + "/old": old, local: content} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(root+"/old", yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	rounds := 3
	if os.Getenv("MINIFTP_SOAK") != "" {
		rounds = 30
	}
	kept := 0
	for range rounds {
		p := verbtest.StartServer(t, root, "--anonymous", "rw")
		if kept > 0 {
			p.Await("resumable=2")
			found, err := filepath.Glob(root + "/.new." + keptTag)
			if err != nil || len(found) != 1 {
				t.Fatalf("kept: %q, %v", found, err)
			}
			want(t, found[0], content[:kept])
		}
		more := 1 + rand.IntN(len(content)/(rounds+1))
		var uploads sync.WaitGroup
		gate := make(chan struct{})
		for name, from := range map[string]int{"/new": kept, "/old": 0} {
			c := p.Dial()
			uploads.Go(func() {
				src := &gated{bytes.NewReader(content[from : kept+more]), strings.NewReader(""), gate}
				if _, err := c.StoreWith(context.Background(), client.Transfer{Path: name, Offset: int64(from)}, src); err == nil {
					t.Errorf("%s: an upload to a killed server succeeded", name)
				}
			})
		}
		enough := kept + 1 + rand.IntN(more) // anywhere in the middle
		reaches(t, root+"/.new."+runningTag, enough)
		reaches(t, root+"/.old."+runningTag, 1)
		p.Kill()
		close(gate)
		uploads.Wait()
		if _, err := os.Stat(root + "/new"); err == nil {
			t.Fatal("an incomplete file has its final name")
		}
		want(t, root+"/old", old)
		left, err := filepath.Glob(root + "/.*." + runningTag)
		if err != nil || len(left) != 2 {
			t.Fatalf("left: %q, %v", left, err)
		}
		fi, err := os.Stat(left[0]) // that of /new
		if err != nil {
			t.Fatal(err)
		}
		kept = int(fi.Size())
		for _, f := range left { // make them old
			at := time.Now().Add(-time.Hour)
			if err := os.Chtimes(f, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := verbtest.StartServer(t, root, "--anonymous", "rw")
	p.Await("resumable=2")
	if code, _, errs := try(t, "put", "-c", "-v", local, "ftp://"+p.Addr+"/new"); code != 0 || !strings.Contains(errs, fmt.Sprintf("> REST %d\n", kept)) {
		t.Errorf("exit %d, and it did not resume at %d:\n%s", code, kept, errs)
	}
	if code, _, errs := try(t, "put", "-q", local, "ftp://"+p.Addr+"/old"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	want(t, root+"/new", content)
	want(t, root+"/old", content)
	if found := hidden(t, root); len(found) > 0 {
		t.Errorf("left: %q", found)
	}
	p.Kill()
}

// TestReadOnlyServerSweepsNothing: a server does not remove old hidden files from a directory that
// none of its users may write to.
func TestReadOnlyServerSweepsNothing(t *testing.T) {
	root := t.TempDir()
	leftover := root + "/.f.1da04507000000000123abcd3adef2ee.upload" // the hidden name of an upload
	if err := os.WriteFile(leftover, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-100 * 24 * time.Hour)
	if err := os.Chtimes(leftover, at, at); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{{"--user", "u:p:ro"}, {"--anonymous", "ro"}, {"--anonymous", "rw", "--upload-in-place"}} {
		p := verbtest.StartServer(t, root, flags...)
		c, err := client.Dial(t.Context(), p.Addr, &client.Options{User: "u", Password: "p"})
		if err == nil {
			_ = c.Close()
		}
		p.Kill()
		want(t, leftover, []byte("x"))
	}
}

// TestStoppedUnderLoad: after SIGTERM, running transfers finish and no new ones begin. The server
// exits with 0, and every confirmed file is complete.
func TestStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM")
	}
	root, content := t.TempDir(), verbtest.Pattern(400_000)
	if err := os.WriteFile(root+"/f", content, 0o600); err != nil {
		t.Fatal(err)
	}
	p := verbtest.StartServer(t, root, "--anonymous", "rw", "--grace", "1m")
	gate := make(chan struct{})
	var running, load sync.WaitGroup
	for i := range 3 { // half done when the signal arrives
		c := p.Dial()
		running.Go(func() {
			src := &gated{bytes.NewReader(content[:200_000]), bytes.NewReader(content[200_000:]), gate}
			if _, err := c.Store(t.Context(), fmt.Sprintf("/running%d", i), src); err != nil {
				t.Errorf("a running upload could not finish: %v", err)
			}
		})
	}
	whole := make(chan string, 100_000)
	var enough sync.WaitGroup
	for i := range 4 {
		enough.Add(1)
		c := p.Dial()
		load.Go(func() {
			for n := 0; ; n++ {
				if n == 5 {
					enough.Done()
				}
				name := fmt.Sprintf("/load%d.%d", i, n)
				if _, err := c.Store(t.Context(), name, bytes.NewReader(content)); err != nil {
					return
				}
				whole <- name
				var b bytes.Buffer
				if _, err := c.Retrieve(t.Context(), "/f", &b); err != nil {
					return
				} else if !bytes.Equal(b.Bytes(), content) {
					t.Errorf("a confirmed download has %d bytes", b.Len())
				}
			}
		})
	}
	enough.Wait()
	for i := range 3 {
		reaches(t, fmt.Sprintf("%s/.running%d.%s", root, i, runningTag), 200_000)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.Await("for transfers to finish")
	load.Wait()
	if c, err := client.Dial(t.Context(), p.Addr, nil); err == nil {
		t.Error("it accepts new sessions")
		_ = c.Close()
	}
	close(gate)
	running.Wait()
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d:\n%s", code, strings.Join(p.Read, "\n"))
	}
	close(whole)
	for name := range whole {
		want(t, root+name, content)
	}
	files, err := filepath.Glob(root + "/*")
	if err != nil || len(files) < 3+4*5 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, f := range files { // also those whose client got no reply
		want(t, f, content)
	}
	if found := hidden(t, root); len(found) > 0 {
		t.Errorf("left: %q", found)
	}
}
