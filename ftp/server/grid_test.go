package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// opening opens a data connection in one of the ways. It sends the command, and returns a function that returns
// the connection once the transfer was requested.
func (c *ctl) opening(cmd string) func() *net.TCPConn {
	c.t.Helper()
	host := c.LocalAddr().(*net.TCPAddr).IP.String()
	switch cmd {
	case "EPSV":
		d := c.epsv()
		return func() *net.TCPConn { return d }
	case "PASV":
		a, err := ftp.Parse227(c.cmd("PASV", 227).Text())
		check(c.t, err)
		return func() *net.TCPConn { return c.call(a.Port()) } // connects after the command
	}
	l := listener(c.t, host)
	if cmd == "PORT" {
		c.cmd("PORT "+ftp.FormatHostPort(addrOf(l)), 200)
	} else {
		c.cmd("EPRT "+ftp.FormatEPRT(addrOf(l)), 200)
	}
	return func() *net.TCPConn { return accept(c.t, l).(*net.TCPConn) }
}

// transfer stores content, or retrieves a file and returns it.
func (c *ctl) transfer(how, cmd string, content []byte) []byte {
	c.t.Helper()
	return c.transferOver(how, cmd, content, func(d *net.TCPConn) net.Conn { return d })
}

// transferOver is transfer over the data connection as wrapped by wrap.
func (c *ctl) transferOver(how, cmd string, content []byte, wrap func(*net.TCPConn) net.Conn) []byte {
	c.t.Helper()
	open := c.opening(how)
	c.send(cmd)
	d := wrap(open())
	c.want(150)
	if content != nil {
		if _, err := d.Write(content); err != nil {
			c.t.Fatalf("%s: %v", cmd, err)
		}
		check(c.t, d.Close())
		c.want(226)
		return nil
	}
	b, err := io.ReadAll(d)
	check(c.t, err)
	check(c.t, d.Close())
	c.want(226)
	return b
}

// All combinations of the listening side, direction, address family, storage, protection and size.
func TestGrid(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	storages := map[string]func(t testing.TB) afero.Fs{
		"mem": func(testing.TB) afero.Fs { return fsroot.NewMem() }, "MemMapFs": func(testing.TB) afero.Fs { return afero.NewMemMapFs() },
		"disk": func(t testing.TB) afero.Fs { fsys, _ := disk(t); return fsys },
	}
	for _, family := range []string{"127.0.0.1:0", "[::1]:0"} {
		ways := []string{"EPSV", "EPRT", "PASV", "PORT"}
		if family == "[::1]:0" {
			ways = ways[:2]
		}
		for kind, storage := range storages {
			t.Run(family+" "+kind+" clear", func(t *testing.T) {
				c := serveOn(t, family, storage(t)).login(t, "rw")
				c.grid(ways, 8<<20, func(d *net.TCPConn) net.Conn { return d })
			})
			for name, version := range versions {
				t.Run(family+" "+kind+" "+name, func(t *testing.T) {
					c := serveOn(t, family, storage(t), requireTLS).connect(t).secure(clientConfig(version)).private("rw")
					c.grid(ways, 1<<20+1, func(d *net.TCPConn) net.Conn { return tls.Client(d, c.cfg) })
				})
			}
		}
	}
}

// grid stores and retrieves files of several sizes in each way.
func (c *ctl) grid(ways []string, largest int, wrap func(*net.TCPConn) net.Conn) {
	c.t.Helper()
	for _, way := range ways {
		for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, largest} {
			content := random(size)
			name := fmt.Sprintf("%s-%d", way, size)
			c.transferOver(way, "STOR "+name, content, wrap)
			if got := c.transferOver(way, "RETR "+name, nil, wrap); sum(got) != sum(content) {
				c.t.Errorf("%s: %d bytes were returned as %d", name, size, len(got))
			}
			if r := c.cmd("SIZE "+name, 213); r.Text() != fmt.Sprint(size) {
				c.t.Errorf("SIZE %s: %s", name, r.Text())
			}
		}
	}
}

// One large file in each direction, on disk, with its hash from the server.
func TestLargeFile(t *testing.T) {
	testutil.Long(t)
	fsys, _ := disk(t)
	c := serve(t, fsys).login(t, "rw")
	content := random(64 << 20)
	c.transfer("EPRT", "STOR big", content)
	got := c.transfer("PASV", "RETR big", nil)
	if sum(got) != sum(content) {
		t.Errorf("%d bytes were returned as %d", len(content), len(got))
	}
	if r := c.cmd("XSHA256 big", 250); !strings.HasPrefix(strings.ToLower(r.Text()), sum(content)) {
		t.Errorf("XSHA256: %s", r.Text())
	}
}

