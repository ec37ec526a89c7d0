package soak_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
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

	"miniftp/ftp/client"
)

const (
	restartClients = 300
	restartPorts   = 8 // passive ports of a server, for all clients
	restartUsers   = 10
)

// TestRestarts runs 300 clients against a server that is reloaded, from which sessions are kicked, and which is drained and
// replaced all the time. Half of the clients have an address of their own, the others share one. No connection may be refused,
// what was confirmed must be there, and at the end nothing may be left: no session, descriptor, passive port, goroutine or
// running upload.
func TestRestarts(t *testing.T) {
	requested(t, timeVar)
	span, err := time.ParseDuration(os.Getenv(timeVar))
	check(t, err)
	r := &restarts{t: t, bin: build(t), dir: t.TempDir(), counts: map[string]int{}}
	r.prepare()
	r.start()
	before := r.resources()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	var all sync.WaitGroup
	for i := range restartClients {
		c := &restartClient{r: r, id: i, from: net.IPv4(127, 0, 0, 1)}
		if i%2 == 1 {
			c.from = net.IPv4(127, 0, 2, byte(1+i/2))
		}
		all.Go(func() { c.run(ctx) })
	}
	r.disturb(ctx) // here, because it may end the test
	all.Wait()
	r.settle(before)
	r.report()
}

// restarts is one run.
type restarts struct {
	t        *testing.T
	bin, dir string
	socket   *os.File // the listening socket, which outlives each server
	at       string
	ports    [2][2]int // the ranges of passive ports, which take turns
	n        int       // servers so far

	server  *process
	control string
	metrics string

	bytes  atomic.Int64
	mu     sync.Mutex
	counts map[string]int
}

func (r *restarts) count(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[fmt.Sprintf(format, args...)]++
}

func (r *restarts) prepare() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(r.t, err)
	r.socket, err = l.(*net.TCPListener).File()
	check(r.t, err)
	r.t.Cleanup(func() { _ = r.socket.Close() })
	r.at = l.Addr().String()
	check(r.t, l.Close())
	first := freePorts(r.t, 10+restartPorts)
	r.ports = [2][2]int{{first, first + restartPorts - 1}, {first + 10, first + 10 + restartPorts - 1}}
	check(r.t, os.Mkdir(filepath.Join(r.dir, "files"), 0o755))
	r.configure()
}

// configure writes the settings, which differ each time.
func (r *restarts) configure() {
	var b strings.Builder
	fmt.Fprintf(&b, "greeting = \"number %d\"\nanonymous = \"off\"\n[limits]\nmax-sessions-per-ip = 0\n", rand.IntN(1e6))
	for i := range restartUsers {
		fmt.Fprintf(&b, "[users.u%d]\npassword = \"x\"\nperm = \"rw\"\n", i)
	}
	file := filepath.Join(r.dir, "miniftp.toml")
	check(r.t, os.WriteFile(file+".new", []byte(b.String()), 0o600))
	check(r.t, os.Rename(file+".new", file))
}

// start starts a server on the socket, beside one that runs.
func (r *restarts) start() {
	r.n++
	ports := r.ports[r.n%2]
	r.control = filepath.Join(r.dir, fmt.Sprint("s", r.n))
	log := filepath.Join(r.dir, fmt.Sprint("log", r.n))
	out, err := os.Create(log)
	check(r.t, err)
	defer out.Close()
	p := &process{done: make(chan struct{}), log: log}
	p.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, r.bin, "serve", "--config", filepath.Join(r.dir, "miniftp.toml"),
		"--passive-ports", fmt.Sprintf("%d-%d", ports[0], ports[1]), "--control", r.control, "--metrics", "127.0.0.1:0", "--grace", "5s", "--data-timeout", "10s",
		filepath.Join(r.dir, "files"))
	p.cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=ftp")
	p.cmd.ExtraFiles = []*os.File{r.socket}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	check(r.t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	r.t.Cleanup(p.kill)
	r.server = p
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, _ := os.ReadFile(log)
		if m := regexp.MustCompile(`http://(127\.0\.0\.1:\d+)/metrics`).FindSubmatch(b); m != nil && bytes.Contains(b, []byte("msg=started")) {
			r.metrics = string(m[1])
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the server does not start: %s", b)
		}
	}
}

