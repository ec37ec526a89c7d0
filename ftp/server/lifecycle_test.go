package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// Shutdown sends 421 to idle sessions, lets a transfer finish, and admits nobody.
func TestShutdownWaitsForTransfers(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys)
	idle, fresh, busy := s.login(t, "rw"), s.connect(t), s.login(t, "rw")
	d := busy.starts("STOR f")
	_, err := io.WriteString(d, "first, ")
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	for _, c := range []*ctl{idle, fresh} {
		c.want(421)
		c.closed()
	}
	if conn, err := net.Dial("tcp", s.addr); err == nil {
		newCtl(t, conn).closed() // a connection from the backlog
	}
	busy.cmd("NOOP", 200)
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v during a transfer", err)
	default:
	}
	_, err = io.WriteString(d, "second")
	check(t, err)
	check(t, d.Close())
	busy.want(226)
	busy.want(421)
	busy.closed()
	check(t, <-done)
	if got := read(t, fsys, "/f"); got != "first, second" {
		t.Errorf("stored %q", got)
	}
	check(t, s.Shutdown(context.Background())) // a second call does no harm
	check(t, s.Close())
}

// Shutdown returns when its context ends; the transfer continues until Close cuts it.
func TestShutdownThenClose(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "old")
	s := serve(t, fsys)
	c := s.login(t, "rw")
	d := c.starts("STOR f")
	_, err := io.WriteString(d, "half")
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Shutdown: %v", err)
	}
	c.cmd("NOOP", 200) // the session still runs
	check(t, s.Close())
	c.want(426)
	c.want(421)
	c.closed()
	if b := rest(d); len(b) > 0 {
		t.Errorf("the data connection got %q", b)
	}
	if got := read(t, fsys, "/f"); got != "old" {
		t.Errorf("the interrupted upload is visible: %q", got)
	}
}

// Close ends sessions that wait for a data connection, and those whose client does not read.
func TestCloseEndsAll(t *testing.T) {
	s := serve(t, big(t))
	waits, moves, deaf := s.login(t, "ro"), s.login(t, "ro"), s.login(t, "ro")
	waits.cmd("EPSV", 229)
	waits.send("RETR /big")
	waits.cmd("NOOP", 200)
	d := moves.starts("RETR /big")
	_ = deaf.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for range 4000 { // until the buffers of both ends are full
		if _, err := io.WriteString(deaf.Conn, strings.Repeat("HELP\r\n", 100)); err != nil {
			break
		}
	}
	check(t, s.Close())
	waits.want(426)
	waits.want(421)
	moves.want(426)
	_ = d.Close()
}

// A closed server does not serve, and closes the listener that it gets.
func TestServeAfterClose(t *testing.T) {
	noLeaks(t)
	srv, err := server.New(server.Options{Auth: accounts(nil)})
	check(t, err)
	check(t, srv.Close())
	check(t, srv.Close())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	if err := srv.Serve(l); !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
	if err := srv.ListenAndServe(context.Background()); !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("ListenAndServe: %v", err)
	}
}

// One server can serve several listeners. If one fails, Serve returns its error.
func TestSeveralListeners(t *testing.T) {
	s := serve(t, oneFile(t, "x"))
	l := listener(t, "127.0.0.1")
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	second := &site{s.Server, l.Addr().String(), s.log}
	if got := string(second.login(t, "ro").get("RETR /f")); got != "x" {
		t.Errorf("from the second listener: %q", got)
	}
	_ = l.Close()
	if err := <-done; err == nil || errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve on a listener that broke: %v", err)
	}
	s.login(t, "ro").cmd("NOOP", 200)
}

