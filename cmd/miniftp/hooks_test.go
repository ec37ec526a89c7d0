package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/internal/s3peer"
)

// hooked is an event as a web service gets it.
type hooked struct {
	ID, Kind, Path string
	Bytes          int64
	Recovered      bool
}

// service is a web service that gets events.
type service struct {
	*httptest.Server
	down atomic.Bool
	mu   sync.Mutex
	got  []hooked
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e hooked
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &e); err != nil || e.ID != r.Header.Get("Webhook-Id") {
			t.Errorf("%s: %v", body, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, e)
		if s.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// awaits waits until the service has got an event for each path, and returns the IDs by path.
func (s *service) awaits(t *testing.T, want map[string]bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		missing := []string{}
		s.mu.Lock()
		for path := range want {
			found := false
			for _, e := range s.got {
				found = found || e.Path == path && e.Kind == "upload"
			}
			if !found {
				missing = append(missing, path)
			}
		}
		s.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not delivered: %q", missing)
		}
	}
}

// TestHooksKilledServer: a server is killed again and again during uploads. Each upload that was answered 226, or
// whose file is visible afterwards, is delivered, although the service is down half of the time. Repeats have the same ID.
func TestHooksKilledServer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	hooksKilledServer(t, root, root)
}

// TestHooksKilledServerBucket is the same over a bucket.
func TestHooksKilledServerBucket(t *testing.T) {
	g := s3peer.Start(t, t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", s3peer.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3peer.SecretKey)
	hooksKilledServer(t, g.URL("", ""), filepath.Join(g.Dir, s3peer.Bucket))
}

// hooksKilledServer tests a root whose files are in the directory dir.
func hooksKilledServer(t *testing.T, root, dir string) {
	outbox := filepath.Join(t.TempDir(), "outbox")
	secret := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "secret"), "0123456789abcdef0123456789abcdef")
	web := newService(t)
	rounds := 6
	if os.Getenv("MINIFTP_SOAK") != "" {
		rounds = 60
	}
	flags := []string{"--anonymous", "rw", "--hook", web.URL, "--hook-secret-file", secret, "--hook-outbox", outbox}
	want := map[string]bool{}
	for round := range rounds {
		web.down.Store(round%2 == 0)
		p := verbtest.StartServer(t, root, flags...)
		var mu sync.Mutex
		var confirmed atomic.Int32
		var uploads sync.WaitGroup
		enough := make(chan struct{})
		for i := range 4 {
			c := p.Dial()
			uploads.Go(func() {
				for n := 0; ; n++ {
					name := fmt.Sprintf("/%d.%d.%d", round, i, n)
					if _, err := c.Store(t.Context(), name, strings.NewReader("content")); err != nil {
						return
					}
					mu.Lock()
					want[name] = true
					mu.Unlock()
					if confirmed.Add(1) == int32(10+7*round) {
						close(enough)
					}
				}
			})
		}
		<-enough
		p.Kill()
		uploads.Wait()
	}
	visible, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	unconfirmed := 0
	for _, file := range visible {
		name := "/" + filepath.Base(file)
		if strings.HasPrefix(name, "/.") { // a partial upload
			continue
		}
		if !want[name] {
			unconfirmed++
		}
		want[name] = true
	}
	web.down.Store(false)
	p := verbtest.StartServer(t, root, flags...)
	web.awaits(t, want)
	p.Kill()
	web.mu.Lock()
	defer web.mu.Unlock()
	ids, recovered := map[string]string{}, 0
	for _, e := range web.got {
		if id := ids[e.Path]; id != "" && id != e.ID {
			t.Errorf("%s: delivered as %s and as %s", e.Path, id, e.ID)
		}
		ids[e.Path] = e.ID
		if e.Recovered {
			recovered++
		}
		if e.Bytes != 7 {
			t.Errorf("%+v", e)
		}
	}
	t.Logf("%d uploads, %d visible without a 226, %d deliveries, %d recovered", len(want), unconfirmed, len(web.got), recovered)
}

// TestHooksSlowReceiver: a service that never answers delays no session, and not the end of the server for long.
func TestHooksSlowReceiver(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	root, outbox := t.TempDir(), filepath.Join(t.TempDir(), "outbox")
	secret := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "secret"), "0123456789abcdef0123456789abcdef")
	flags := []string{"--anonymous", "rw", "--hook-secret-file", secret, "--hook-outbox", outbox}
	p := verbtest.StartServer(t, root, append(flags, "--hook", "http://"+l.Addr().String()+"/secret-path")...)
	c := p.Dial()
	for i := range 20 {
		if _, err := c.Store(t.Context(), fmt.Sprintf("/%d", i), bytes.NewReader([]byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	if err := p.Cmd.Process.Signal(os.Interrupt); err != nil && runtime.GOOS == "windows" {
		t.Skip(err) // no process can be interrupted there
	} else if err != nil {
		t.Fatal(err)
	}
	if code := p.Ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
	log := strings.Join(p.Read, "\n")
	if !strings.Contains(log, "events=20") || strings.Contains(log, "secret-path") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestHooksSettings: mistakes in the settings are found before the server starts.
func TestHooksSettings(t *testing.T) {
	for _, tt := range []struct{ flags, says string }{
		{"--hook https://h/x", "--hook-secret-file"},
		{"--hook http://example.org/x", "use https"},
		{"--hook exec:relative", "must be absolute"},
		{"--hook exec:/bin/true --hook exec:/bin/true", "named twice"},
		{"--hook exec:/bin/true --hook-outbox-size 10", "at least 1M"},
		{"--hook exec:/bin/true --hook-events upload,nonsense", "nonsense"},
		{"--hook exec:/bin/true --hook-secret-file /no/such/file", "/no/such/file"},
	} {
		code, _, errs := try(t, append([]string{"serve"}, strings.Fields(tt.flags)...)...)
		if code == 0 || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: exit %d: %s", tt.flags, code, errs)
		}
	}
}
