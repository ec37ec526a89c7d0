package server_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
)

// IAC IAC in a name stands for one byte 255 (RFC 854), in both directions.
func TestTelnetInNames(t *testing.T) {
	fsys, _ := disk(t)
	c := serve(t, fsys).login(t, "rw")
	c.put("STOR /a\xff\xffb c", []byte("x"))
	if got := names(t, fsys, "/"); len(got) != 1 || got[0] != "a\xffb c" {
		t.Fatalf("the tree is %q", got)
	}
	if got := c.lines("NLST"); len(got) != 1 || got[0] != "a\xffb c" {
		t.Errorf("NLST %q: nothing must be doubled on the data connection", got)
	}
	c.send("MLST /a\xff\xffb c")
	_ = c.SetReadDeadline(time.Now().Add(patience))
	raw := make([]byte, 4096)
	n, err := c.Read(raw)
	check(t, err)
	if got := string(raw[:n]); !strings.Contains(got, "/a\xff\xffb c") {
		t.Errorf("255 must be doubled on the control connection: %q", got)
	}
}

// Several commands in one segment are answered in order.
func TestPipelined(t *testing.T) {
	s := serve(t, oneFile(t, "content"))
	c := s.connect(t)
	c.raw("USER rw\r\nPASS rw\r\nTYPE I\r\nPWD\r\nMKD a\r\nCWD a\r\nPWD\r\nNOPE\r\nRNFR /f\r\nRNTO g\r\nSIZE g\r\nQUIT\r\n")
	for _, code := range []ftp.Code{331, 230, 200, 257, 257, 250, 257, 500, 350, 250, 213, 221} {
		c.want(code)
	}
	c.closed()
}

// So are commands after a transfer command in the same segment.
func TestPipelinedTransfers(t *testing.T) {
	fsys := oneFile(t, "content")
	c := serve(t, fsys).login(t, "rw")
	l := listener(t, "127.0.0.1")
	port := "PORT " + ftp.FormatHostPort(addrOf(l)) + "\r\n"
	c.raw(port + "RETR /f\r\nPWD\r\n" + port + "STOR /g\r\n" + port + "NLST\r\nQUIT\r\n")
	c.want(200)
	d := accept(t, l)
	c.want(150)
	if got := string(rest(d)); got != "content" {
		t.Errorf("got %q", got)
	}
	_ = d.Close()
	for _, code := range []ftp.Code{226, 257, 200} {
		c.want(code)
	}
	d = accept(t, l)
	c.want(150)
	_, err := io.WriteString(d, "new")
	check(t, err)
	check(t, d.Close())
	c.want(226)
	c.want(200)
	d = accept(t, l)
	c.want(150)
	if got := string(rest(d)); got != "f\r\ng\r\n" {
		t.Errorf("NLST %q", got)
	}
	c.want(226)
	c.want(221)
	c.closed()
	if got := read(t, fsys, "/g"); got != "new" {
		t.Errorf("stored %q", got)
	}
}

// A command may arrive byte by byte, and its line may end in any of these ways.
func TestLineEnds(t *testing.T) {
	s := serve(t, oneFile(t, "content"))
	for _, end := range []string{"\r\n", "\n"} {
		c := s.connect(t)
		_ = c.Conn.(*net.TCPConn).SetNoDelay(true)
		for _, b := range []byte("user rw" + end + "pAsS rw" + end + "type i" + end + "size f" + end) {
			c.raw(string(b))
		}
		for _, code := range []ftp.Code{331, 230, 200, 213} {
			c.want(code)
		}
	}
	c := s.login(t, "rw")
	c.raw("\r\nNOOP\r\n\n") // empty lines are not commands
	c.want(500)
	c.want(200)
	c.want(500)
	c.raw("PWD\r\r\n") // some devices end lines like this
	c.want(257)
	c.raw("PWD\rx\r\n") // a CR can't be part of a command
	c.want(500, 501)
	c.raw("NOOP\r\nPWD")
	c.want(200) // half a line is kept
	c.raw("\r\n")
	c.want(257)
}