// ListenAndServe ends with its context and lets transfers finish within Grace.
func TestListenAndServe(t *testing.T) {
	for _, grace := range []time.Duration{patience, time.Millisecond} {
		noLeaks(t)
		fsys := fsroot.NewMem()
		srv, err := server.New(server.Options{Auth: accounts(fsys), Grace: grace, Listen: []string{fmt.Sprintf("127.0.0.1:%d", testutil.FreePorts(t, 1)), "127.0.0.1:0"}})
		check(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ls, _, err := srv.ListenAll(ctx)
		check(t, err)
		addr := ls[0].Addr().String()
		for _, l := range ls {
			check(t, l.Close())
		}
		srv2, err := server.New(server.Options{Auth: accounts(fsys), Grace: grace, Listen: []string{addr}})
		check(t, err)
		done := make(chan error, 1)
		go func() { done <- srv2.ListenAndServe(ctx) }()
		s := &site{srv2, addr, &lines{}}
		await(t, func() bool {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		c := s.login(t, "rw")
		d := c.starts("STOR f")
		cancel()
		if grace > time.Second {
			check(t, d.Close())
			c.want(226)
		} else {
			c.want(426)
			_ = d.Close()
		}
		c.want(421)
		if err := <-done; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("ListenAndServe: %v", err)
		}
		check(t, srv.Close())
	}
}

// If the server can't listen on an address, the error has one line and contains the address.
func TestListenFails(t *testing.T) {
	noLeaks(t)
	l := listener(t, "127.0.0.1")
	srv, err := server.New(server.Options{Auth: accounts(nil), Listen: []string{"127.0.0.1:0", l.Addr().String()}})
	check(t, err)
	err = srv.ListenAndServe(context.Background())
	if err == nil || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), l.Addr().String()) != 1 {
		t.Errorf("error %v", err)
	}
	check(t, srv.Close())
}

// New returns an error for invalid options.
func TestOptions(t *testing.T) {
	auth := accounts(nil)
	for name, o := range map[string]server.Options{
		"no Auth": {}, "negative timeout": {Auth: auth, IdleTimeout: -1}, "negative limit": {Auth: auth, MaxSessions: -1}, "negative rate": {Auth: auth, Rate: -1},
		"negative delay": {Auth: auth, FailureDelay: -1}, "negative waiting": {Auth: auth, MaxWaiting: -1}, "negative failures": {Auth: auth, MaxLoginFailures: -1}, "negative hash time": {Auth: auth, HashTimeout: -1},
		"empty port range": {Auth: auth, PassivePorts: dtp.PortRange{First: 50000, Last: 40000}}, "half a port range": {Auth: auth, PassivePorts: dtp.PortRange{Last: 40000}},
	} {
		if _, err := server.New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// Sessions beyond a limit get a 421 with the reason; a session that ends makes room.
func TestMaxSessions(t *testing.T) {
	for name, limit := range map[string]func(*server.Options){
		"all":    func(o *server.Options) { o.MaxSessions = 2 },
		"per IP": func(o *server.Options) { o.MaxSessionsPerIP = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, fsroot.NewMem(), limit)
			for range 3 {
				a, b := s.connectWhenFree(t), s.connectWhenFree(t)
				conn, err := net.Dial("tcp", s.addr)
				check(t, err)
				c := newCtl(t, conn)
				if r := c.want(421); !strings.Contains(r.Text(), "2") {
					t.Errorf("%q does not contain the limit", r.Text())
				}
				c.closed()
				a.cmd("QUIT", 221)
				a.closed()
				check(t, b.Close())
			}
		})
	}
}

// connectWhenFree connects as soon as the server admits a session.
func (s *site) connectWhenFree(t testing.TB) *ctl {
	t.Helper()
	var c *ctl
	await(t, func() bool {
		conn, err := net.Dial("tcp", s.addr)
		check(t, err)
		c = newCtl(t, conn)
		if c.want(220, 421).Code == 220 {
			return true
		}
		check(t, conn.Close()) // at most maxTurnedAway connections may wait for the end of a 421
		return false
	})
	return c
}

// Sessions from another address are counted separately.
func TestMaxSessionsPerIPTellsAddressesApart(t *testing.T) {
	s := serve(t, fsroot.NewMem(), func(o *server.Options) { o.MaxSessionsPerIP = 1 })
	s.login(t, "rw")
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", s.addr)
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	newCtl(t, conn).want(220)
}
