package server_test

import (
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// With 1,000 idle sessions and 300 transfers at once, none fails, and the idle sessions still answer.
func TestManySessions(t *testing.T) {
	testutil.Long(t)
	idle, busy := 1000, 300
	raiseLimit(t, 2*idle+6*busy)
	fsys, _ := disk(t)
	content := random(1 << 20)
	write(t, fsys, "/f", string(content))
	s := serve(t, fsys)
	sessions := make([]*ctl, idle)
	for i := range sessions {
		sessions[i] = s.login(t, "ro")
	}
	if n := runtime.NumGoroutine(); n > idle+200 {
		t.Errorf("%d goroutines for %d idle sessions", n, idle)
	}
	transfers := make([]*ctl, busy)
	data := make([]*net.TCPConn, busy)
	for i := range transfers {
		transfers[i] = s.login(t, "rw")
		cmd := "RETR /f"
		if i%3 == 0 {
			cmd = "STOR /up" + string(rune('0'+i%9))
		}
		data[i] = transfers[i].starts(cmd) // from here on all of them run
	}
	var all sync.WaitGroup
	for i, d := range data {
		all.Add(1)
		go func() {
			defer all.Done()
			_ = d.SetDeadline(time.Now().Add(patience))
			if i%3 == 0 {
				if _, err := d.Write(content); err != nil {
					t.Errorf("upload %d: %v", i, err)
				}
			} else if b, err := io.ReadAll(d); err != nil || sum(b) != sum(content) {
				t.Errorf("download %d: %d bytes, %v", i, len(b), err)
			}
			_ = d.Close()
		}()
	}
	all.Wait()
	for i, c := range transfers {
		if r := c.reply(); r.Code != ftp.Code(226) {
			t.Errorf("transfer %d: %v", i, r)
		}
	}
	for _, c := range sessions {
		c.cmd("NOOP", 200)
	}
}

// Many sessions come and go, with transfers in both directions and modes, without disturbing each other.
func TestManyClientsAtOnce(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	fsys := fsroot.NewMem()
	content := random(100_000)
	write(t, fsys, "/f", string(content))
	lo := testutil.FreePorts(t, 8) // fewer ports than clients: they have to share
	s := serve(t, fsys, func(o *server.Options) { o.PassivePorts = dtp.PortRange{First: lo, Last: lo + 7} })
	var all sync.WaitGroup
	for i := range 24 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 15 {
				c := s.login(t, "rw")
				if b := c.tryGet("/f"); b != nil && sum(b) != sum(content) {
					t.Errorf("client %d got %d bytes", i, len(b))
				}
				c.cmd("MKD d", 257, 550)
				c.cmd("RMD d", 250, 550)
				c.cmd("QUIT", 221)
				_ = c.Close()
			}
		}()
	}
	all.Wait()
}

// tryGet is like get, but returns nil if all ports are in use.
func (c *ctl) tryGet(path string) []byte {
	r := c.cmd("EPSV", 229, 425)
	if r.Code == 425 {
		return nil
	}
	port, err := ftp.Parse229(r.Text())
	if err != nil {
		c.t.Errorf("unexpected error %v", err)
		return nil
	}
	d := c.call(port)
	c.cmd("RETR "+path, 150)
	b := rest(d)
	_ = d.Close()
	c.want(226)
	return b
}

// A session that requests one port after the other holds one, and the pool stays small.
func TestManyPassivePorts(t *testing.T) {
	testutil.Long(t)
	c := serve(t, fsroot.NewMem()).login(t, "ro")
	before := len(openFiles())
	for range 500 {
		c.cmd("EPSV", 229)
		c.cmd("PASV", 227)
	}
	if n := len(openFiles()) - before; n > 70 {
		t.Errorf("after 1,000 times PASV, %d sockets are open", n)
	}
}

// Many STOU of the same name at once get different names.
func TestManyStoreUnique(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys)
	var all sync.WaitGroup
	for range 16 {
		c := s.login(t, "drop")
		all.Add(1)
		go func() {
			defer all.Done()
			for range 5 {
				c.put("STOU same", []byte("x"))
			}
		}()
	}
	all.Wait()
	if got := names(t, fsys, "/"); len(got) != 80 {
		t.Errorf("80 uploads made %d files", len(got))
	}
}