// manage runs a verb that manages the server with that socket.
func (r *restarts) manage(socket string, args ...string) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, r.bin, append(args, "--socket", socket)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// disturb reloads, kicks, drains and restarts until ctx ends.
func (r *restarts) disturb(ctx context.Context) {
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		switch i % 8 {
		case 1, 5:
			r.configure()
			if err := r.manage(r.control, "reload"); err != nil {
				r.t.Error(err)
			}
			r.count("reloads")
		case 3, 6:
			_ = r.manage(r.control, "kick", "--user", fmt.Sprint("u", rand.IntN(restartUsers)))
			r.count("kicks")
		case 7:
			old, socket := r.server, r.control
			r.start()
			if r.n%2 == 0 {
				r.drain(old, socket)
			} else {
				r.stop(old)
			}
		}
	}
}

// drain lets an old server end when its last session has ended, and helps after a while.
func (r *restarts) drain(old *process, socket string) {
	r.count("drains")
	if r.manage(socket, "drain", "--timeout", "2s") != nil {
		_ = r.manage(socket, "kick", "--from", "127.0.0.0/8")
	}
	r.ends(old, "the drained server")
}

func (r *restarts) stop(old *process) {
	r.count("stops")
	_ = old.cmd.Process.Signal(syscall.SIGTERM)
	r.ends(old, "the stopped server")
}

func (r *restarts) ends(old *process, what string) {
	select {
	case <-old.done:
		if code := old.cmd.ProcessState.ExitCode(); code != 0 {
			b, _ := os.ReadFile(old.log)
			r.t.Errorf("%s: exit %d: %s", what, code, b[max(0, len(b)-2000):])
		}
	case <-time.After(30 * time.Second):
		r.t.Errorf("%s does not end", what)
	}
}

// resources is what a server holds.
type resources struct {
	descriptors, goroutines, sessions, leases, waiting int
	resident                                           int64
}

func (r *restarts) resources() (is resources) {
	dir := fmt.Sprintf("/proc/%d/fd", r.server.cmd.Process.Pid)
	fds, err := os.ReadDir(dir)
	check(r.t, err)
	for _, fd := range fds {
		// Go keeps the pipes of splice for later and closes them when it collects garbage.
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && !strings.HasPrefix(to, "pipe:") {
			is.descriptors++
		}
	}
	is.resident = r.server.memory(r.t, "VmRSS")
	resp, err := http.Get("http://" + r.metrics + "/metrics")
	check(r.t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch {
		case name == "go_goroutines":
			is.goroutines = int(n)
		case strings.HasPrefix(name, "miniftp_sessions{"):
			is.sessions += int(n)
		case name == "miniftp_passive_port_leases":
			is.leases = int(n)
		case name == "miniftp_passive_ports_waiting":
			is.waiting = int(n)
		}
	}
	return is
}

var runningUpload = regexp.MustCompile(`\.[0-9a-f]{32}\.upload$`)

// settle checks that nothing is left of the sessions.
func (r *restarts) settle(before resources) {
	var now resources
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		now = r.resources()
		if now.sessions == 0 && now.goroutines <= before.goroutines+2 {
			break
		}
	}
	r.t.Logf("before %+v, after %+v", before, now)
	// Listeners of passive ports stay open for a minute or two.
	if now.sessions != 0 || now.leases != 0 || now.waiting != 0 || now.descriptors > before.descriptors+restartPorts+2 || now.goroutines > before.goroutines+2 {
		out, _ := exec.Command("sh", "-c", fmt.Sprintf("ls -l /proc/%d/fd; ss -tanp | grep pid=%[1]d,", r.server.cmd.Process.Pid)).CombinedOutput()
		r.t.Errorf("something is left of the sessions:\n%s", out)
	}
	check(r.t, filepath.WalkDir(filepath.Join(r.dir, "files"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case runningUpload.MatchString(path):
			r.t.Errorf("a running upload is left: %s", path)
		case strings.HasSuffix(path, ".upload"):
			r.count("interrupted uploads that can be resumed")
		}
		return nil
	}))
	r.stop(r.server)
}

