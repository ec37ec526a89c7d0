package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// moments are the states in which a client can break off. Each brings a session to that state and returns the
// data connection, if there is one.
var moments = map[string]func(c *party) net.Conn{
	"idle":            func(*party) net.Conn { return nil },
	"USER given":      func(c *party) net.Conn { c.cmd("USER rw", 331); return nil },
	"PASS judged":     func(c *party) net.Conn { c.cmd("USER rw", 331); c.send("PASS rw"); return nil },
	"port open":       func(c *party) net.Conn { return c.epsv() },
	"RETR awaits":     func(c *party) net.Conn { c.cmd("EPSV", 229); c.send("RETR /big"); return nil },
	"STOR awaits":     func(c *party) net.Conn { c.cmd("EPSV", 229); c.send("STOR up"); return nil },
	"MLSD awaits":     func(c *party) net.Conn { c.cmd("EPSV", 229); c.send("MLSD"); return nil },
	"RETR runs":       func(c *party) net.Conn { return c.starts("RETR /big") },
	"RETR half read":  func(c *party) net.Conn { d := c.starts("RETR /big"); some(d); return d },
	"STOR runs":       func(c *party) net.Conn { return c.starts("STOR up") },
	"STOR half sent":  func(c *party) net.Conn { d := c.starts("STOR up"); put(d); return d },
	"APPE half sent":  func(c *party) net.Conn { d := c.starts("APPE old"); put(d); return d },
	"STOU half sent":  func(c *party) net.Conn { d := c.starts("STOU"); put(d); return d },
	"LIST runs":       func(c *party) net.Conn { return c.starts("LIST /many") },
	"HASH runs":       func(c *party) net.Conn { c.send("HASH /big"); return nil },
	"STAT runs":       func(c *party) net.Conn { c.send("STAT /many"); return nil },
	"rename begun":    func(c *party) net.Conn { c.cmd("RNFR old", 350); return nil },
	"restart agreed":  func(c *party) net.Conn { c.cmd("REST 5", 350); return nil },
	"commands ahead":  func(c *party) net.Conn { d := c.starts("RETR /big"); c.raw("STOR up\r\nEPSV\r\nLIST\r\n"); return d },
	"half a command":  func(c *party) net.Conn { c.raw("STOR u"); return nil },
	"Telnet half way": func(c *party) net.Conn { c.raw("\xff\xf4\xff"); return nil },
}

// party is a client, with or without TLS.
type party struct {
	*ctl
	cfg *tls.Config // nil: in the clear
}

// starts is ctl.starts, with a TLS handshake if needed.
func (c *party) starts(line string) net.Conn {
	d := c.ctl.starts(line)
	if c.cfg == nil {
		return d
	}
	td := tls.Client(d, c.cfg)
	_ = td.Handshake() // the handshake may be what is broken off
	return td
}

func some(d net.Conn) { _, _ = io.ReadFull(d, make([]byte, 1000)) }
func put(d net.Conn)  { _, _ = io.WriteString(d, "half a fi") }

// breaks are the ways to break off. raw is the TCP connection below c.
var breaks = map[string]func(c *party, raw *net.TCPConn, d net.Conn){
	"ABOR":          func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "ABOR\r\n") },
	"ABOR twice":    func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "ABOR\r\nABOR\r\n") },
	"QUIT":          func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "QUIT\r\n") },
	"ABOR and QUIT": func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "ABOR\r\nQUIT\r\n") },
	"REIN":          func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "REIN\r\n") },
	"USER":          func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "USER ro\r\nPASS ro\r\n") },
	"another port":  func(c *party, _ *net.TCPConn, _ net.Conn) { say(c, "EPSV\r\nPASV\r\nEPSV\r\n") },
	"reset":         func(_ *party, raw *net.TCPConn, _ net.Conn) { _ = raw.SetLinger(0); _ = raw.Close() },
	"close":         func(_ *party, raw *net.TCPConn, _ net.Conn) { _ = raw.Close() },
	"half close":    func(_ *party, raw *net.TCPConn, _ net.Conn) { _ = raw.CloseWrite() },
	"ABOR, reset": func(c *party, raw *net.TCPConn, _ net.Conn) {
		say(c, "ABOR\r\n")
		_ = raw.SetLinger(0)
		_ = raw.Close()
	},
	"data reset":      func(_ *party, _ *net.TCPConn, d net.Conn) { resetOf(d) },
	"data reset, AB":  func(c *party, _ *net.TCPConn, d net.Conn) { resetOf(d); say(c, "ABOR\r\n") },
	"ABOR, data gone": func(c *party, _ *net.TCPConn, d net.Conn) { say(c, "ABOR\r\n"); resetOf(d) },
	"both reset":      func(_ *party, raw *net.TCPConn, d net.Conn) { resetOf(d); _ = raw.SetLinger(0); _ = raw.Close() },
	"a TLS alert": func(c *party, raw *net.TCPConn, _ net.Conn) {
		_, _ = raw.Write([]byte("\x15\x03\x03\x00\x02\x02\x28"))
		_ = raw.CloseWrite()
	},
}

