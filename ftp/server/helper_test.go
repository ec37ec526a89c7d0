package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// patience limits every wait of a test; only a failing test waits that long.
const patience = 20 * time.Second

// site is a running server and its log.
type site struct {
	*server.Server
	addr string
	log  *lines
}

// lines collects the output of a slog.Logger.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// accounts are the users of most tests: rw, ro and drop with their names as passwords, and anonymous, who may
// read.
func accounts(fsys afero.Fs) server.Static {
	user := func(name string, perm server.Perm) server.User {
		return server.User{Password: name, Account: server.Account{FS: fsys, Perm: perm}}
	}
	return server.Static{
		"rw": user("rw", server.ReadWrite), "ro": user("ro", server.ReadOnly), "drop": user("drop", server.DropBox),
		"anonymous": {Anyone: true, Account: server.Account{FS: fsys, Perm: server.ReadOnly}},
	}
}

// serve starts a server on IPv4 loopback for the accounts over fsys.
func serve(t testing.TB, fsys afero.Fs, change ...func(*server.Options)) *site {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", fsys, change...)
}

func serveOn(t testing.TB, addr string, fsys afero.Fs, change ...func(*server.Options)) *site {
	t.Helper()
	noLeaks(t)
	log := &lines{}
	opts := server.Options{Auth: accounts(fsys), Log: slog.New(slog.NewTextHandler(log, nil)), DataTimeout: patience, FailureDelay: server.NoDelay, MaxLoginFailures: server.NoLimit}
	for _, f := range change {
		f(&opts)
	}
	srv, err := server.New(opts)
	check(t, err)
	l, err := net.Listen("tcp", addr)
	if err != nil && strings.HasPrefix(addr, "[::1]") {
		t.Skipf("no IPv6: %v", err)
	}
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return &site{srv, l.Addr().String(), log}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// disk is a jail on disk, and its host directory.
func disk(t testing.TB) (afero.Fs, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := fsroot.OpenRoot(dir)
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root, dir
}

func write(t testing.TB, fsys afero.Fs, name, content string) {
	t.Helper()
	check(t, fsys.MkdirAll(filepath.ToSlash(filepath.Dir(name)), 0o755))
	check(t, afero.WriteFile(fsys, name, []byte(content), 0o644))
}

func read(t testing.TB, fsys afero.Fs, name string) string {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return string(b)
}

func exists(fsys afero.Fs, name string) bool {
	_, err := fsys.Stat(name)
	return err == nil
}

// names lists a directory of fsys, including hidden names.
func names(t testing.TB, fsys afero.Fs, dir string) []string {
	t.Helper()
	infos, err := afero.ReadDir(fsys, dir)
	check(t, err)
	var list []string
	for _, fi := range infos {
		list = append(list, fi.Name())
	}
	return list
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// random returns n bytes that look different at every offset. They are the same each time and must not be
// modified.
func random(n int) []byte { return pattern()[:n:n] }

var pattern = sync.OnceValue(func() []byte {
	b := make([]byte, 64<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

// ctl is a raw control connection: the server gets exactly what a test writes.
type ctl struct {
	t testing.TB
	net.Conn
	lr *ftp.LineReader
}

// connect dials and reads the greeting.
func (s *site) connect(t testing.TB) *ctl {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	check(t, err)
	c := newCtl(t, conn)
	c.want(220)
	return c
}

func newCtl(t testing.TB, conn net.Conn) *ctl {
	c := &ctl{t, conn, ftp.NewLineReader(conn, 64<<10)}
	t.Cleanup(func() { _ = conn.Close() })
	return c
}

// Close ends the connection at once.
func (c *ctl) Close() error { return testutil.CloseNow(c.Conn) }

// login connects as a user whose name is the password, in TYPE I.
func (s *site) login(t testing.TB, user string) *ctl {
	t.Helper()
	c := s.connect(t)
	c.cmd("USER "+user, 331)
	c.cmd("PASS "+user, 230)
	c.cmd("TYPE I", 200)
	return c
}

// send writes a line.
func (c *ctl) send(line string) {
	c.t.Helper()
	c.raw(line + "\r\n")
}

func (c *ctl) raw(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("writing %q: %v", s, err)
	}
}

// reply reads the next reply.
func (c *ctl) reply() ftp.Reply {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r, err := ftp.ReadReply(c.lr)
	if err != nil {
		c.t.Fatalf("reading a reply: %v", err)
	}
	return r
}

// want reads a reply that must have one of the codes.
func (c *ctl) want(codes ...ftp.Code) ftp.Reply {
	c.t.Helper()
	r := c.reply()
	if !slices.Contains(codes, r.Code) {
		c.t.Fatalf("reply %v, want %v", r, codes)
	}
	return r
}

// cmd sends a line and reads its reply, which must have one of the codes if there are any.
func (c *ctl) cmd(line string, codes ...ftp.Code) ftp.Reply {
	c.t.Helper()
	c.send(line)
	r := c.reply()
	if len(codes) > 0 && !slices.Contains(codes, r.Code) {
		c.t.Fatalf("%s: reply %v, want %v", line, r, codes)
	}
	return r
}

// closed expects the server to close the connection.
func (c *ctl) closed() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if r, err := ftp.ReadReply(c.lr); err == nil {
		c.t.Fatalf("reply %v, want the end of the connection", r)
	} else if isTimeout(err) {
		c.t.Fatal("the server did not hang up")
	}
}

// epsv opens a passive data connection.
func (c *ctl) epsv() *net.TCPConn {
	c.t.Helper()
	port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
	check(c.t, err)
	return c.call(port)
}

// call dials a data port of the server.
func (c *ctl) call(port uint16) *net.TCPConn {
	c.t.Helper()
	host := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	d, err := net.Dial("tcp", netip.AddrPortFrom(host, port).String())
	check(c.t, err)
	c.t.Cleanup(func() { _ = d.Close() })
	_ = d.SetDeadline(time.Now().Add(patience))
	return d.(*net.TCPConn)
}

// get retrieves data with RETR, LIST and the like.
func (c *ctl) get(line string) []byte {
	c.t.Helper()
	d := c.epsv()
	c.cmd(line, 150)
	b, err := io.ReadAll(d)
	check(c.t, err)
	check(c.t, d.Close())
	c.want(226)
	return b
}

// lines retrieves a listing.
func (c *ctl) lines(line string) []string {
	c.t.Helper()
	text := string(c.get(line))
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
}

// put stores b with STOR, APPE and the like and returns the final reply.
func (c *ctl) put(line string, b []byte) ftp.Reply {
	c.t.Helper()
	d := c.epsv()
	c.cmd(line, 150)
	_, err := d.Write(b)
	check(c.t, err)
	check(c.t, d.Close())
	return c.want(226)
}

// starts sends a line that is answered with 150, and returns the open data connection.
func (c *ctl) starts(line string) *net.TCPConn {
	c.t.Helper()
	d := c.epsv()
	c.cmd(line, 150)
	return d
}

// rest reads the remaining data of a data connection, however that ends.
func rest(d net.Conn) []byte {
	b, _ := io.ReadAll(d)
	return b
}
