package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/internal/s3peer"
)

const (
	checkUsers   = 4
	checkClients = 6 // of each user
	checkQuota   = 1_500_000
	checkFiles   = 40
	checkDisk    = 4 << 20 // less than the quotas of all users together
	checkNames   = 3       // of each client; as many are shared by all clients of a user

	pendingTime = time.Minute // as in package server
)

// TestChecks runs 24 clients against a server with quotas, a checker of uploads and a receiver of events that fail all the
// time, and on a disk that is often full. The server is killed every few seconds. Nothing may be visible that was not
// checked, nothing may be confirmed that is not there, and at the end each confirmed upload has its event, and what the
// server counts for the quotas is what is on the disk.
func TestChecks(t *testing.T) {
	requested(t, timeVar)
	t.Run("directory", func(t *testing.T) {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", checkDisk)); err != nil {
			t.Skipf("can't mount a small disk: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		runChecks(t, dir+"/{user}", dir)
	})
	t.Run("bucket", func(t *testing.T) {
		g := s3peer.Start(t, t.TempDir())
		t.Setenv("AWS_ACCESS_KEY_ID", s3peer.AccessKey)
		t.Setenv("AWS_SECRET_ACCESS_KEY", s3peer.SecretKey)
		runChecks(t, g.URL("{user}", ""), filepath.Join(g.Dir, s3peer.Bucket), "--shared-state", g.URL("state", ""))
	})
}

// runChecks tests a root. The files of a user are in the directory of that name in dir.
func runChecks(t *testing.T, root, dir string, flags ...string) {
	span, err := time.ParseDuration(os.Getenv(timeVar))
	check(t, err)
	s := &checkSoak{t: t, bin: build(t), dir: t.TempDir(), files: dir, counts: map[string]int{}, events: map[string]map[string]bool{}}
	s.web = httptest.NewServer(s)
	t.Cleanup(s.web.Close)
	var users strings.Builder
	for i := range checkUsers {
		fmt.Fprintf(&users, "[users.u%d]\npassword = \"x\"\nperm = \"rw\"\nquota = %d\nquota-files = %d\n", i, checkQuota, checkFiles)
	}
	check(t, os.WriteFile(s.dir+"/users.toml", []byte(users.String()), 0o600))
	check(t, os.WriteFile(s.dir+"/secret", []byte("0123456789abcdef0123456789abcdef"), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s.at = l.Addr().String()
	check(t, l.Close())
	s.args = append([]string{
		"serve", "--config", s.dir + "/users.toml", "--anonymous", "off", "--listen", s.at, "--control", "off", "--metrics", "127.0.0.1:0",
		"--gate", s.web.URL + "/gate", "--gate-timeout", "2s", "--hook", s.web.URL + "/hook", "--hook-secret-file", s.dir + "/secret",
		"--hook-outbox", s.dir + "/outbox", "--hook-events", "upload", "--stall-timeout", "5s",
	}, append(flags, root)...)
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	var all sync.WaitGroup
	clients := make([]*checkClient, 0, checkUsers*checkClients)
	for i := range checkUsers * checkClients {
		c := &checkClient{s: s, id: i, user: fmt.Sprint("u", i%checkUsers), confirmed: map[string]int{}}
		clients = append(clients, c)
		all.Go(func() { c.run(ctx) })
	}
	all.Go(func() { s.flap(ctx) })
	s.kill(ctx) // here, because it may end the test
	all.Wait()
	s.state.Store(0)
	s.settle(clients)
	for what, n := range s.counts {
		t.Logf("%7d %s", n, what)
	}
}

// checkSoak is one run. It is also the web service that checks uploads and gets events.
type checkSoak struct {
	t          *testing.T
	bin, dir   string
	files      string
	at         string
	args       []string
	web        *httptest.Server
	state      atomic.Int32 // of the web service, see ServeHTTP
	server     *process
	metrics    string
	n          int // servers so far
	mu         sync.Mutex
	counts     map[string]int
	events     map[string]map[string]bool // IDs by user and path
	deliveries int
}

func (s *checkSoak) count(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[fmt.Sprintf(format, args...)]++
}

// start starts a server, which may follow one that was killed.
func (s *checkSoak) start() {
	s.n++
	log := filepath.Join(s.dir, fmt.Sprint("log", s.n))
	s.server = start(s.t, log, s.bin, s.args...)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, _ := os.ReadFile(log)
		if m := regexp.MustCompile(`http://(127\.0\.0\.1:\d+)/metrics`).FindSubmatch(b); m != nil && bytes.Contains(b, []byte("msg=started")) {
			s.metrics = string(m[1])
			return
		}
		if time.Now().After(end) {
			s.t.Errorf("the server does not start: %s", b)
			return
		}
	}
}

// kill kills the server again and again.
func (s *checkSoak) kill(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(2000+rand.IntN(3000)) * time.Millisecond):
		}
		s.server.kill()
		s.start()
		s.count("kills")
	}
}

