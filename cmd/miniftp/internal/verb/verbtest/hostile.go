package verbtest

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

// Hostile is a hostile server. By default it behaves well: it accepts any login, every directory
// exists, and every file holds "content", except d, which is a directory. A test overrides what it
// needs.
type Hostile struct {
	Addr string
	Feat string                                 // lines of the reply to FEAT, each after a blank
	List func(verb, path string, w io.Writer)   // writes a listing
	On   map[string]func(c *Victim, arg string) // handles a command, or "greeting"

	ln  net.Listener
	wg  sync.WaitGroup
	mu  sync.Mutex
	got []string // the lines received
	in  map[net.Conn]bool
}

// Victim is one client of a Hostile.
type Victim struct {
	net.Conn
	h    *Hostile
	r    *bufio.Reader
	Data net.Listener // for passive data connections
}

// NewHostile starts a Hostile on loopback. change may set it up before it listens.
func NewHostile(t *testing.T, change func(h *Hostile)) *Hostile {
	t.Helper()
	h := &Hostile{Feat: " MLST type*;size*;\r\n", On: map[string]func(*Victim, string){}, in: map[net.Conn]bool{}}
	change(h)
	var err error
	if h.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	h.Addr = h.ln.Addr().String()
	h.wg.Go(func() {
		for {
			conn, err := h.ln.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.in[conn] = true
			h.mu.Unlock()
			h.wg.Go(func() { (&Victim{Conn: conn, h: h, r: bufio.NewReader(conn)}).serve() })
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

// Commands returns the lines received so far.
func (h *Hostile) Commands() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

// Say sends a line to the client.
func (c *Victim) Say(format string, args ...any) { _, _ = fmt.Fprintf(c, format+"\r\n", args...) }

func (c *Victim) serve() {
	defer c.Close()
	defer c.close()
	if greet := c.h.On["greeting"]; greet != nil {
		greet(c, "")
	} else {
		c.Say("220 come in")
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
		if f := c.h.On[verb]; f != nil {
			f(c, arg)
		} else {
			c.behave(verb, arg)
		}
	}
}

// behave handles a command as a well-behaved server would.
func (c *Victim) behave(verb, arg string) {
	switch verb {
	case "USER":
		c.Say("331 and the password?")
	case "PASS":
		c.Say("230 in")
	case "FEAT":
		c.Say("211-I know\r\n%s211 End", c.h.Feat)
	case "PWD":
		c.Say(`257 "/"`)
	case "CWD", "RMD", "DELE", "RNTO", "MKD":
		c.Say("250 done")
	case "EPSV":
		c.close()
		var err error
		if c.Data, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			c.Say("425 no")
			return
		}
		c.Say("229 (|||%d|)", c.Data.Addr().(*net.TCPAddr).Port)
	case "RETR":
		c.transfer(func(w io.Writer) { _, _ = io.WriteString(w, "content") })
	case "SIZE":
		if path.Base(arg) == "d" {
			c.Say("550 that is a directory")
			return
		}
		c.Say("213 7")
	case "LIST", "MLSD", "NLST":
		c.transfer(func(w io.Writer) {
			if c.h.List != nil {
				c.h.List(verb, arg, w)
			}
		})
	case "QUIT":
		c.Say("221 bye")
	case "ABOR":
		c.Say("226 nothing runs")
	case "TYPE", "OPTS", "NOOP", "REST":
		c.Say("%s fine", map[bool]string{true: "350", false: "200"}[verb == "REST"])
	default:
		c.Say("502 no")
	}
}

// transfer makes a transfer in which f writes the data.
func (c *Victim) transfer(f func(io.Writer)) { c.TransferAs("150 here it comes", f) }

// TransferAs is like transfer, with begin as the preliminary reply.
func (c *Victim) TransferAs(begin string, f func(io.Writer)) {
	if c.Data == nil {
		c.Say("425 where?")
		return
	}
	c.Say("%s", begin)
	d, err := c.Data.Accept()
	if err == nil {
		b := bufio.NewWriterSize(d, 64<<10)
		f(b)
		_ = b.Flush()
		_ = d.Close()
	}
	c.close()
	c.Say("226 that was all")
}

func (c *Victim) close() {
	if c.Data != nil {
		_ = c.Data.Close()
		c.Data = nil
	}
}

// HostileNames are names for listings. None of them may be used outside the target directory; those
// that are valid file names may be created in it.
var HostileNames = []string{
	"..", ".", "../x", "../../x", "/abs", "//abs", "a/b", "a/../../x", "..\\x", "\\abs", "\\\\host\\share", "C:x", "C:\\x", "C:/x", "CON", "NUL", "con.txt", "COM1",
	"aux", "x:stream", "nul\x00byte", "", " ", "  lead", "trail ", "trail.", "-rf", "--help", "~", "~root", "|touch made", "$(touch made)", "`touch made`", "; touch made",
	"file:///etc/passwd", "ftp://x/y", "%2e%2e%2fx", "..%2fx", "....//x", "\xff\xfe", "\xc0\xae\xc0\xae/x", "\x1b[2J", "\x1b]0;title\x07", "\u202egnp.exe", "\u009b31m", "a\rb", "a\tb",
	strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("n", 5000), strings.Repeat("../", 50) + "etc/x",
}

// HostileLines return a name as a line of a listing, by the command that lists.
var HostileLines = map[string]func(kind, name string) string{
	"MLSD": func(kind, name string) string { return fmt.Sprintf("type=%s;size=7; %s\r\n", kind, name) },
	"LIST": func(kind, name string) string {
		return fmt.Sprintf("%srwxr-xr-x 1 o g 7 Jan  1 2020 %s\r\n", map[string]string{"file": "-", "dir": "d"}[kind], name)
	},
}

// Outside fails the test if anything exists in top, except in its subdirectory in.
func Outside(t *testing.T, top, in string) {
	t.Helper()
	_ = filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && name == in {
			return filepath.SkipDir
		}
		if err == nil && !strings.HasPrefix(in, name) {
			t.Errorf("%s was created", name)
		}
		return nil
	})
}

// RawControl matches characters that move the cursor or end a line.
var RawControl = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f]|\u009b")

// Files returns the regular files below a directory.
func Files(t *testing.T, dir string) (all []string) {
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

// Logins returns the USER, PASS and ACCT lines received so far.
func (h *Hostile) Logins() (all []string) {
	for _, line := range h.Commands() {
		if strings.HasPrefix(line, "USER ") || strings.HasPrefix(line, "PASS") || strings.HasPrefix(line, "ACCT ") {
			all = append(all, line)
		}
	}
	return all
}
