package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// hostile is a server that means harm. What a test does not make it do goes well: it
// Takes any login, every directory is there, and every file but d, which is one, holds
// "content".
type hostile struct {
	addr string
	feat string                               // lines of FEAT, each behind a blank
	list func(verb, path string, w io.Writer) // what a listing sends
	on   map[string]func(c *victim, arg string)

	ln  net.Listener
	wg  sync.WaitGroup
	mu  sync.Mutex
	got []string // the lines that came
	in  map[net.Conn]bool
}

// victim is one client of it.
type victim struct {
	net.Conn
	h    *hostile
	r    *bufio.Reader
	data net.Listener
}

// newHostile starts one on loopback; change may set it up before it listens.
func newHostile(t *testing.T, change func(h *hostile)) *hostile {
	t.Helper()
	h := &hostile{feat: " MLST type*;size*;\r\n", on: map[string]func(*victim, string){}, in: map[net.Conn]bool{}}
	change(h)
	var err error
	if h.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	h.addr = h.ln.Addr().String()
	h.wg.Go(func() {
		for {
			conn, err := h.ln.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.in[conn] = true
			h.mu.Unlock()
			h.wg.Go(func() { (&victim{Conn: conn, h: h, r: bufio.NewReader(conn)}).serve() })
		}
	})
	t.Cleanup(func() {
		_ = h.ln.Close()
		h.mu.Lock()
		for conn := range h.in {
			_ = conn.Close()
		}
		h.mu.Unlock()
		h.wg.Wait()
	})
	return h
}

// commands are the lines that came so far.
func (h *hostile) commands() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

func (c *victim) say(format string, args ...any) { _, _ = fmt.Fprintf(c, format+"\r\n", args...) }

func (c *victim) serve() {
	defer c.Close()
	defer c.close()
	if greet := c.h.on["greeting"]; greet != nil {
		greet(c, "")
	} else {
		c.say("220 come in")
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		c.h.mu.Lock()
		c.h.got = append(c.h.got, line)
		c.h.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		if f := c.h.on[verb]; f != nil {
			f(c, arg)
		} else {
			c.well(verb, arg)
		}
	}
}

// well does what a good server would.
func (c *victim) well(verb, arg string) {
	switch verb {
	case "USER":
		c.say("331 and the password?")
	case "PASS":
		c.say("230 in")
	case "FEAT":
		c.say("211-I know\r\n%s211 End", c.h.feat)
	case "PWD":
		c.say(`257 "/"`)
	case "CWD", "RMD", "DELE", "RNTO", "MKD":
		c.say("250 done")
	case "EPSV":
		c.close()
		var err error
		if c.data, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			c.say("425 no")
			return
		}
		c.say("229 (|||%d|)", c.data.Addr().(*net.TCPAddr).Port)
	case "RETR":
		c.transfer(func(w io.Writer) { _, _ = io.WriteString(w, "content") })
	case "SIZE":
		if path.Base(arg) == "d" {
			c.say("550 that is a directory")
			return
		}
		c.say("213 7")
	case "LIST", "MLSD", "NLST":
		c.transfer(func(w io.Writer) {
			if c.h.list != nil {
				c.h.list(verb, arg, w)
			}
		})
	case "QUIT":
		c.say("221 bye")
	case "ABOR":
		c.say("226 nothing runs")
	case "TYPE", "OPTS", "NOOP", "REST":
		c.say("%s fine", map[bool]string{true: "350", false: "200"}[verb == "REST"])
	default:
		c.say("502 no")
	}
}

// transfer sends what f writes.
func (c *victim) transfer(f func(io.Writer)) { c.transferAs("150 here it comes", f) }

func (c *victim) transferAs(begin string, f func(io.Writer)) {
	if c.data == nil {
		c.say("425 where?")
		return
	}
	c.say("%s", begin)
	d, err := c.data.Accept()
	if err == nil {
		b := bufio.NewWriterSize(d, 64<<10)
		f(b)
		_ = b.Flush()
		_ = d.Close()
	}
	c.close()
	c.say("226 that was all")
}

func (c *victim) close() {
	if c.data != nil {
		_ = c.data.Close()
		c.data = nil
	}
}

// hostileNames are what a listing may hold in place of a name. None may lead out of
// the target directory; those that a disk can hold may stand in it.
var hostileNames = []string{
	"..", ".", "../x", "../../x", "/abs", "//abs", "a/b", "a/../../x", "..\\x", "\\abs", "\\\\host\\share", "C:x", "C:\\x", "C:/x", "CON", "NUL", "con.txt", "COM1",
	"aux", "x:stream", "nul\x00byte", "", " ", "  lead", "trail ", "trail.", "-rf", "--help", "~", "~root", "|touch made", "$(touch made)", "`touch made`", "; touch made",
	"file:///etc/passwd", "ftp://x/y", "%2e%2e%2fx", "..%2fx", "....//x", "\xff\xfe", "\xc0\xae\xc0\xae/x", "\x1b[2J", "\x1b]0;title\x07", "\u202egnp.exe", "\u009b31m", "a\rb", "a\tb",
	strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("n", 5000), strings.Repeat("../", 50) + "etc/x",
}

// hostileLines are names as lines of a listing.
var hostileLines = map[string]func(kind, name string) string{
	"MLSD": func(kind, name string) string { return fmt.Sprintf("type=%s;size=7; %s\r\n", kind, name) },
	"LIST": func(kind, name string) string {
		return fmt.Sprintf("%srwxr-xr-x 1 o g 7 Jan  1 2020 %s\r\n", map[string]string{"file": "-", "dir": "d"}[kind], name)
	},
}

// outside fails the test if there is anything in top but below in.
func outside(t *testing.T, top, in string) {
	t.Helper()
	_ = filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && name == in {
			return filepath.SkipDir
		}
		if err == nil && !strings.HasPrefix(in, name) {
			t.Errorf("%s was made", name)
		}
		return nil
	})
}

// rawControl is what would move a cursor, or break a line that is none of ours.
var rawControl = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f]|\u009b")

// files are the regular files below a directory.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, name)
			all = append(all, filepath.ToSlash(rel))
		}
		return nil
	})
	return all
}

// logins are the USER and PASS lines that a server got, session by session.
func (h *hostile) logins() (all []string) {
	for _, line := range h.commands() {
		if strings.HasPrefix(line, "USER ") || strings.HasPrefix(line, "PASS") || strings.HasPrefix(line, "ACCT ") {
			all = append(all, line)
		}
	}
	return all
}
