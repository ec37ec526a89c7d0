package server_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// pipes is a listener whose connections are pipes, so that they use the fake clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// bubble runs f with a control connection to a server on a fake clock.
func bubble(t *testing.T, change func(*server.Options), f func(t *testing.T, c *ctl, s *server.Server)) {
	synctest.Test(t, func(t *testing.T) {
		opts := server.Options{Auth: accounts(fsroot.NewMem()), Log: slog.New(slog.DiscardHandler)}
		if change != nil {
			change(&opts)
		}
		srv, err := server.New(opts)
		check(t, err)
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		c := &ctl{t, patient{ours}, ftp.NewLineReader(ours, 64<<10)}
		c.want(220)
		f(t, c, srv)
		_ = ours.Close()
		check(t, srv.Close())
		<-done
	})
}

// patient ignores the deadlines of ctl: in a bubble they would expire first.
type patient struct{ net.Conn }

func (patient) SetReadDeadline(time.Time) error { return nil }

// ends expects 421 after exactly d.
func (c *ctl) ends(d time.Duration) {
	c.t.Helper()
	start := time.Now()
	c.want(421)
	if took := time.Since(start); took != d {
		c.t.Errorf("421 came after %v, want %v", took, d)
	}
	if _, err := c.lr.ReadLine(); !errors.Is(err, io.EOF) {
		c.t.Errorf("after 421: %v", err)
	}
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, func(o *server.Options) { o.IdleTimeout = 5 * time.Minute }, func(t *testing.T, c *ctl, _ *server.Server) {
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		for range 3 {
			time.Sleep(4 * time.Minute)
			c.cmd("NOOP", 200) // each command restarts the time
		}
		c.ends(5 * time.Minute)
	})
}

// Half a command does not count.
func TestIdleTimeoutWithHalfALine(t *testing.T) {
	bubble(t, nil, func(t *testing.T, c *ctl, _ *server.Server) {
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range 60 {
				if _, err := io.WriteString(c.Conn, "x"); err != nil {
					return
				}
				time.Sleep(10 * time.Second)
			}
		}()
		c.ends(5 * time.Minute)
		_ = c.Close()
		<-written
	})
}

// Before the login the time counts from the greeting, whatever commands are sent.
func TestLoginTimeout(t *testing.T) {
	bubble(t, func(o *server.Options) { o.LoginTimeout = time.Minute }, func(t *testing.T, c *ctl, _ *server.Server) {
		for range 5 {
			time.Sleep(10 * time.Second)
			c.cmd("NOOP", 200)
		}
		c.cmd("USER rw", 331)
		c.ends(10 * time.Second)
	})
}

// After the login the time does not count; it restarts when the session logs out.
func TestLoginTimeoutEnds(t *testing.T) {
	bubble(t, func(o *server.Options) { o.LoginTimeout, o.IdleTimeout = time.Minute, time.Hour }, func(t *testing.T, c *ctl, _ *server.Server) {
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		time.Sleep(50 * time.Minute)
		c.cmd("NOOP", 200)
		c.cmd("REIN", 220)
		time.Sleep(50 * time.Second)
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		time.Sleep(50 * time.Minute)
		c.cmd("USER rw", 331)
		c.ends(time.Minute) // it restarts whenever a login is given up
	})
}

// An IdleTimeout shorter than the LoginTimeout applies before the login, too.
func TestIdleBeforeLogin(t *testing.T) {
	bubble(t, func(o *server.Options) { o.IdleTimeout = 20 * time.Second }, func(t *testing.T, c *ctl, _ *server.Server) {
		c.ends(20 * time.Second)
	})
}

func TestSiteIdle(t *testing.T) {
	bubble(t, nil, func(t *testing.T, c *ctl, _ *server.Server) {
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		if r := c.cmd("SITE IDLE", 200); !strings.Contains(r.Text(), "300 seconds") {
			t.Errorf("SITE IDLE: %q", r.Text())
		}
		c.cmd("SITE IDLE 30", 200)
		c.ends(30 * time.Second)
	})
}

// SITE IDLE can also lengthen the time again, up to Options.IdleTimeout.
func TestSiteIdleLonger(t *testing.T) {
	bubble(t, nil, func(t *testing.T, c *ctl, _ *server.Server) {
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		c.cmd("SITE IDLE 30", 200)
		c.cmd("SITE IDLE 300", 200)
		for _, more := range []string{"301", "3600", "9223372036854775807"} {
			c.cmd("SITE IDLE "+more, 501)
		}
		c.ends(5 * time.Minute)
	})
}

// Bytes that are not a whole line do not extend the idle limit, even if the session parks between them.
func TestIdleTimeoutOfDribbledBytes(t *testing.T) {
	parallel(t)
	s := serve(t, fsroot.NewMem(), func(o *server.Options) { o.IdleTimeout = 500 * time.Millisecond })
	c := s.login(t, "rw")
	tick := time.NewTicker(20 * time.Millisecond) // like a client; nothing is measured with it
	defer tick.Stop()
	end := make(chan ftp.Code, 1)
	go func() {
		r, _ := ftp.ReadReply(c.lr)
		end <- r.Code
	}()
	for n := 0; ; n++ {
		select {
		case code := <-end:
			if code != 421 {
				t.Errorf("the session ended with %d", code)
			}
			return
		case <-tick.C:
			_, _ = io.WriteString(c.Conn, "x")
		}
		if n > 5000 { // at least 100 s: 200 times the limit
			t.Fatal("the session has not ended")
		}
	}
}

// An idle session ends at once when the server shuts down.
func TestShutdownWakesIdle(t *testing.T) {
	bubble(t, nil, func(t *testing.T, c *ctl, s *server.Server) {
		c.cmd("USER rw", 331)
		done := make(chan error, 1)
		synctest.Wait()
		go func() { done <- s.Shutdown(t.Context()) }()
		c.ends(0)
		check(t, <-done)
	})
}

// A client that does not read its replies is disconnected.
func TestDeafClient(t *testing.T) {
	bubble(t, func(o *server.Options) { o.StallTimeout = time.Minute }, func(t *testing.T, c *ctl, _ *server.Server) {
		start := time.Now()
		c.raw("HELP\r\n")
		for {
			if _, err := io.WriteString(c.Conn, "HELP\r\n"); err != nil {
				break
			}
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the server gave up after %v, want a minute", took)
		}
	})
}
