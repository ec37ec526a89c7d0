package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// fewPorts gives a server n passive ports.
func fewPorts(t testing.TB, n uint16) func(*server.Options) {
	lo := testutil.FreePorts(t, int(n))
	return func(o *server.Options) {
		o.PassivePorts = dtp.PortRange{First: lo, Last: lo + n - 1}
		o.MaxSessions, o.MaxSessionsPerIP, o.MaxWaiting = 1000, server.NoLimit, server.NoLimit
	}
}

// loginFrom is login from another address of loopback.
func (s *site) loginFrom(t testing.TB, from netip.Addr) *ctl {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := d.Dial("tcp", s.addr)
	check(t, err)
	c := newCtl(t, conn)
	c.want(220)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	return c
}

// dataFrom dials the port of a 229 from the address of the session.
func (c *ctl) dataFrom(r ftp.Reply) *net.TCPConn {
	c.t.Helper()
	port, err := ftp.Parse229(r.Text())
	check(c.t, err)
	from := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	to := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	conn, err := d.Dial("tcp", netip.AddrPortFrom(to, port).String())
	check(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// 300 sessions of 300 addresses use one passive port at the same time. Each of them has it before any of them calls, and
// each gets its own file.
func TestOnePassivePortForManyAddresses(t *testing.T) {
	testutil.Long(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	const n = 300
	raiseLimit(t, 4*n)
	fsys, _ := disk(t)
	s := serve(t, fsys, fewPorts(t, 1))
	var all []*ctl
	for i := range n {
		write(t, fsys, fmt.Sprintf("/f%d", i), strings.Repeat(fmt.Sprint(i, " "), 100+i))
		all = append(all, s.loginFrom(t, netip.AddrFrom4([4]byte{127, 0, byte(1 + i/200), byte(1 + i%200)})))
	}
	for range 2 {
		var offers []ftp.Reply
		for _, c := range all {
			offers = append(offers, c.cmd("EPSV", 229))
		}
		if u := s.PassivePorts(); u.Leases != n || u.InUse != 1 || u.Size != 1 {
			t.Errorf("%+v", u)
		}
		var data []*net.TCPConn
		for i, c := range all {
			if i%2 == 0 {
				c.send(fmt.Sprintf("RETR /f%d", i)) // some call before the transfer command, and some after it
			}
			data = append(data, c.dataFrom(offers[i]))
		}
		for i, c := range all {
			if i%2 == 1 {
				c.send(fmt.Sprintf("RETR /f%d", i))
			}
			c.want(150)
			if got := string(rest(data[i])); got != strings.Repeat(fmt.Sprint(i, " "), 100+i) {
				t.Errorf("session %d got %.40q", i, got)
			}
			c.want(226)
		}
	}
	if u := s.PassivePorts(); u.Leases != 0 || u.InUse != 0 {
		t.Errorf("%+v", u)
	}
}

// 300 sessions of one address use 8 ports, in turns.
func TestFewPassivePortsForOneAddress(t *testing.T) {
	testutil.Long(t)
	parallel(t)
	const n, each = 300, 3
	raiseLimit(t, 4*n)
	fsys, _ := disk(t)
	content := random(20_000)
	write(t, fsys, "/f", string(content))
	s := serve(t, fsys, fewPorts(t, 8))
	var sessions []*ctl
	for range n {
		sessions = append(sessions, s.login(t, "rw"))
	}
	var all sync.WaitGroup
	for i, c := range sessions {
		all.Go(func() {
			for range each {
				r := c.cmd("EPSV")
				if r.Code != 229 {
					t.Errorf("session %d: %v", i, r)
					return
				}
				d := c.dataFrom(r)
				c.cmd("RETR /f", 150)
				if b := rest(d); !bytes.Equal(b, content) {
					t.Errorf("session %d got %d bytes", i, len(b))
				}
				c.want(226)
				_ = d.Close()
			}
		})
	}
	all.Wait()
	if u := s.PassivePorts(); u.Leases != 0 || u.Waiting != 0 || u.Size != 8 {
		t.Errorf("%+v", u)
	}
}

// portless returns a server with one port, a session that has it, and one of the same address that waits for it.
func portless(t *testing.T, command string) (s *site, has, waits *ctl) {
	t.Helper()
	s = serve(t, oneFile(t, "x"), fewPorts(t, 1))
	has, waits = s.login(t, "rw"), s.login(t, "rw")
	has.cmd("EPSV", 229)
	waits.send(command)
	s.awaitWaiting(t, 1)
	return s, has, waits
}

func (s *site) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(patience); s.PassivePorts().Waiting != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v, want %d waiting", s.PassivePorts(), n)
		}
	}
}

