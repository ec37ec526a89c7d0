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

// 150 is sent when the data connection is open and not before. A missing file is refused with 550 at once,
// without a 150.
func TestWhenToSay150(t *testing.T) {
	c := serve(t, oneFile(t, "content")).login(t, "rw")
	port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
	check(t, err)
	c.cmd("RETR /missing", 550)
	c.cmd("STOR /missing/x", 550)
	c.cmd("LIST /missing", 550)
	c.send("RETR /f")
	c.raw("NOOP\r\n")
	c.want(200) // for NOOP: there is no 150 before the client has connected
	d := c.call(port)
	if r := c.want(150); !strings.Contains(r.Text(), "(7 bytes)") {
		t.Errorf("%q does not contain the size", r.Text())
	}
	if got := string(rest(d)); got != "content" {
		t.Errorf("got %q", got)
	}
	c.want(226)
}

// 226 is sent after the file has its final name and the data connection is closed, without waiting for the
// client to close its end.
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
			t.Fatalf("at 226 the file contains %q, want %q", got, content)
		}
	}
}

// The reply code for each end of a transfer.
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

// A restart offset survives the commands that prepare a transfer, and a listing. A transfer uses it up.
func TestRestartPoint(t *testing.T) {
	c := serve(t, oneFile(t, "0123456789")).login(t, "rw")
	for _, between := range []string{"TYPE I", "NOOP", "SIZE /f", "MDTM /f", "EPSV", "PASV", "PORT 127,0,0,1,200,10", "CWD /", "STAT /f", "MLST /f"} {
		c.cmd("REST 4", 350)
		c.cmd(between)
		if got := string(c.get("RETR /f")); got != "456789" {
			t.Errorf("REST 4, %s, RETR: %q", between, got)
		}
		if got := string(c.get("RETR /f")); got != "0123456789" {
			t.Errorf("the transfer after that: %q", got)
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
	c.cmd("RETR /missing", 550) // uses it up, too
	if got := string(c.get("RETR /f")); got != "0123456789" {
		t.Errorf("after a failed RETR: %q", got)
	}
}

// RANG is like REST, with an end.
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

// A restart offset at the end sends nothing; past the end it is refused with 554.
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

// NOOP and STAT are answered at once during a transfer. Other commands wait for its end and are answered in
// order.
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
		t.Errorf("STAT does not describe the transfer: %q", r.Text())
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

// STAT returns how many bytes have moved.
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
			t.Fatal("STAT never counts the 1000 bytes")
		}
	}
	check(t, d.Close())
	c.want(226)
}

// More commands than the server holds wait in the socket; none is lost.
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

// QUIT during a transfer lets it finish and then ends the session; so does QUIT followed by closing the
// client's side.
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

// A transfer whose peer stalls is aborted after StallTimeout; one whose peer reads slowly is not.
func TestStalledTransfer(t *testing.T) {
	parallel(t)
	s := serve(t, big(t), func(o *server.Options) { o.StallTimeout = 100 * time.Millisecond })
	c := s.login(t, "rw")
	d := c.starts("RETR /big")
	if r := c.want(426); !strings.Contains(r.Text(), "100ms") {
		t.Errorf("%q does not contain the time", r.Text())
	}
	_ = d.Close()
	d = c.starts("STOR /up")
	c.want(426)
	_ = d.Close()
	c.cmd("NOOP", 200)
}

// A file that gets shorter during its download is not reported as whole.
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

// Of a file that grows during its download only the size at its start is sent, which the 150 has announced.
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

// Half a command at the end of an upload does not delay it for long.
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
