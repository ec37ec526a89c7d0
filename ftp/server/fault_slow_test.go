package server_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// trickle writes a byte per second until that fails.
func trickle(conn net.Conn) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
			time.Sleep(time.Second) // on the fake clock
		}
	}()
	return done
}

// A client that sends a byte per second and never ends a line has only the time for the login. What it has sent
// before does not matter.
func TestFaultSlowLogin(t *testing.T) {
	for _, said := range [][]string{nil, {"NOOP"}, {"USER rw"}, {"USER rw", "PASS wrong"}} {
		bubble(t, func(o *server.Options) { o.LoginTimeout = 40 * time.Second }, func(t *testing.T, c *ctl, _ *server.Server) {
			for _, line := range said {
				c.cmd(line)
			}
			done := trickle(c.Conn)
			start := time.Now()
			c.want(421)
			if took := time.Since(start); took > 40*time.Second || took < 30*time.Second {
				t.Errorf("after %q: 421 after %v", said, took)
			}
			_ = c.Close()
			<-done
		})
	}
}

// Many clients that do nothing delay nobody and are all disconnected after their time. Meanwhile the logged-in
// sessions are served, one file after the other.
func TestFaultHalfOpenFlood(t *testing.T) {
	testutil.Long(t)
	flood := times(300, 3000)
	raiseLimit(t, 2*flood+100)
	fsys, _ := disk(t)
	content := random(200_000)
	write(t, fsys, "/f", string(content))
	s := serve(t, fsys, func(o *server.Options) { o.LoginTimeout = 2 * time.Second })
	inside := []*ctl{s.login(t, "rw"), s.login(t, "rw"), s.login(t, "ro")}
	var slow sync.WaitGroup
	for i := range flood {
		conn, err := net.Dial("tcp", s.addr)
		check(t, err)
		c := newCtl(t, conn)
		_, err = io.WriteString(conn, []string{"", "U", "USER rw\r\nPASS", "USER rw\r\n", strings.Repeat("x", 4000)}[i%5])
		check(t, err)
		slow.Go(func() { c.ends421() })
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		slow.Wait()
	}()
	var busy sync.WaitGroup
	for i, c := range inside {
		busy.Go(func() {
			for served := 0; ; served++ {
				select {
				case <-over:
					if served < 3 {
						t.Errorf("logged-in client %d got %d files while the others did nothing", i, served)
					}
					return
				default:
				}
				if got := c.get("RETR f"); sum(got) != sum(content) {
					t.Errorf("client %d got %d bytes", i, len(got))
					return
				}
			}
		})
	}
	busy.Wait()
	<-over
	s.login(t, "rw").cmd("NOOP", 200)
}

// ends421 expects a 421 and the end of the connection. If too many connections are being turned away, the last
// ones may not get the 421.
func (c *ctl) ends421() {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	code := ftp.Code(0)
	for {
		r, err := ftp.ReadReply(c.lr)
		if err == nil {
			code = r.Code
			continue
		}
		if isTimeout(err) || code != 421 && !testutil.Soaking {
			c.t.Errorf("after %d: %v", code, err)
		}
		return
	}
}

// On disk, where the kernel moves the bytes: a transfer whose peer stalls is aborted. What has arrived is kept
// and can be resumed.
func TestFaultStandsStill(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	fsys, _ := disk(t)
	content := random(32 << 20)
	write(t, fsys, "/big", string(content))
	s := serve(t, fsys, func(o *server.Options) { o.StallTimeout = 500 * time.Millisecond })
	c := s.login(t, "rw")
	d := c.starts("RETR big")
	c.want(426) // nobody reads
	_ = d.Close()
	d = c.starts("STOR f")
	_, err := d.Write(content[:100_000])
	check(t, err)
	if r := c.want(426); !strings.Contains(r.Text(), "100000 are kept") {
		t.Errorf("%q does not say how much is kept", r.Text())
	}
	_ = d.Close()
	c.cmd("REST 100000", 350)
	c.put("STOR f", content[100_000:])
	if got := read(t, fsys, "/f"); sum([]byte(got)) != sum(content) {
		t.Errorf("stored %d bytes, hash %s, want %s", len(got), sum([]byte(got)), sum(content))
	}
}

// A slow peer is not a stalled one: each byte is sent when the last one is on the disk, for much longer than
// StallTimeout.
func TestFaultTrickledUpload(t *testing.T) {
	if !testutil.Soaking {
		t.Skip("it takes seconds; ftp/dtp has this test with a fake clock")
	}
	const stall = time.Second
	fsys, dir := disk(t)
	c := serve(t, fsys, func(o *server.Options) { o.StallTimeout = stall }).login(t, "rw")
	d := c.starts("STOR f")
	sent := 0
	for end := time.Now().Add(4 * stall); time.Now().Before(end); sent++ {
		_, err := d.Write([]byte("x"))
		check(t, err)
		awaitHidden(t, fsys, sent+1)
	}
	check(t, d.Close())
	c.want(226)
	if got := read(t, fsys, "/f"); got != strings.Repeat("x", sent) {
		t.Errorf("%s: stored %d bytes of %d", dir, len(got), sent)
	}
}

// Sessions that open a passive port, perhaps connect to it, and vanish leave no listener and no connection.
func TestFaultPortsOfTheVanished(t *testing.T) {
	n := times(100, 1500)
	raiseLimit(t, 4*n)
	s := serve(t, big(t))
	before := len(openFiles())
	gone := make([]*ctl, n)
	for i := range gone {
		c := s.login(t, "ro")
		c.cmd([]string{"EPSV", "PASV"}[i%2])
		if i%3 == 0 {
			c.starts("RETR big") // and reads nothing
		}
		gone[i] = c
	}
	for i, c := range gone {
		if i%2 == 0 {
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
		}
		_ = c.Close()
	}
	const pool = 70 // open ports kept for the next client, see TestManyPassivePorts
	// The test's own ends of the data connections are still open in one of three cases.
	await(t, func() bool { return len(openFiles()) <= before+pool+(n+2)/3 })
	s.login(t, "ro").get("NLST")
}
