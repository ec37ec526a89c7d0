package server_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// The TestStock… tests give every stock client the same list of work: each size and each odd name, in both
// directions; resumed transfers; directories, renames, times. What only one client can do follows in its own
// file.

// clientLimit ends a client that hangs.
const clientLimit = 60 * time.Second

// stockNames are file names that confuse clients, shells and listings.
var stockNames = []string{
	"plain", "two words", " leading", "trailing ", `quo"te`, "apo'strophe", "ha#sh", "per%41cent", "br[ack]et",
	"semi;colon", "-dash", "é", "漢字", "🙂", "a&b=c+d", "~tilde", "$HOME", `back\slash`, "star*", "quest?",
}

// step is one task for a client: get and reget remote → local, put and reput local → remote, mv old → new;
// mkdir, rm, rmdir, ls, mlsd and nlst have one path on the server.
type step struct{ do, from, to string }

// stockClient drives one client.
type stockClient struct {
	program  string
	ipv6     bool
	can      string                                // the verbs of steps that it supports
	stumbles string                                // odd names that can't be passed to it, or that it changes
	run      func(d *desk, steps ...step) string   // does the steps in order and returns the output
	keepTime func(d *desk, remote, local string)   // get with the modification time
	more     func(t *testing.T, open func() *desk) // what only this client can do
}

// stock is a server for stock clients, and the events that it has reported.
type stock struct {
	*site
	fsys   afero.Fs
	dir    string // the host directory that is served
	noise  string // a host file with noise
	family map[string]net.Addr

	mu   sync.Mutex
	done []ftp.TransferDone
}

func newStock(t *testing.T, change ...func(*server.Options)) *stock {
	t.Helper()
	fsys, dir := disk(t)
	return newStockOver(t, fsys, dir, change...)
}

// newStockOver is newStock for a storage that keeps its files in the host directory dir.
func newStockOver(t *testing.T, fsys afero.Fs, dir string, change ...func(*server.Options)) *stock {
	t.Helper()
	s := &stock{fsys: fsys, dir: dir, noise: filepath.Join(t.TempDir(), "noise"), family: map[string]net.Addr{}}
	check(t, os.WriteFile(s.noise, noise(), 0o444))
	s.site = serve(t, fsys, func(o *server.Options) {
		o.DataTimeout = clientLimit
		o.Observer = ftp.ObserverFunc(s.observe)
		for _, f := range change {
			f(o)
		}
	})
	s.family["IPv4"], _ = net.ResolveTCPAddr("tcp", s.addr)
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		s.family["IPv6"] = l.Addr()
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.Serve(l) }()
		t.Cleanup(func() { _ = l.Close(); <-ended })
	}
	return s
}

func (s *stock) observe(e ftp.Event) {
	if done, ok := e.What.(ftp.TransferDone); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done = append(s.done, done)
	}
}

// last returns the last successful transfer of a path.
func (s *stock) last(path string) (ftp.TransferDone, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range slices.Backward(s.done) {
		if d.Path == path && d.Err == nil {
			return d, true
		}
	}
	return ftp.TransferDone{}, false
}

// desk is the workplace of one client: a local directory and one on the server.
type desk struct {
	*stock
	t          *testing.T
	program    string
	host, port string
	active     bool
	user       string
	mayFail    bool   // the client's exit status is useless
	here       string // the client's working directory
	there      string // "/…" on the server
}

var desks struct {
	mu sync.Mutex
	n  int
}

// open makes a desk.
func (s *stock) open(t *testing.T, program, family string, active bool) *desk {
	t.Helper()
	addr, ok := s.family[family]
	if !ok {
		t.Skip("no " + family)
	}
	desks.mu.Lock()
	desks.n++
	there := fmt.Sprintf("/desk%d", desks.n)
	desks.mu.Unlock()
	check(t, s.fsys.Mkdir(there, 0o755))
	host, port, err := net.SplitHostPort(addr.String())
	check(t, err)
	return &desk{stock: s, t: t, program: program, host: host, port: port, active: active, user: "rw", here: t.TempDir(), there: there}
}

// local and far return host paths on the client's and on the server's side.
func (d *desk) local(name string) string { return filepath.Join(d.here, name) }
func (d *desk) far(name string) string   { return d.dir + d.there + "/" + name }
func (d *desk) path(name string) string  { return d.there + "/" + name }

// url returns the URL of a path on the server.
func (d *desk) url(path string) string {
	names := strings.Split(path, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	return "ftp://" + net.JoinHostPort(d.host, d.port) + strings.Join(names, "/")
}

// do runs a client in the desk; it must succeed.
func (d *desk) do(program, input string, args ...string) string {
	d.t.Helper()
	out, err := d.try(program, input, args...)
	if err != nil && !d.mayFail {
		d.t.Errorf("%s %q: %v\n%s\n%s", program, args, err, input, out)
	}
	return out
}

func (d *desk) try(program, input string, args ...string) (string, error) {
	cmd, cancel := d.command(program, args...)
	defer cancel()
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *desk) command(program string, args ...string) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(d.t.Context(), clientLimit)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = d.here
	cmd.Env = []string{"HOME=" + d.here, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TERM=dumb", "TZ=UTC"}
	cmd.WaitDelay = 5 * time.Second
	return cmd, cancel
}

// same checks that two host files are equal.
func (d *desk) same(what, a, b string) {
	d.t.Helper()
	one, oneErr := hashFile(a)
	two, twoErr := hashFile(b)
	if oneErr != nil || twoErr != nil || one != two {
		d.t.Errorf("%s: not the same: %v and %v", what, oneErr, twoErr)
	}
}

// holds checks the content of a host file.
func (d *desk) holds(what, file string, content []byte) {
	d.t.Helper()
	if got, err := hashFile(file); err != nil || got != sha256.Sum256(content) {
		d.t.Errorf("%s: wrong content: %v", what, err)
	}
}

func hashFile(name string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return [sha256.Size]byte(h.Sum(nil)), err
}

// file makes a host file, or one on the server.
func (d *desk) file(name string, content []byte) {
	d.t.Helper()
	if there, ok := strings.CutPrefix(name, d.dir); ok {
		check(d.t, d.fsys.MkdirAll(path.Dir(there), 0o755))
		check(d.t, afero.WriteFile(d.fsys, there, content, 0o644))
		return
	}
	check(d.t, os.MkdirAll(filepath.Dir(name), 0o755))
	check(d.t, os.WriteFile(name, content, 0o644))
}

func (d *desk) gone(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(d.far(name)); err == nil {
			d.t.Errorf("%s is still on the server", name)
		}
	}
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.After(clientLimit)
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-end:
			t.Fatal("timeout waiting for: " + what)
		}
	}
}