// flap changes the state of the web service.
func (s *checkSoak) flap(ctx context.Context) {
	for i := int32(0); ; i++ {
		s.state.Store(i % 8)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(300+rand.IntN(900)) * time.Millisecond):
		}
	}
}

// ServeHTTP refuses uploads that begin with "bad", and notes events. One of the two services fails in each state but 0,
// 2, 4 and 6.
func (s *checkSoak) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	state := s.state.Load()
	gate := r.URL.Path == "/gate"
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case state == 1 && gate, state == 7 && !gate:
		w.WriteHeader(http.StatusServiceUnavailable)
	case state == 3 && gate:
		select { // longer than --gate-timeout
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	case state == 5 && gate:
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		panic(http.ErrAbortHandler) // the connection breaks
	case gate:
		_ = json.NewEncoder(w).Encode(map[string]any{"allow": !bytes.HasPrefix(body, []byte("bad")), "reason": "bad content"})
	default:
		var e struct{ ID, User, Path string }
		if err := json.Unmarshal(body, &e); err != nil {
			s.t.Errorf("%s: %v", body, err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		key := e.User + " " + e.Path
		if s.events[key] == nil {
			s.events[key] = map[string]bool{}
		}
		s.events[key][e.ID] = true
		s.deliveries++
	}
}

// metric returns a value that the server measures.
func (s *checkSoak) metric(name string) float64 {
	resp, err := http.Get("http://" + s.metrics + "/metrics")
	check(s.t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	check(s.t, err)
	for line := range strings.Lines(string(all)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			n, err := strconv.ParseFloat(value, 64)
			check(s.t, err)
			return n
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}

// settle waits until all events are delivered, and compares what there is with what was confirmed.
func (s *checkSoak) settle(clients []*checkClient) {
	const pending = "miniftp_hook_events_pending"
	for end := time.Now().Add(time.Minute); s.metric(pending) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%v events are not delivered", s.metric(pending))
		}
	}
	confirmed := map[string]int{}
	for _, c := range clients {
		for name, n := range c.confirmed {
			confirmed[c.user+" "+name] += n
		}
	}
	s.mu.Lock()
	for key, n := range confirmed {
		if ids := len(s.events[key]); ids < n {
			s.t.Errorf("%s: %d uploads were confirmed, and %d events delivered", key, n, ids)
		}
		s.counts["confirmed uploads"] += n
	}
	s.counts["deliveries"] = s.deliveries
	s.mu.Unlock()
	if strings.Contains(strings.Join(s.args, " "), "--shared-state") {
		// Changes of servers that were killed are pending for so long, and then the next change finds out.
		time.Sleep(pendingTime + 5*time.Second)
		s.touch()
	}
	counted := s.tallies()
	s.server.kill()
	s.start()
	for i, again := range s.tallies() {
		user := fmt.Sprint("u", i)
		onDisk := s.onDisk(user)
		if counted[i] != onDisk || again != onDisk {
			s.t.Errorf("%s: the server counts %v, after a restart %v, and there are %v (bytes, files)", user, counted[i], again, onDisk)
		}
		s.t.Logf("%s: %v of %d bytes and %d files", user, onDisk, checkQuota, checkFiles)
	}
	out, err := exec.Command("sh", "-c", fmt.Sprintf("kill -TERM %d", s.server.cmd.Process.Pid)).CombinedOutput()
	if err != nil {
		s.t.Errorf("%v: %s", err, out)
	}
	<-s.server.done
}

var usedPattern = regexp.MustCompile(`(\d+) of \d+ (?:bytes|files) used`)

// tallies returns the bytes and files that SITE QUOTA shows each user.
func (s *checkSoak) tallies() (all [checkUsers][2]int64) {
	for i := range all {
		c, err := client.Dial(s.t.Context(), s.at, &client.Options{User: fmt.Sprint("u", i), Password: "x"})
		check(s.t, err)
		r, err := c.Command(s.t.Context(), "SITE", "QUOTA")
		check(s.t, err)
		for k, m := range usedPattern.FindAllStringSubmatch(strings.Join(r.Lines, "\n"), 2) {
			all[i][k], _ = strconv.ParseInt(m[1], 10, 64)
		}
		_ = c.Close()
	}
	return all
}

// touch makes a change for each user.
func (s *checkSoak) touch() {
	for i := range checkUsers {
		c, err := client.Dial(s.t.Context(), s.at, &client.Options{User: fmt.Sprint("u", i), Password: "x"})
		check(s.t, err)
		_, err = c.Store(s.t.Context(), "/own0-0", bytes.NewReader(made("good", 1)))
		if _, decided := refusedWith(err); err != nil && !decided {
			s.t.Error(err)
		}
		_ = c.Delete(s.t.Context(), "/own0-0")
		_ = c.Close()
	}
}

// onDisk returns the bytes and files of a user, without partial uploads. All of them must have passed the check.
func (s *checkSoak) onDisk(user string) (used [2]int64) {
	err := filepath.WalkDir(filepath.Join(s.files, user), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".miniftp":
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(path, ".upload"):
			return nil
		}
		b, err := os.ReadFile(path)
		if !valid(b) {
			s.t.Errorf("%s has %d bytes, and is not what was uploaded and checked", path, len(b))
		}
		used[0] += int64(len(b))
		used[1]++
		return err
	})
	check(s.t, err)
	return used
}

