package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// Failures of data connections under TLS. That a slow peer is waited for, and the rates, are tested in package
// dtp with a fake clock.

// secret logs in under TLS.
func (s *site) secret(t testing.TB, version uint16) *tlsCtl {
	t.Helper()
	return s.connect(t).secure(clientConfig(version)).private("rw")
}

// brokenOff does the handshake and calls meanwhile before it reads anything. Then it expects an end without
// close_notify, which would mean that this was all.
func brokenOff(t testing.TB, raw net.Conn, cfg *tls.Config, meanwhile func()) *tls.Conn {
	t.Helper()
	seen := &reading{Conn: raw}
	d := tls.Client(seen, cfg)
	check(t, d.Handshake())
	meanwhile()
	if b, err := io.ReadAll(d); err == nil && !seen.ended {
		t.Errorf("%d bytes were received, and then close_notify", len(b))
	}
	return d
}

// A transfer under TLS whose peer stalls is aborted. What has arrived is kept and can be resumed.
func TestTLSStandsStill(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys, _ := disk(t)
		content := random(16 << 20)
		write(t, fsys, "/big", string(content))
		c := serve(t, fsys, requireTLS, func(o *server.Options) { o.StallTimeout = 500 * time.Millisecond }).secret(t, version)
		raw := c.epsv()
		c.cmd("RETR big", 150)
		check(t, raw.SetReadBuffer(64<<10))
		d := brokenOff(t, raw, c.cfg, func() { c.want(426) }) // nothing is read meanwhile
		_ = d.Close()
		d = c.over("STOR f")
		_, err := d.Write(content[:100_000])
		check(t, err)
		if r := c.want(426); !strings.Contains(r.Text(), "100000 are kept") {
			t.Errorf("%q does not say how much is kept", r.Text())
		}
		_ = d.Close()
		c.cmd("REST 100000", 350)
		d = c.over("STOR f")
		_, err = d.Write(content[100_000:])
		check(t, err)
		check(t, d.Close())
		c.want(226)
		if got := read(t, fsys, "/f"); sum([]byte(got)) != sum(content) {
			t.Errorf("stored %d bytes, want %d", len(got), len(content))
		}
	})
}

// Anything other than a handshake is answered with 522, nothing is stored, and the session continues.
func TestTLSNoHandshakeOnData(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	s := serve(t, fsys, requireTLS, func(o *server.Options) { o.DataTimeout = 800 * time.Millisecond })
	instead := map[string]func(d *net.TCPConn){
		"silence":     func(*net.TCPConn) {},
		"a hang-up":   func(d *net.TCPConn) { _ = d.Close() },
		"a reset":     func(d *net.TCPConn) { _ = d.SetLinger(0); _ = d.Close() },
		"half of it":  func(d *net.TCPConn) { _, _ = d.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252}) },
		"clear text":  func(d *net.TCPConn) { _, _ = io.WriteString(d, "the file as it is\r\n") },
		"HTTP":        func(d *net.TCPConn) { _, _ = io.WriteString(d, "GET / HTTP/1.1\r\n\r\n") },
		"an alert":    func(d *net.TCPConn) { _, _ = d.Write([]byte{21, 3, 3, 0, 2, 2, 40}) },
		"close alert": func(d *net.TCPConn) { _, _ = d.Write([]byte{21, 3, 3, 0, 2, 1, 0}) },
		"TLS 1.1": func(d *net.TCPConn) {
			_ = tls.Client(d, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		},
		"no trust": func(d *net.TCPConn) { _ = tls.Client(d, &tls.Config{ServerName: "elsewhere"}).Handshake() },
	}
	t.Run("all", func(t *testing.T) {
		for name, do := range instead {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s.secret(t, tls.VersionTLS13).without(do)
			})
		}
	})
	if got := names(t, fsys, "/"); len(got) != 1 || read(t, fsys, "/f") != "content" {
		t.Errorf("the tree is %q", got)
	}
}

// without does something other than a handshake on data connections.
func (c *tlsCtl) without(do func(d *net.TCPConn)) {
	c.t.Helper()
	for _, way := range []string{"EPSV", "EPRT"} {
		for _, cmd := range []string{"RETR f", "STOR f", "STOR new", "MLSD"} {
			open := c.opening(way)
			c.send(cmd)
			d := open()
			c.want(150)
			do(d)
			c.want(522)
			_ = d.Close()
		}
	}
	if got := string(c.get("RETR f")); got != "content" {
		c.t.Errorf("RETR: %q", got)
	}
}

