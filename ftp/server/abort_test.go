package server_test

import (
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
)

// The forms in which clients send ABOR: the bare word, and with the Telnet Interrupt Process and Synch of RFC
// 959 §4.1.3 before it, in the stream or partly as urgent data.
var aborts = []struct {
	name string
	send func(c *ctl)
}{
	{"bare", func(c *ctl) { c.send("ABOR") }},
	{"lower case", func(c *ctl) { c.send("abor") }},
	{"IP and DM in the stream", func(c *ctl) { c.raw("\xff\xf4\xff\xf2ABOR\r\n") }},
	{"junk before it", func(c *ctl) { c.raw("\xf2ABOR\r\n") }},
	{"urgent IAC, then DM", func(c *ctl) { c.urgent("\xff\xf4\xff"); c.raw("\xf2ABOR\r\n") }},
	{"urgent DM", func(c *ctl) { c.raw("\xff\xf4\xff"); c.urgent("\xf2"); c.raw("ABOR\r\n") }},
	{"all urgent", func(c *ctl) { c.urgent("\xff\xf4\xff\xf2"); c.raw("ABOR\r\n") }},
	{"all of the line urgent", func(c *ctl) { c.urgent("ABOR\r\n") }},
	{"urgent command", func(c *ctl) { c.urgent("\xff\xf4\xff\xf2"); c.raw("AB"); c.raw("OR\r\n") }},
}

// big is a tree with a file that does not fit in the sockets' buffers.
func big(t testing.TB) afero.Fs {
	fsys := fsroot.NewMem()
	write(t, fsys, "/big", string(random(32<<20)))
	return fsys
}

// ABOR without a transfer is answered with 226, once, and the session continues.
func TestAbortIdle(t *testing.T) {
	s := serve(t, fsroot.NewMem())
	c := s.login(t, "rw")
	for _, how := range aborts {
		t.Run(how.name, func(t *testing.T) {
			c.t = t
			how.send(c)
			c.want(226)
			c.cmd("NOOP", 200)
			c.cmd("EPSV", 229)
			how.send(c) // withdraws the offer
			c.want(226)
			c.cmd("LIST", 425)
		})
	}
}

// ABOR during a transfer is answered with 426 and then 226 (RFC 959 §4.1.3), and the data connection is closed.
func TestAbortTransfer(t *testing.T) {
	parallel(t)
	fsys := big(t)
	s := serve(t, fsys)
	c := s.login(t, "rw")
	for _, how := range aborts {
		t.Run(how.name, func(t *testing.T) {
			c.t = t
			d := c.starts("RETR /big")
			how.send(c)
			c.want(426)
			c.want(226)
			if n := len(rest(d)); n >= 32<<20 {
				t.Errorf("the aborted transfer sent all %d bytes", n)
			}
			_ = d.Close()

			d = c.starts("STOR /up")
			_, err := d.Write([]byte("half a fi"))
			check(t, err)
			how.send(c)
			c.want(426)
			c.want(226)
			if exists(fsys, "/up") {
				t.Error("the aborted upload has its final name")
			}
			_ = d.Close()
			c.cmd("NOOP", 200)
		})
	}
}

// ABOR while the server still waits for the data connection.
func TestAbortAwaited(t *testing.T) {
	fsys := oneFile(t, "old")
	s := serve(t, fsys)
	c := s.login(t, "rw")
	for _, how := range aborts {
		t.Run(how.name, func(t *testing.T) {
			c.t = t
			for _, cmd := range []string{"RETR /f", "LIST", "STOR /f", "STOR /new"} {
				c.cmd("EPSV", 229)
				c.send(cmd)
				how.send(c)
				c.want(426)
				c.want(226)
			}
			c.cmd("NOOP", 200)
			if got := names(t, fsys, "/"); len(got) != 1 || read(t, fsys, "/f") != "old" {
				t.Errorf("the tree is %q", got)
			}
		})
	}
}

// A client that sends ABOR and closes the data connection at once has not sent a whole file. Whichever of the
// two the server reads first, the upload fails.
func TestAbortAndEndAtOnce(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys)
	c := s.login(t, "rw")
	for range 100 {
		d := c.starts("STOR /up")
		_, err := d.Write([]byte("half a fi"))
		check(t, err)
		c.send("ABOR")
		check(t, d.Close())
		c.want(426)
		c.want(226)
		if exists(fsys, "/up") {
			t.Fatal("the aborted upload has its final name")
		}
	}
}

// ABOR stops a hash, too.
func TestAbortHash(t *testing.T) {
	s := serve(t, big(t))
	c := s.login(t, "ro")
	c.raw(strings.Repeat("XSHA512 /big\r\nABOR\r\n", 3))
	for range 3 {
		c.want(426, 250) // the hash may have ended before ABOR was read
		c.want(226)
	}
	c.cmd("NOOP", 200)
}

// A listing can be aborted.
func TestAbortListing(t *testing.T) {
	s := serve(t, madeUp{Fs: fsroot.NewMem(), entries: 1 << 30})
	c := s.login(t, "ro")
	d := c.starts("MLSD")
	c.send("ABOR")
	c.want(426)
	c.want(226)
	_ = d.Close()
	c.cmd("NOOP", 200)
}

// QUIT after ABOR in the same segment: three replies in order.
func TestAbortThenQuit(t *testing.T) {
	s := serve(t, big(t))
	c := s.login(t, "ro")
	d := c.starts("RETR /big")
	c.raw("ABOR\r\nQUIT\r\n")
	for _, code := range []ftp.Code{426, 226, 221} {
		c.want(code)
	}
	c.closed()
	_ = d.Close()
}