// made returns a content that valid recognizes: "good" or "bad", its length, and a repeated byte.
func made(word string, n int) []byte {
	head := fmt.Sprintf("%s %8d ", word, n)
	return append([]byte(head), bytes.Repeat([]byte{byte('a' + rand.IntN(26))}, n)...)
}

// valid reports whether b is a whole content that passes the check.
func valid(b []byte) bool {
	var n int
	if _, err := fmt.Sscanf(string(b[:min(len(b), 14)]), "good %8d ", &n); err != nil || len(b) != n+14 {
		return false
	}
	return n == 0 || bytes.Count(b[14:], b[14:15]) == n
}

// checkClient is one client.
type checkClient struct {
	s         *checkSoak
	id        int
	user      string
	c         *client.Client
	confirmed map[string]int // uploads by path
}

func (c *checkClient) run(ctx context.Context) {
	op := c.s.t.Context()
	for ctx.Err() == nil {
		if c.c == nil {
			cl, err := client.Dial(op, c.s.at, &client.Options{User: c.user, Password: "x", Timeout: 20 * time.Second})
			if err != nil {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			c.c = cl
		}
		if err := c.one(op); err != nil {
			reply, decided := refusedWith(err)
			c.s.count("%s", reasonOf(err, reply.Code, decided))
			if !decided {
				_ = c.c.Close()
				c.c = nil
			}
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
	}
	if c.c != nil {
		_ = c.c.Close()
	}
}

func reasonOf(err error, code ftp.Code, decided bool) string {
	if !decided {
		return "sessions that ended"
	}
	text := err.Error()
	for _, word := range []string{"bad content", "could not be checked", "quota", "disk is full", "replaced or removed", "in use", "interrupted", "storage reported", "another upload", "no such file"} {
		if strings.Contains(text, word) {
			return fmt.Sprintf("replies %d, %s", code, word)
		}
	}
	return fmt.Sprintf("replies %d: %s", code, text)
}

// name returns a name of this client, or one that the clients of its user share.
func (c *checkClient) name() string {
	if n := rand.IntN(2 * checkNames); n < checkNames {
		return fmt.Sprintf("/own%d-%d", c.id, n)
	}
	return fmt.Sprint("/shared", rand.IntN(checkNames))
}

// one does one thing.
func (c *checkClient) one(ctx context.Context) error {
	name := c.name()
	switch n := rand.IntN(10); {
	case n < 5:
		word := "good"
		if rand.IntN(5) == 0 {
			word = "bad"
		}
		return c.store(ctx, name, made(word, rand.IntN(200_000)))
	case n == 5: // an upload that breaks off
		b := made("good", 50_000+rand.IntN(100_000))
		broken := io.MultiReader(bytes.NewReader(b[:len(b)/2]), brokenReader{})
		_, _ = c.c.Store(ctx, name, broken)
		return errors.New("broken off")
	case n < 8:
		if err := c.c.Delete(ctx, name); err != nil {
			return err
		}
		c.s.count("removed")
		return nil
	case n == 8:
		if err := c.c.Rename(ctx, name, c.name()); err != nil {
			return err
		}
		c.s.count("renamed")
		return nil
	}
	var got bytes.Buffer
	if _, err := c.c.Retrieve(ctx, name, &got); err != nil {
		return err
	}
	if !valid(got.Bytes()) {
		c.s.t.Errorf("%s %s: retrieved %d bytes that were not uploaded and checked", c.user, name, got.Len())
	}
	c.s.count("retrieved")
	return nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken off") }

func (c *checkClient) store(ctx context.Context, name string, b []byte) error {
	_, err := c.c.Store(ctx, name, bytes.NewReader(b))
	if err != nil {
		return err
	}
	c.confirmed[name]++
	if !valid(b) {
		c.s.t.Errorf("%s %s: an upload that the check refuses was confirmed", c.user, name)
	}
	return nil
}