// Blanks at the start and the end of a name are part of it.
func TestBlanks(t *testing.T) {
	fsys, _ := disk(t)
	c := serve(t, fsys).login(t, "rw")
	for _, name := range []string{" lead", "trail ", "  two  ", " ", "in side", "\ttab\t"} {
		c.put("STOR "+name, []byte(name))
		if !exists(fsys, "/"+name) {
			t.Errorf("no file %q, but %q", name, names(t, fsys, "/"))
		}
		if got := string(c.get("RETR " + name)); got != name {
			t.Errorf("RETR of %q: %q", name, got)
		}
		if r := c.cmd("SIZE "+name, 213); r.Text() != fmt.Sprint(len(name)) {
			t.Errorf("SIZE of %q: %q", name, r.Text())
		}
		c.cmd("RNFR "+name, 350)
		c.cmd("RNTO "+name+" ", 250)
		c.cmd("DELE "+name+" ", 250)
		c.cmd("MKD "+name, 257)
		c.cmd("CWD "+name, 250)
		if p, err := ftp.Parse257(c.cmd("PWD", 257).Text()); err != nil || p != "/"+name {
			t.Errorf("PWD in %q: %q, %v", name, p, err)
		}
		c.cmd("CDUP", 250)
		c.cmd("RMD "+name, 250)
	}
}

// A line that is too long is answered with 500, once, and ends the session.
func TestLongLines(t *testing.T) {
	s := serve(t, fsroot.NewMem())
	c := s.login(t, "rw")
	c.cmd("CWD "+strings.Repeat("x", 4000), 550, 553) // long, but within the limit
	c.cmd("NOOP", 200)
	c.raw("NOOP " + strings.Repeat("x", 1<<20))
	c.want(500)
	c.closed()
	early := s.connect(t)
	early.raw(strings.Repeat("\xff\xfa", 64<<10)) // an endless Telnet command
	early.want(500)
	early.closed()
}

// HTTP and other protocols get a few errors at most.
func TestOtherProtocols(t *testing.T) {
	s := serve(t, fsroot.NewMem())
	c := s.connect(t)
	c.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.want(500, 421)
}

// 257 doubles quotes, and the one for MKD contains the whole path (RFC 959 appendix II).
func TestQuotes(t *testing.T) {
	c := serve(t, fsroot.NewMem()).login(t, "rw")
	for _, name := range []string{`a"b`, `"`, `""x""`, `quoted "dir" here`} {
		r := c.cmd("MKD "+name, 257)
		if p, err := ftp.Parse257(r.Text()); err != nil || p != "/"+name {
			t.Errorf("MKD %s: %q", name, r.Text())
		}
		c.cmd("CWD "+name, 250)
		r = c.cmd("PWD", 257)
		if want := `"/` + strings.ReplaceAll(name, `"`, `""`) + `"`; r.Text() != want {
			t.Errorf("PWD in %s: %q, want %q", name, r.Text(), want)
		}
		if r := c.cmd("MKD in", 257); !strings.HasPrefix(r.Text(), `"/`+strings.ReplaceAll(name, `"`, `""`)+`/in"`) {
			t.Errorf("MKD in %s: %q", name, r.Text())
		}
		c.cmd("CWD /", 250)
	}
}

// NUL, CR and LF in a name are refused, with any verb.
func TestControlCharactersInNames(t *testing.T) {
	fsys := fsroot.NewMem()
	c := serve(t, fsys).login(t, "rw")
	for _, cmd := range []string{"MKD a\x00b", "STOR a\x00", "MKD a\rb", "CWD \x00", "DELE x\x00y"} {
		if r := c.cmd(cmd); r.Code.Class() != ftp.PermanentFail {
			t.Errorf("%q: %v", cmd, r)
		}
	}
	if got := names(t, fsys, "/"); len(got) > 0 {
		t.Errorf("the tree is %q", got)
	}
}