func (r *restarts) report() {
	r.t.Logf("%d servers, %d MB moved", r.n, r.bytes.Load()/1e6)
	for what, n := range r.counts {
		r.t.Logf("%7d %s", n, what)
	}
}

// restartClient is one client, which alone uses its directory.
type restartClient struct {
	r    *restarts
	id   int
	from net.IP
	c    *client.Client
	want map[string][]byte // the confirmed files; nil content: not known
}

func (c *restartClient) run(ctx context.Context) {
	c.want = map[string][]byte{}
	op, cancel := context.WithCancel(c.r.t.Context())
	defer cancel()
	for ctx.Err() == nil {
		if c.c == nil && !c.dial(op) {
			continue
		}
		if err := c.one(op); err != nil {
			c.r.count("ended: %s", kind(err))
			c.hangUp()
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	}
	c.hangUp()
}

func (c *restartClient) hangUp() {
	if c.c != nil {
		_ = c.c.Close()
		c.c = nil
	}
}

// kind returns an error in a few words, for counting.
func kind(err error) string {
	text := err.Error()
	for _, known := range []string{"421", "425", "426", "450", "530", "the administrator", "reset", "EOF", "the server closed"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return text
}

func (c *restartClient) dial(ctx context.Context) bool {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: c.from}, Timeout: 20 * time.Second}
	cl, err := client.Dial(ctx, c.r.at, &client.Options{
		User: fmt.Sprint("u", c.id%restartUsers), Password: "x", Dial: dialer.DialContext, Timeout: 40 * time.Second,
	})
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			c.r.t.Errorf("client %d was refused a connection: %v", c.id, err)
		}
		c.r.count("no login: %s", kind(err))
		time.Sleep(100 * time.Millisecond)
		return false
	}
	c.c = cl
	c.r.count("logins")
	return true
}

// one does one thing.
func (c *restartClient) one(ctx context.Context) error {
	dir := fmt.Sprintf("/c%03d", c.id)
	name := fmt.Sprintf("%s/f%d", dir, rand.IntN(3))
	switch n := rand.IntN(10); {
	case n == 0:
		c.hangUp()
		if !c.dial(ctx) {
			return errors.New("no connection")
		}
		return nil
	case n < 5:
		if err := c.c.MakeDirAll(ctx, dir); err != nil {
			return err
		}
		content := bytes.Repeat([]byte{byte(rand.IntN(256)), byte(c.id)}, 1+rand.IntN(32<<10))
		c.want[name] = nil
		if _, err := c.c.Store(ctx, name, bytes.NewReader(content)); err != nil {
			return err
		}
		c.want[name] = content
		c.r.bytes.Add(int64(len(content)))
		c.r.count("stored")
		return nil
	case n < 8:
		want, known := c.want[name]
		if !known {
			return nil
		}
		var got bytes.Buffer
		if _, err := c.c.Retrieve(ctx, name, &got); err != nil {
			if errors.Is(err, fs.ErrNotExist) && want != nil {
				c.r.t.Errorf("%s is missing: %v", name, err)
			} else if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if want != nil && !bytes.Equal(got.Bytes(), want) {
			c.r.t.Errorf("%s has other content: %d bytes, not %d", name, got.Len(), len(want))
		}
		c.r.bytes.Add(int64(got.Len()))
		c.r.count("retrieved")
		return nil
	}
	for _, err := range c.c.List(ctx, "/") {
		if err != nil {
			return err
		}
	}
	c.r.count("listed")
	return nil
}
