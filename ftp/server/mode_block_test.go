package server_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// block is one block, as in RFC 959 §3.4.2.
func block(descriptor byte, content string) string {
	head := []byte{descriptor, 0, 0}
	binary.BigEndian.PutUint16(head[1:], uint16(len(content)))
	return string(head) + content
}

// unblock reads a file from a data connection in block mode.
func unblock(t testing.TB, r io.Reader) string {
	t.Helper()
	var content strings.Builder
	for {
		var head [3]byte
		_, err := io.ReadFull(r, head[:])
		check(t, err)
		body := make([]byte, binary.BigEndian.Uint16(head[1:]))
		_, err = io.ReadFull(r, body)
		check(t, err)
		if head[0]&16 == 0 {
			content.Write(body)
		}
		if head[0]&64 != 0 {
			return content.String()
		}
	}
}

func inputClosed(t testing.TB, d net.Conn) {
	t.Helper()
	if n, err := d.Read(make([]byte, 1)); n > 0 || err == nil || isTimeout(err) {
		t.Errorf("the data connection is still open: %d, %v", n, err)
	}
}

// Any number of files and listings are sent over one data connection, in both directions. 125 says that it was
// open.
func TestModeBlock(t *testing.T) {
	for _, where := range []string{"memory", "disk"} {
		fsys := fsroot.NewMem()
		if where == "disk" {
			fsys, _ = disk(t)
		}
		big := string(random(300_000))
		write(t, fsys, "/empty", "")
		write(t, fsys, "/big", big)
		c := serve(t, fsys).login(t, "rw")
		c.cmd("MODE B", 200)
		d := c.epsv()
		c.cmd("RETR /empty", 150)
		if got := unblock(t, d); got != "" {
			t.Errorf("%s: empty: %q", where, got)
		}
		c.want(226)
		c.cmd("STOR /up", 125)
		_, err := io.WriteString(d, block(0, "up ")+block(64, "load"))
		check(t, err)
		c.want(226)
		c.cmd("RETR /big", 125)
		if got := unblock(t, d); got != big {
			t.Errorf("%s: big: %d bytes", where, len(got))
		}
		c.want(226)
		c.cmd("NLST", 125)
		if got := unblock(t, d); got != "big\r\nempty\r\nup\r\n" {
			t.Errorf("%s: NLST: %q", where, got)
		}
		c.want(226)
		c.cmd("RETR /missing", 550)
		c.cmd("REST 3", 350)
		c.cmd("RETR /up", 125)
		if got := unblock(t, d); got != "load" {
			t.Errorf("%s: after REST: %q", where, got)
		}
		c.want(226)
		if got := read(t, fsys, "/up"); got != "up load" {
			t.Errorf("%s: stored %q", where, got)
		}
		c.cmd("MODE S", 200)
		inputClosed(t, d)
		c.cmd("RETR /up", 425)
	}
}

// A client may send a hundred commands in advance: each is answered, in order.
func TestModeBlockAhead(t *testing.T) {
	fsys, _ := disk(t)
	const files = 200
	for i := range files {
		write(t, fsys, fmt.Sprintf("/f%d", i), strings.Repeat(fmt.Sprint(i), i))
	}
	c := serve(t, fsys).login(t, "rw")
	c.cmd("MODE B", 200)
	d := c.epsv()
	var lines strings.Builder
	for i := range files {
		fmt.Fprintf(&lines, "RETR /f%d\r\n", i)
		if i%10 == 3 {
			lines.WriteString("RETR /none\r\n")
		}
	}
	c.raw(lines.String())
	for i := range files {
		c.want(150, 125)
		if got := unblock(t, d); got != strings.Repeat(fmt.Sprint(i), i) {
			t.Fatalf("file %d: %q", i, got)
		}
		c.want(226)
		if i%10 == 3 {
			c.want(550)
		}
	}
}

// Uploads may be sent in advance, too. If one is refused, the data connection is closed, so that its bytes do
// not become the next file.
func TestModeBlockUploadsAhead(t *testing.T) {
	for name, refused := range map[string]string{"no directory": "STOR /none/b", "no permission": "STOR /a", "no name": "STOR", "no line": "STOR x\x00y"} {
		fsys := fsroot.NewMem()
		user := "rw"
		if name == "no permission" {
			user = "drop" // who may not replace existing files
		}
		c := serve(t, fsys).login(t, user)
		c.cmd("MODE B", 200)
		d := c.epsv()
		c.raw("STOR /a\r\n" + refused + "\r\nSTOR /c\r\n")
		_, err := io.WriteString(d, block(64, "for a")+block(64, "for b")+block(64, "for c"))
		check(t, err)
		c.want(150)
		c.want(226)
		c.want(553, 550, 501, 500)
		c.want(425)
		inputClosed(t, d)
		if exists(fsys, "/c") || exists(fsys, "/none") || read(t, fsys, "/a") != "for a" {
			t.Errorf("%s: the data of the refused upload became another file", name)
		}
	}
}