// ABOR at any moment of a transfer under TLS: 426, 226, no file, and the next transfer is whole.
func TestTLSAbort(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys := big(t)
		write(t, fsys, "/f", "old")
		c := serve(t, fsys, requireTLS).secret(t, version)
		abort := func(d net.Conn) {
			t.Helper()
			c.cmd("ABOR", 426)
			c.want(226)
			_ = d.Close()
		}
		for _, way := range []string{"EPSV", "EPRT"} {
			for _, cmd := range []string{"RETR big", "STOR f", "STOR new", "NLST"} {
				open := c.opening(way)
				c.send(cmd)
				d := open()
				c.want(150)
				abort(d) // before the handshake
				if cmd == "NLST" {
					continue
				}
				open = c.opening(way)
				c.send(cmd)
				d = open()
				c.want(150)
				data := tls.Client(d, c.cfg)
				check(t, data.Handshake())
				if strings.HasPrefix(cmd, "RETR") {
					_, err := io.ReadFull(data, make([]byte, 10_000))
					check(t, err)
				} else {
					_, err := data.Write(random(100_000))
					check(t, err)
				}
				abort(data) // in the middle of the data
			}
		}
		if exists(fsys, "/new") || read(t, fsys, "/f") != "old" {
			t.Errorf("the tree is %q", names(t, fsys, "/"))
		}
		if got := c.get("RETR big"); sum(got) != sum(random(32<<20)) {
			t.Errorf("%d bytes were received", len(got))
		}
	})
}

// Shutdown lets transfers under TLS finish, even those in their handshake.
func TestTLSShutdown(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys := fsroot.NewMem()
		content := random(4 << 20)
		write(t, fsys, "/f", string(content))
		s := serve(t, fsys, requireTLS)
		up, down, shaking, idle := s.secret(t, version), s.secret(t, version), s.secret(t, version), s.secret(t, version)
		upload := up.over("STOR up")
		_, err := upload.Write(content[:1000])
		check(t, err)
		download := down.over("RETR f")
		check(t, download.Handshake())
		late := shaking.over("RETR f")
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(context.Background()) }()
		idle.want(421)
		idle.closed()
		_, err = upload.Write(content[1000:])
		check(t, err)
		check(t, upload.Close())
		up.want(226)
		up.want(421)
		for c, d := range map[*tlsCtl]*tls.Conn{down: download, shaking: late} {
			got, err := io.ReadAll(d)
			if err != nil || sum(got) != sum(content) {
				t.Errorf("%d bytes were received, %v", len(got), err)
			}
			_ = d.Close()
			c.want(226)
			c.want(421)
		}
		check(t, <-done)
		if got := read(t, fsys, "/up"); sum([]byte(got)) != sum(content) {
			t.Errorf("%d bytes were stored", len(got))
		}
	})
}

// Close cuts transfers under TLS without a close_notify, which would mean that the data was complete.
func TestTLSClose(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		fsys := big(t)
		write(t, fsys, "/f", "old")
		s := serve(t, fsys, requireTLS)
		up, down, shaking := s.secret(t, version), s.secret(t, version), s.secret(t, version)
		upload := up.over("STOR f")
		_, err := upload.Write([]byte("half"))
		check(t, err)
		raw := down.epsv()
		down.cmd("RETR big", 150)
		late := shaking.over("STOR new")
		download := brokenOff(t, raw, down.cfg, func() {
			check(t, s.Close())
			for _, c := range []*tlsCtl{up, down, shaking} {
				c.want(426)
				c.want(421)
				c.closed()
			}
		})
		_, _, _ = upload.Close(), late.Close(), download.Close()
		if got := names(t, fsys, "/"); exists(fsys, "/new") || read(t, fsys, "/f") != "old" {
			t.Errorf("the tree is %q", got)
		}
	})
}

// Many sessions at once, with uploads and downloads: every file is whole, and each data connection resumes the
// TLS session of its own control connection.
func TestTLSManySessions(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	const sessions, rounds = 24, 8
	fsys := fsroot.NewMem()
	var mu sync.Mutex
	resumed := map[bool]int{}
	s := serve(t, fsys, requireTLS, func(o *server.Options) {
		o.SessionReuse = dtp.ReuseRequire
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if d, ok := e.What.(ftp.DataSecured); ok {
				mu.Lock()
				defer mu.Unlock()
				resumed[d.TLS.Resumed]++
			}
		})
	})
	var all sync.WaitGroup
	for i := range sessions {
		c := s.secret(t, []uint16{tls.VersionTLS12, tls.VersionTLS13}[i%2])
		all.Go(func() {
			for round := range rounds {
				way := []string{"EPSV", "EPRT", "PASV", "PORT"}[(i+round)%4]
				name := fmt.Sprintf("f%d", i)
				content := random(64 << 20)[i*1000+round:][:50_000*round+1]
				wrap := func(d *net.TCPConn) net.Conn { return tls.Client(d, c.cfg) }
				c.transferOver(way, "STOR "+name, content, wrap)
				if got := c.transferOver(way, "RETR "+name, nil, wrap); sum(got) != sum(content) {
					t.Errorf("%s: %d bytes were returned as %d", name, len(content), len(got))
				}
			}
			c.cmd("QUIT", 221)
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	if resumed[true] != 2*sessions*rounds || resumed[false] != 0 {
		t.Errorf("resumed: %v, want all of %d", resumed, 2*sessions*rounds)
	}
}
