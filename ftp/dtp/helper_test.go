package dtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"miniftp/ftp"
)

// patience is the limit for every wait of a test. Only a test that fails waits that long.
const patience = 10 * time.Second

var (
	home     = netip.MustParseAddr("127.0.0.1")
	stranger = netip.MustParseAddr("127.0.0.2")
)

// events records the events of a Manager.
type events struct {
	mu  sync.Mutex
	all []ftp.Happening
}

func (e *events) observe(h ftp.Happening) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, h)
}

// emitted returns the events of one type.
func emitted[T ftp.Happening](e *events) []T {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []T
	for _, h := range e.all {
		if x, ok := h.(T); ok {
			list = append(list, x)
		}
	}
	return list
}

// manage returns a Manager whose control connection is on loopback.
func manage(t testing.TB, cfg *Config) (*Manager, *events) {
	t.Helper()
	noLeaks(t)
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	e := &events{}
	m := NewManager(cfg, netip.AddrPortFrom(home, 2121), netip.AddrPortFrom(home, 40000), e.observe)
	t.Cleanup(func() {
		m.Close()
		if cfg.Ports != nil {
			cfg.Ports.Close()
		}
	})
	return m, e
}

// watched holds the tests that have called noLeaks. A second call in the same test is ignored, because
// what was opened before it would be closed only after its check.
var watched sync.Map

// noLeaks checks, when the test has ended, that it has left no goroutine, socket or
// open file.
func noLeaks(t testing.TB) {
	t.Helper()
	if _, again := watched.LoadOrStore(t, true); again {
		return
	}
	running := goleak.IgnoreCurrent()
	before := openFiles()
	t.Cleanup(func() {
		watched.Delete(t)
		if t.Failed() {
			return
		}
		goleak.VerifyNone(t, running)
		for _, f := range openFiles() {
			if i := slices.Index(before, f); i >= 0 {
				before = slices.Delete(before, i, i+1)
				continue
			}
			t.Errorf("left open: %s", f)
		}
	})
}

// openFiles returns the open sockets and files of the process, on systems that list them.
// Pipes are omitted, because package net keeps some for splice.
func openFiles() []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	var open []string
	dir, _ := os.ReadDir("/proc/self/fd")
	for _, e := range dir {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/proc")) {
			open = append(open, target)
		}
	}
	return open
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within fails the test if f takes longer than patience.
func within[T any](t testing.TB, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v
	case <-time.After(patience):
		t.Fatal("the function does not return")
		panic("not reached")
	}
}

// random returns n bytes that differ at every offset.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// tempFile returns a file with the given content, open for reading and writing, at its start.
func tempFile(t testing.TB, content []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	_, err = f.Write(content)
	check(t, err)
	_, err = f.Seek(0, io.SeekStart)
	check(t, err)
	return f
}

// pair returns the two ends of a TCP connection.
func pair(t testing.TB) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(home, 0)))
	check(t, err)
	defer l.Close()
	theirs = call(t, home, AddrPort(l.Addr()))
	ours, err = l.AcceptTCP()
	check(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	return ours, theirs
}

// call dials the address to, from the local address from.
func call(t testing.TB, from netip.Addr, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	if from != home && runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.Dial("tcp", to.String())
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// dialFrom dials to from an address, outside of the goroutine of the test.
func dialFrom(from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: time.Minute}
	return d.Dial("tcp", to.String())
}

// hungUp checks that the other end has closed or reset c without sending a byte.
func hungUp(t testing.TB, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v to %v: read %d bytes, %v; want a closed connection", c.LocalAddr(), c.RemoteAddr(), n, err)
	}
}

// listening returns an Opener that listens, and its address.
func listening(t testing.TB, m *Manager) (*Opener, netip.AddrPort) {
	t.Helper()
	addr, err := m.Listen()
	check(t, err)
	o, err := m.Take()
	check(t, err)
	return o, addr
}

// open calls Open, which must succeed.
func open(t testing.TB, o *Opener) *Conn {
	t.Helper()
	c, err := o.Open(context.Background())
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// run calls RunOn in a goroutine.
func run(ctx context.Context, nc net.Conn, job Job) <-chan Result {
	done := make(chan Result, 1)
	go func() { done <- RunOn(ctx, &Conn{Conn: nc}, job) }()
	return done
}

// wantBytes reads a data connection to its end and checks what it reads.
func wantBytes(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("received %d bytes, %v; want %d equal ones", len(got), err, len(want))
	}
}