// In TYPE A, lines end in CRLF on the wire and in LF on disk, in every way to open the data connection.
func TestGridASCII(t *testing.T) {
	fsys, _ := disk(t)
	c := serve(t, fsys).login(t, "rw")
	c.cmd("TYPE A", 200)
	text := strings.Repeat("line\n\nlonger line with \r in it\n", 20_000) + "no end"
	wire := strings.ReplaceAll(text, "\n", "\r\n")
	for _, way := range []string{"EPSV", "EPRT", "PASV", "PORT"} {
		c.transfer(way, "STOR "+way, []byte(wire))
		if got := read(t, fsys, "/"+way); got != text {
			t.Errorf("%s: stored %d bytes, want %d", way, len(got), len(text))
		}
		if got := c.transfer(way, "RETR "+way, nil); string(got) != wire {
			t.Errorf("%s: %d bytes were returned, want %d", way, len(got), len(wire))
		}
	}
}

// oddNames are names that a parser might misread.
var oddNames = []string{
	"in side", " lead", "trail ", "  both  ", `quo"te`, `"`, "'", "ha#sh", "per%20cent", "[bracket]", "a*b", "what?", "semi;colon", "type=file;x", "-dash", "-la", "--", "~", "~root",
	"é", "漢字", "😀 emoji", "\xff\xfe bytes", "caf\xe9", "back\\slash", "a=b", "(1)", "a:b", "227 (1,2,3,4,5,6)", "..dots", "...", ".hidden", "tab\there", "$HOME `id`", strings.Repeat("x", 200),
}

// Odd names survive the round trip byte for byte, with every verb that returns names.
func TestOddNames(t *testing.T) {
	for kind, fsys := range map[string]afero.Fs{"mem": fsroot.NewMem(), "disk": nil} {
		t.Run(kind, func(t *testing.T) {
			if fsys == nil {
				fsys, _ = disk(t)
			}
			c := serve(t, fsys).login(t, "rw")
			wire := func(name string) string { return strings.ReplaceAll(name, "\xff", "\xff\xff") }
			for i, name := range oddNames {
				way := []string{"EPSV", "EPRT", "PASV", "PORT"}[i%4]
				c.transfer(way, "STOR "+wire(name), []byte(name))
				if got := string(c.transfer(way, "RETR "+wire(name), nil)); got != name {
					t.Errorf("RETR %q: %q", name, got)
				}
				if got := read(t, fsys, "/"+name); got != name {
					t.Errorf("%q is stored under another name: %q", name, names(t, fsys, "/"))
				}
				if e, _ := c.mlst(wire(name)); e.Name != "/"+name {
					t.Errorf("MLST %q: %q", name, e.Name)
				}
				c.cmd("MDTM "+wire(name), 213)
				c.cmd("RNFR "+wire(name), 350)
				c.cmd("RNTO "+wire(name)+".new", 250)
				c.cmd("RNFR "+wire(name)+".new", 350)
				c.cmd("RNTO "+wire(name), 250)
			}
			for _, cmd := range []string{"NLST -a", "MLSD", "LIST -a"} {
				var got []string
				var parser ftp.ListParser
				for _, l := range c.lines(cmd) {
					switch cmd {
					case "MLSD":
						e, err := ftp.ParseMLSx(l)
						check(t, err)
						l = e.Name
					case "LIST -a":
						e, ok, err := parser.Parse(l)
						if !ok || err != nil {
							t.Errorf("LIST line %q: %v", l, err)
						}
						l = e.Name
					}
					if l != "." && l != ".." {
						got = append(got, l)
					}
				}
				want := slices.Sorted(slices.Values(oddNames))
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s lists\n%q, want\n%q", cmd, got, want)
				}
			}
		})
	}
}

// A listener for both families: the data connections of a client have its family.
func TestDualStack(t *testing.T) {
	s := serveOn(t, "[::]:0", oneFile(t, "content"))
	_, port, err := net.SplitHostPort(s.addr)
	check(t, err)
	for host, ways := range map[string][]string{"127.0.0.1": {"EPSV", "EPRT", "PASV", "PORT"}, "::1": {"EPSV", "EPRT"}} {
		at := &site{s.Server, net.JoinHostPort(host, port), s.log}
		conn, err := net.Dial("tcp", at.addr)
		if err != nil {
			t.Skipf("can't connect to %s: %v", host, err)
		}
		_ = conn.Close()
		c := at.login(t, "ro")
		for _, way := range ways {
			if got := c.transfer(way, "RETR f", nil); string(got) != "content" {
				t.Errorf("%s by %s: %q", host, way, got)
			}
		}
	}
}
