package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen stands in for systemd: it returns a function that returns the next message.
func listen(t *testing.T, name string) func() string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return func() string {
		t.Helper()
		b := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal("no message: ", err)
		}
		return string(b[:n])
	}
}

func open(t *testing.T) *Service {
	t.Helper()
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if _, ok := os.LookupEnv(name); ok {
			t.Errorf("%s is still set", name)
		}
	}
	return s
}

// TestMessages: the messages are those of sd_notify(3), for sockets with a path and with an abstract name.
func TestMessages(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@miniftp-test-%d", os.Getpid())} {
		next := listen(t, name)
		s := open(t)
		if !s.Present() || s.Watched() {
			t.Error("the socket was not found, or a watchdog was")
		}
		expect := func(want string) {
			t.Helper()
			if got := next(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		s.Ready("0 sessions")
		expect("READY=1\nSTATUS=0 sessions")
		s.Status("0 sessions") // has not changed
		s.Status("a\nREADY=1")
		expect("STATUS=a READY=1")
		before := monotonicNow(t)
		s.Reloading()
		var usec int64
		if got := next(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("got %q", got)
		} else if _, err := fmt.Sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%d\n", &usec); err != nil || usec < before || usec > monotonicNow(t) {
			t.Errorf("%q: %v, not between %d and now", got, err, before)
		}
		s.Stopping("bye", 90*time.Second)
		expect("STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000\nSTATUS=bye")
	}
}

func monotonicNow(t *testing.T) int64 {
	t.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		t.Fatal(err)
	}
	return at.Nano() / 1000
}

// TestOpenRefuses: variables that make no sense are errors, and without systemd nothing happens.
func TestOpenRefuses(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	s := open(t)
	s.Ready("")
	s.Watch(t.Context(), func(context.Context) error { panic("there is no watchdog") }, nil)
	for _, env := range [][3]string{{"vsock:1:2", "", ""}, {"/x", "abc", ""}, {"/x", "-1", ""}, {"/x", "99999999999999999", ""}} {
		t.Setenv("NOTIFY_SOCKET", env[0])
		t.Setenv("WATCHDOG_USEC", env[1])
		if s, err := Open(); err == nil || s == nil || s.Watched() {
			t.Errorf("%q: %v", env, err)
		}
	}
	t.Setenv("NOTIFY_SOCKET", "/x")
	t.Setenv("WATCHDOG_USEC", "1000000")
	t.Setenv("WATCHDOG_PID", "1")
	if s := open(t); s.Watched() {
		t.Error("the watchdog is for another process")
	}
}

// TestSocketFails: a socket that can't be written to is reported once.
func TestSocketFails(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	s := open(t)
	failures := 0
	s.Failed = func(err error) {
		failures++
		if !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
	s.Ready("")
	s.Status("more")
	if failures != 1 {
		t.Errorf("%d failures were reported", failures)
	}
}

// TestWatchdog: pings are sent while the service answers, stop when it does not, and continue when it answers again.
func TestWatchdog(t *testing.T) {
	next := listen(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	s := open(t)
	var stuck atomic.Bool
	var checks atomic.Int64
	changes := make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(ctx context.Context) error {
			checks.Add(1)
			if stuck.Load() {
				<-ctx.Done() // as a service that does not answer
				return context.Cause(ctx)
			}
			return nil
		}, func(err error) { changes <- err })
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	stuck.Store(true)
	if err := <-changes; !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	s.Status("mark")
	for next() != "STATUS=mark" { // pings of before
	}
	for n := checks.Load(); checks.Load() < n+5; {
		time.Sleep(time.Millisecond)
	}
	s.Status("end")
	if got := next(); got != "STATUS=end" {
		t.Errorf("a stuck service sent %q", got)
	}
	stuck.Store(false)
	if err := <-changes; err != nil {
		t.Error(err)
	}
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	cancel()
	<-ended
}

// TestWaiting: connections that nobody accepts are counted.
func TestWaiting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	waiting := func() int {
		t.Helper()
		n, err := Waiting(l.(*net.TCPListener))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d", n)
	}
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for limit := time.Now().Add(20 * time.Second); waiting() != 2 && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
	if n := waiting(); n != 2 {
		t.Errorf("%d", n)
	}
}