// The refused upload may be the first, before the server has accepted the data connection.
func TestModeBlockFirstUploadRefused(t *testing.T) {
	fsys := fsroot.NewMem()
	c := serve(t, fsys).login(t, "rw")
	c.cmd("MODE B", 200)
	d := c.epsv()
	_, err := io.WriteString(d, block(64, "for a")+block(64, "for b"))
	check(t, err)
	c.raw("STOR /none/a\r\nSTOR /b\r\n")
	c.want(553, 550)
	c.want(425)
	if exists(fsys, "/b") {
		t.Error("the data of the refused upload became another file")
	}
}

func TestModeBlockCutShort(t *testing.T) {
	fsys := fsroot.NewMem()
	c := serve(t, fsys).login(t, "rw")
	c.cmd("MODE B", 200)
	d := c.epsv()
	c.cmd("STOR /f", 150)
	_, err := io.WriteString(d, block(0, "part"))
	check(t, err)
	check(t, d.Close())
	c.want(426)
	if exists(fsys, "/f") {
		t.Error("a part of the file got its final name")
	}
	d = c.epsv() // a new one can be negotiated
	c.cmd("STOR /f", 150)
	_, err = io.WriteString(d, block(64, "whole"))
	check(t, err)
	c.want(226)
	if read(t, fsys, "/f") != "whole" {
		t.Error("the file is not whole")
	}
}

// Restart markers: those of a long download say where REST can continue, and those of an upload are answered.
func TestModeBlockMarkers(t *testing.T) {
	fsys := fsroot.NewMem()
	long := string(random(20 << 20))
	write(t, fsys, "/long", long)
	c := serve(t, fsys).login(t, "rw")
	c.cmd("MODE B", 200)
	d := c.epsv()
	c.cmd("REST 5", 350)
	c.cmd("RETR /long", 150)
	var got int
	marker := ""
	for {
		var head [3]byte
		_, err := io.ReadFull(d, head[:])
		check(t, err)
		body := make([]byte, binary.BigEndian.Uint16(head[1:]))
		_, err = io.ReadFull(d, body)
		check(t, err)
		if head[0]&16 != 0 {
			if marker = string(body); marker != fmt.Sprint(got+5) {
				t.Errorf("marker %s after %d bytes", marker, got)
			}
		} else {
			got += len(body)
		}
		if head[0]&64 != 0 {
			break
		}
	}
	c.want(226)
	if got != len(long)-5 || marker == "" {
		t.Errorf("%d bytes, last marker %q", got, marker)
	}
	c.cmd("STOR /marked", 125)
	_, err := io.WriteString(d, block(0, "abc")+block(16, "my place"))
	check(t, err)
	if r := c.want(110); r.Text() != "MARK my place = 3" {
		t.Errorf("unexpected reply %v", r)
	}
	_, err = io.WriteString(d, block(64, "def"))
	check(t, err)
	c.want(226)
	if read(t, fsys, "/marked") != "abcdef" {
		t.Error("the marker is in the file")
	}
}

// A new address closes an open data connection (RFC 959 §3.3), and ABOR ends a running transfer.
func TestModeBlockEnds(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "file")
	c := serve(t, fsys, func(o *server.Options) { o.ModeZ = true }).login(t, "rw")
	for _, by := range []string{"EPSV", "PASV", "MODE Z", "REIN"} {
		c.cmd("MODE B", 200)
		d := c.epsv()
		c.cmd("RETR /f", 150)
		if got := unblock(t, d); got != "file" {
			t.Errorf("received %q", got)
		}
		c.want(226)
		c.cmd(by, 229, 227, 200, 220)
		inputClosed(t, d)
	}
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	c.cmd("TYPE I", 200)
	c.cmd("MODE B", 200)
	d := c.epsv()
	c.cmd("STOR /g", 150)
	c.cmd("ABOR", 426)
	c.want(226)
	inputClosed(t, d)
}

func TestModeParams(t *testing.T) {
	c := serve(t, fsroot.NewMem()).login(t, "rw")
	if f := ftp.ParseFeatures(c.cmd("FEAT", 211)); f["MODE"] != "B AHEAD" {
		t.Errorf("FEAT: MODE %q", f["MODE"])
	}
	c.cmd("MODE Z", 504)
	c.cmd("OPTS MODE Z LEVEL 3", 501)
	z := serve(t, fsroot.NewMem(), func(o *server.Options) { o.ModeZ = true }).login(t, "rw")
	if f := ftp.ParseFeatures(z.cmd("FEAT", 211)); f["MODE"] != "B AHEAD;Z" {
		t.Errorf("FEAT: MODE %q", f["MODE"])
	}
	z.cmd("MODE Z", 200)
	for _, good := range []string{"Z", "Z LEVEL 1", "z level 9", "Z ENGINE ZLIB LEVEL 4"} {
		z.cmd("OPTS MODE "+good, 200)
	}
	for _, bad := range []string{"B", "Z LEVEL", "Z LEVEL 0", "Z LEVEL 10", "Z LEVEL x", "Z SPEED 3", "Z LEVEL 3 4"} {
		z.cmd("OPTS MODE "+bad, 501)
	}
}