// What ends the wait of a session for a port, and that it ends long before the time for it is over.
func TestWaitForPortEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *site, has, waits *ctl){
		"the client is gone": func(t *testing.T, _ *site, _, waits *ctl) { check(t, waits.Close()) },
		"the client's side is closed": func(t *testing.T, _ *site, _, waits *ctl) {
			check(t, waits.Conn.(*net.TCPConn).CloseWrite())
			waits.closed()
		},
		"ABOR": func(_ *testing.T, _ *site, _, waits *ctl) {
			waits.cmd("ABOR", 425)
			waits.want(226)
			waits.cmd("NOOP", 200)
		},
		"the server closes": func(t *testing.T, s *site, _, waits *ctl) {
			check(t, s.Close())
			waits.want(421)
		},
		"the server shuts down": func(t *testing.T, s *site, _, waits *ctl) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			check(t, s.Shutdown(ctx))
			waits.want(421)
		},
		"it gets the port, and others wait": func(t *testing.T, s *site, has, waits *ctl) {
			third := s.login(t, "rw")
			third.send("PASV")
			s.awaitWaiting(t, 2)
			has.cmd("NOOP", 200) // they don't delay others
			has.cmd("QUIT", 221)
			waits.want(229)
			waits.cmd("REIN", 220)
			third.want(227)
		},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			s, has, waits := portless(t, "EPSV")
			end(t, s, has, waits)
			s.awaitWaiting(t, 0)
			if d := time.Since(start); d > 9*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// An administrator can end a session that waits for a port. It is not shown as one that transfers.
func TestKickWaitingForPort(t *testing.T) {
	seen := &controls{}
	s := serve(t, oneFile(t, "x"), fewPorts(t, 1), func(o *server.Options) { o.Observer = seen })
	has := s.login(t, "rw")
	has.cmd("EPSV", 229)
	waits := s.login(t, "rw")
	waits.send("PASV")
	s.awaitWaiting(t, 1)
	id := idOf(seen)
	if _, _, ok := s.Progress(id); ok {
		t.Error("it transfers")
	}
	if !s.Kick(id) {
		t.Fatal("no such session")
	}
	waits.want(421)
	s.awaitWaiting(t, 0)
}

// A script that sends all its commands at once gets its port, too, and the commands are run in order.
func TestScriptWaitsForPort(t *testing.T) {
	s, has, waits := portless(t, "EPSV\r\nSYST\r\nQUIT")
	check(t, waits.Conn.(*net.TCPConn).CloseWrite())
	has.cmd("NOOP", 200)
	has.cmd("ABOR", 226)
	waits.want(229)
	waits.want(215)
	waits.want(221)
	s.awaitWaiting(t, 0)
}

// Many processes of stock clients on one address, at once, with one passive port: all of them succeed.
func TestStockClientsOnOnePort(t *testing.T) {
	testutil.Long(t)
	content := random(300_000)
	for _, c := range []struct {
		program string
		args    func(addr, to string) []string
	}{
		{"curl", func(addr, to string) []string {
			return []string{"-sS", "--user", "rw:rw", "-o", to, "ftp://" + addr + "/f"}
		}},
		{"lftp", func(addr, to string) []string {
			return []string{"-c", "set net:max-retries 1; open -u rw,rw ftp://" + addr + "; get f -o " + to}
		}},
		{"python3", func(addr, to string) []string {
			host, port, _ := net.SplitHostPort(addr)
			return []string{"-c", "import ftplib, sys\nf = ftplib.FTP(timeout=50)\nf.connect(sys.argv[1], int(sys.argv[2]))\nf.login('rw', 'rw')\n" +
				"with open(sys.argv[3], 'wb') as out: f.retrbinary('RETR f', out.write)\nf.quit()", host, port, to}
		}},
	} {
		t.Run(c.program, func(t *testing.T) {
			program := peers.Client(t, c.program)
			fsys, _ := disk(t)
			write(t, fsys, "/f", string(content))
			s := serve(t, fsys, fewPorts(t, 1))
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
			defer cancel()
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					to := filepath.Join(dir, fmt.Sprint(i))
					cmd := exec.CommandContext(ctx, program, c.args(s.addr, to)...)
					cmd.Env = append(os.Environ(), "HOME="+dir)
					out, err := cmd.CombinedOutput()
					got, _ := os.ReadFile(to)
					if err != nil || !bytes.Equal(got, content) {
						t.Errorf("process %d: %v, %d bytes\n%s", i, err, len(got), out)
					}
				})
			}
			all.Wait()
		})
	}
}
