package server_test

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// 150 comes when the data connection stands and not before; a missing file is
// 550 at once, and never 150 first.
func TestWhenToSay150(t *testing.T) {
	c := serve(t, oneFile(t, "content")).login(t, "rw")
	port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
	check(t, err)
	c.cmd("RETR /missing", 550)
	c.cmd("STOR /missing/x", 550)
	c.cmd("LIST /missing", 550)
	c.send("RETR /f")
	c.raw("NOOP\r\n")
	c.want(200) // NOOP's: there is no 150 while nobody has dialed
	d := c.call(port)
	if r := c.want(150); !strings.Contains(r.Text(), "(7 bytes)") {
		t.Errorf("%q does not tell the size", r.Text())
	}
	if got := string(rest(d)); got != "content" {
		t.Errorf("got %q", got)
	}
	c.want(226)
}

// 226 comes after the file is in place and the data connection closed, without
// waiting for the client to close its end.
func TestWhenToSay226(t *testing.T) {
	fsys := oneFile(t, "content")
	c := serve(t, fsys).login(t, "rw")
	d := c.starts("RETR /f")
	c.want(226)
	if got := string(rest(d)); got != "content" {
		t.Errorf("got %q", got)
	}
	for i := range 20 {
		content := strings.Repeat("x", i)
		c.put("STOR /up", []byte(content))
		if got := read(t, fsys, "/up"); got != content {
			t.Fatalf("at 226 the file holds %q, want %q", got, content)
		}
	}
}

// Which code for which end of a transfer.
func TestCodes(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/big", string(random(16<<20)))
	c := serve(t, fsys).login(t, "rw")
	c.cmd("RETR /big", 425)
	d := c.starts("RETR /big")
	check(t, d.SetLinger(0))
	check(t, d.Close()) // a reset
	c.want(426)
	d = c.starts("STOR /up")
	_, err := d.Write([]byte("some"))
	check(t, err)
	check(t, d.SetLinger(0))
	check(t, d.Close())
	c.want(426)
	c.cmd("CWD /", 250)
	c.cmd("DELE /big", 250)
}

// A restart point lasts over what prepares a transfer and over a listing, is
// used up by a transfer, and is a number.
func TestRestartPoint(t *testing.T) {
	c := serve(t, oneFile(t, "0123456789")).login(t, "rw")
	for _, between := range []string{"TYPE I", "NOOP", "SIZE /f", "MDTM /f", "EPSV", "PASV", "PORT 127,0,0,1,200,10", "CWD /", "STAT /f", "MLST /f"} {
		c.cmd("REST 4", 350)
		c.cmd(between)
		if got := string(c.get("RETR /f")); got != "456789" {
			t.Errorf("REST 4, %s, RETR: %q", between, got)
		}
		if got := string(c.get("RETR /f")); got != "0123456789" {
			t.Errorf("the transfer after it: %q", got)
		}
	}
	for _, listing := range []string{"LIST", "NLST", "MLSD"} {
		c.cmd("REST 4", 350)
		if got := string(c.get(listing)); !strings.Contains(got, "f") {
			t.Errorf("%s after REST: %q", listing, got)
		}
		if got := string(c.get("RETR /f")); got != "456789" {
			t.Errorf("REST 4, %s, RETR: %q", listing, got)
		}
	}
	c.cmd("REST 4", 350)
	c.cmd("REST 0", 350)
	if got := string(c.get("RETR /f")); got != "0123456789" {
		t.Errorf("after REST 0: %q", got)
	}
	c.cmd("REST 4", 350)
	c.cmd("RETR /missing", 550) // uses it up as well
	if got := string(c.get("RETR /f")); got != "0123456789" {
		t.Errorf("after a RETR that failed: %q", got)
	}
}

// RANG is a restart point with an end.
func TestRange(t *testing.T) {
	c := serve(t, oneFile(t, "0123456789")).login(t, "ro")
	for _, tt := range []struct{ rang, want string }{
		{"2 5", "2345"}, {"0 0", "0"}, {"9 9", "9"}, {"4 100", "456789"}, {"1 0", "0123456789"},
	} {
		c.cmd("RANG "+tt.rang, 350)
		if got := string(c.get("RETR /f")); got != tt.want {
			t.Errorf("RANG %s: %q, want %q", tt.rang, got, tt.want)
		}
		if got := string(c.get("RETR /f")); got != "0123456789" {
			t.Errorf("after RANG %s was used: %q", tt.rang, got)
		}
	}
	c.cmd("RANG 20 30", 350)
	c.cmd("RETR /f", 554)
	c.cmd("RANG 2 5", 350)
	if r := c.cmd("HASH /f", 213); !strings.HasPrefix(r.Text(), "SHA-256 2-5 ") {
		t.Errorf("HASH after RANG 2 5: %q", r.Text())
	}
}

// A restart point at the end sends nothing, behind it is 554.
func TestRestartPastEnd(t *testing.T) {
	c := serve(t, oneFile(t, "0123456789")).login(t, "ro")
	c.cmd("REST 10", 350)
	if got := c.get("RETR /f"); len(got) > 0 {
		t.Errorf("from the end: %q", got)
	}
	for _, offset := range []string{"11", "9223372036854775807"} {
		c.cmd("REST "+offset, 350)
		c.cmd("RETR /f", 554)
	}
}

// SIZE is exact or 550.
func TestSize(t *testing.T) {
	fsys := oneFile(t, "a\nb\n")
	check(t, fsys.MkdirAll("/d", 0o755))
	c := serve(t, fsys).login(t, "ro")
	if r := c.cmd("SIZE /f", 213); r.Text() != "4" {
		t.Errorf("SIZE %q", r.Text())
	}
	c.cmd("SIZE /d", 550)
	c.cmd("SIZE /", 550)
	c.cmd("SIZE /missing", 550)
	c.cmd("TYPE A", 200)
	c.cmd("SIZE /f", 550)
}