func say(c *party, text string) { _, _ = io.WriteString(c.Conn, text) }

func resetOf(d net.Conn) {
	if d == nil {
		return
	}
	if tc, ok := d.(*tls.Conn); ok {
		d = tc.NetConn()
	}
	_ = d.(*net.TCPConn).SetLinger(0)
	_ = d.Close()
}

// A client breaks off in every state and in every way, with and without TLS. There must be no panic, no
// half-written file with its final name, no goroutine, socket or file left (noLeaks in serve), and other
// clients must be served.
func TestBreakingOffAnywhere(t *testing.T) {
	testutil.Long(t)
	for name, secure := range map[string]bool{"clear": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			fsys := fsroot.NewMem()
			write(t, fsys, "/big", string(random(8<<20)))
			// After QUIT the server still waits so long for the data connection of a transfer.
			s := serve(t, crowded(t, fsys), withTLS, func(o *server.Options) { o.DataTimeout = 50 * time.Millisecond })
			var dirs []string
			for at, reach := range moments {
				for how, off := range breaks {
					dir := fmt.Sprintf("/%s/%s", at, how) // a session may end after the next one has begun
					write(t, fsys, dir+"/old", "old")
					dirs = append(dirs, dir)
					s.breakOff(t, secure, dir, reach, off)
				}
			}
			s.login(t, "rw").cmd("PWD", 257)
			check(t, s.Close())
			for _, dir := range dirs {
				appended := strings.HasPrefix(dir, "/APPE") // which writes to the file itself
				if got := read(t, fsys, dir+"/old"); got != "old" && !(appended && got == "oldhalf a fi") {
					t.Errorf("%s: the file is %q", dir, got)
				}
				if got, err := afero.ReadFile(fsys, dir+"/up"); err == nil && (secure || string(got) != "" && string(got) != "half a fi") {
					t.Errorf("%s: up contains %d bytes", dir, len(got))
				}
			}
			if strings.Contains(s.log.String(), "panic") {
				t.Errorf("the log says %s", s.log)
			}
		})
	}
}

func (s *site) breakOff(t *testing.T, secure bool, dir string, reach func(*party) net.Conn, off func(*party, *net.TCPConn, net.Conn)) {
	t.Helper()
	c := &party{ctl: s.connect(t)}
	raw := c.Conn.(*net.TCPConn)
	if secure {
		sec := c.secure(clientConfig(tls.VersionTLS13))
		c.ctl, c.cfg = sec.ctl, sec.cfg
		c.cmd("PBSZ 0", 200)
		c.cmd("PROT P", 200)
	}
	if !strings.HasPrefix(dir, "/USER") && !strings.HasPrefix(dir, "/PASS") {
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		c.cmd("TYPE I", 200)
		c.cmd("CWD "+dir, 250)
	}
	d := reach(c)
	off(c, raw, d)
	_ = raw.CloseWrite()
	if tc, ok := d.(*tls.Conn); ok {
		d = tc.NetConn() // no close_notify: an upload is never whole
	}
	if d != nil {
		_ = d.Close()
	}
	_ = raw.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, raw); isTimeout(err) {
		t.Errorf("%s: the session continues without its client", dir)
	}
	_ = raw.Close()
}

// crowded is fsys with a directory /many that takes long to list.
func crowded(t *testing.T, fsys afero.Fs) afero.Fs {
	t.Helper()
	check(t, fsys.MkdirAll("/many", 0o755))
	for i := range 3000 {
		check(t, afero.WriteFile(fsys, "/many/"+strings.Repeat("n", 100)+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676)), nil, 0o644))
	}
	return fsys
}