// NOOP and STAT are answered at once while a transfer runs; what else comes waits
// for its end and is answered in order.
func TestCommandsDuringTransfer(t *testing.T) {
	fsys := fsroot.NewMem()
	c := serve(t, fsys).login(t, "rw")
	d := c.starts("STOR /up")
	_, err := d.Write([]byte("half"))
	check(t, err)
	for range 3 {
		c.cmd("NOOP", 200)
	}
	if r := c.cmd("STAT", 211); !strings.Contains(r.Text(), "STOR /up") {
		t.Errorf("STAT does not tell about the transfer: %q", r.Text())
	}
	c.raw("PWD\r\nSIZE /up\r\nNOOP\r\nTYPE A\r\n")
	_, err = d.Write([]byte(" and half"))
	check(t, err)
	check(t, d.Close())
	c.want(226)
	c.want(257)
	if r := c.want(213); r.Text() != "13" {
		t.Errorf("SIZE after the transfer: %q", r.Text())
	}
	c.want(200)
	c.want(200)
}

// STAT tells how many bytes have moved.
func TestStatCounts(t *testing.T) {
	c := serve(t, fsroot.NewMem()).login(t, "rw")
	d := c.starts("STOR /up")
	_, err := d.Write(make([]byte, 1000))
	check(t, err)
	for deadline := time.Now().Add(patience); ; {
		if strings.Contains(c.cmd("STAT", 211).Text(), " 1000 bytes so far") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("STAT never tells of the 1000 bytes")
		}
	}
	check(t, d.Close())
	c.want(226)
}

// More commands than the server wants to hold wait in the socket; none is lost.
func TestManyCommandsDuringTransfer(t *testing.T) {
	c := serve(t, fsroot.NewMem()).login(t, "rw")
	d := c.starts("STOR /up")
	const n = 500
	c.raw(strings.Repeat("PWD\r\n", n))
	check(t, d.Close())
	c.want(226)
	for range n {
		c.want(257)
	}
}

// QUIT in a transfer lets it finish, then says goodbye; so does QUIT and a
// hang-up of the sending half.
func TestQuitDuringTransfer(t *testing.T) {
	content := random(1 << 20)
	fsys := oneFile(t, string(content))
	s := serve(t, fsys)
	for _, halfClose := range []bool{false, true} {
		c := s.login(t, "rw")
		d := c.starts("RETR /f")
		c.send("QUIT")
		if halfClose {
			check(t, c.Conn.(*net.TCPConn).CloseWrite())
		}
		if got := rest(d); sum(got) != sum(content) {
			t.Errorf("got %d bytes", len(got))
		}
		c.want(226)
		c.want(221)
		c.closed()

		c = s.login(t, "rw")
		d = c.starts("STOR /up")
		c.send("QUIT")
		if halfClose {
			check(t, c.Conn.(*net.TCPConn).CloseWrite())
		}
		_, err := d.Write(content)
		check(t, err)
		check(t, d.Close())
		c.want(226)
		c.want(221)
		c.closed()
		if got := read(t, fsys, "/up"); sum([]byte(got)) != sum(content) {
			t.Errorf("stored %d bytes", len(got))
		}
		_ = fsys.Remove("/up")
	}
}

// A peer that stands still is given up after StallTimeout, one that reads slowly
// is not.
func TestStalledTransfer(t *testing.T) {
	parallel(t)
	s := serve(t, big(t), func(o *server.Options) { o.StallTimeout = 100 * time.Millisecond })
	c := s.login(t, "rw")
	d := c.starts("RETR /big")
	if r := c.want(426); !strings.Contains(r.Text(), "100ms") {
		t.Errorf("%q does not say how long nothing moved", r.Text())
	}
	_ = d.Close()
	d = c.starts("STOR /up")
	c.want(426)
	_ = d.Close()
	c.cmd("NOOP", 200)
}

// A file that gets shorter while it is sent is not said to be whole.
func TestFileShrinks(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/big", string(make([]byte, 64<<20)))
	c := serve(t, fsys).login(t, "ro")
	d := c.starts("RETR /big")
	_, err := io.ReadFull(d, make([]byte, 1<<20))
	check(t, err)
	check(t, os.Truncate(dir+"/big", 1<<20))
	if n := len(rest(d)); n >= 63<<20 {
		t.Skip("all of it was sent before it shrank")
	}
	c.want(451)
	c.cmd("NOOP", 200)
}

// A file that grows while it is sent ends where it ended when the transfer began:
// the 150 told how many bytes come.
func TestFileGrows(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/f", string(make([]byte, 16<<20)))
	c := serve(t, fsys).login(t, "ro")
	d := c.starts("RETR /f")
	f, err := os.OpenFile(dir+"/f", os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	_, err = f.Write([]byte("more"))
	check(t, err)
	check(t, f.Close())
	if n := len(rest(d)); n != 16<<20 {
		t.Errorf("%d bytes were sent", n)
	}
	c.want(226)
}

// Half a command at the end of an upload is not waited for.
func TestHalfALineAtTheEnd(t *testing.T) {
	fsys := fsroot.NewMem()
	c := serve(t, fsys).login(t, "rw")
	d := c.starts("STOR f")
	c.raw("NO")
	_, err := io.WriteString(d, "content")
	check(t, err)
	check(t, d.Close())
	c.want(226)
	if got := read(t, fsys, "/f"); got != "content" {
		t.Errorf("stored %q", got)
	}
	c.raw("OP\r\n")
	c.want(200)
}
