package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// loopbackProxy admits balancers on this host.
func loopbackProxy(o *server.Options) {
	o.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// header returns a PROXY header.
func header(t *testing.T, version byte, from, to string) []byte {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", from)
	check(t, err)
	b, err := net.ResolveTCPAddr("tcp", to)
	check(t, err)
	text, err := proxyproto.HeaderProxyFromAddrs(version, a, b).Format()
	check(t, err)
	return text
}

// throughProxy connects as a balancer does, with a header.
func throughProxy(t *testing.T, s *site, head []byte) *ctl {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write(head)
	check(t, err)
	return newCtl(t, conn)
}

// The header of a balancer says who the client is and what to announce: limits, the log and the guard of data connections
// go by it.
func TestProxyProtocol(t *testing.T) {
	events := &controls{}
	deny := func(o *server.Options) {
		o.Observer = events
		o.Deny = []netip.Prefix{netip.MustParsePrefix("203.0.113.66/32")}
	}
	s := serve(t, oneFile(t, "content"), loopbackProxy, deny)
	for _, version := range []byte{1, 2} {
		c := throughProxy(t, s, header(t, version, "203.0.113.9:4000", "198.51.100.1:21"))
		c.want(220)
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		if r := c.cmd("STAT", 211); !strings.Contains(strings.Join(r.Lines, "\n"), "203.0.113.9:4000") {
			t.Errorf("STAT: %q", r.Lines)
		}
		addr, err := ftp.Parse227(c.cmd("PASV", 227).Text())
		check(t, err)
		if addr.Addr().String() != "198.51.100.1" {
			t.Errorf("announced %v", addr)
		}
		fetch := func(head []byte) (string, ftp.Code) {
			port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
			check(t, err)
			d, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			check(t, err)
			defer d.Close()
			_, err = d.Write(head)
			check(t, err)
			c.send("RETR f")
			r := c.reply()
			if r.Code != 150 {
				return "", r.Code
			}
			got, err := io.ReadAll(d)
			check(t, err)
			return string(got), c.reply().Code
		}
		if got, code := fetch(header(t, version, "203.0.113.9:4001", "198.51.100.1:40000")); got != "content" || code != 226 {
			t.Errorf("through the balancer: %q, %d", got, code)
		}
		c.cmd("QUIT", 221)
	}
	throughProxy(t, s, header(t, 2, "203.0.113.66:4000", "198.51.100.1:21")).want(421)

	// What no balancer sends is closed without a reply.
	for _, bad := range [][]byte{[]byte("USER rw\r\n"), []byte("PROXY TCP4 nonsense\r\n"), bytes.Repeat([]byte("P"), 200), append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11"), 0xff, 0xff)} {
		c := throughProxy(t, s, bad)
		if b, err := io.ReadAll(c.Conn); len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %q, %v", bad, b, err)
		}
	}
	// A check whether the server is alive.
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).Format()
	check(t, err)
	throughProxy(t, s, local).want(220)
}

// A data connection whose header names another client is refused, as one from another host is.
func TestProxyProtocolStranger(t *testing.T) {
	s := serve(t, oneFile(t, "content"), loopbackProxy, func(o *server.Options) { o.DataTimeout = 300 * time.Millisecond })
	c := throughProxy(t, s, header(t, 2, "203.0.113.9:4000", "198.51.100.1:21"))
	c.want(220)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	for _, head := range [][]byte{header(t, 2, "203.0.113.10:4000", "198.51.100.1:4000"), []byte("not a header"), nil} {
		port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
		check(t, err)
		d, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		check(t, err)
		_, err = d.Write(head)
		check(t, err)
		c.send("RETR f")
		if head == nil {
			check(t, d.Close())
		}
		c.want(425)
		_ = d.Close()
	}
}

// What is announced to whom, in which order.
func TestAnnounced(t *testing.T) {
	first := testutil.FreePorts(t, 10)
	ports := dtp.PortRange{First: first, Last: first + 9}
	s := serve(t, fsroot.NewMem(), loopbackProxy, func(o *server.Options) {
		o.PassivePorts, o.AnnouncedPorts = ports, dtp.PortRange{First: 1001, Last: 1010}
		o.PublicIP = "192.0.2.1"
		o.PublicIPFor = []server.PublicIPRule{
			{Network: netip.MustParsePrefix("203.0.113.0/28"), Host: "192.0.2.2"},
			{Network: netip.MustParsePrefix("203.0.113.0/24"), Host: server.AsDialed},
		}
	})
	for from, want := range map[string]string{"203.0.113.9": "192.0.2.2", "203.0.113.99": "127.0.0.1", "198.51.100.7": "192.0.2.1"} {
		text := fmt.Sprintf("PROXY TCP4 %s 127.0.0.1 4000 21\r\n", from)
		c := throughProxy(t, s, []byte(text))
		c.want(220)
		c.cmd("USER rw", 331)
		c.cmd("PASS rw", 230)
		addr, err := ftp.Parse227(c.cmd("PASV", 227).Text())
		check(t, err)
		if addr.Addr().String() != "127.0.0.1" { // the header says what the client has reached
			t.Errorf("%s was told %v", from, addr)
		}
		if addr.Port() < 1001 || addr.Port() > 1010 {
			t.Errorf("announced port %d", addr.Port())
		}
		port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
		check(t, err)
		if port < 1001 || port > 1010 {
			t.Errorf("announced port %d", port)
		}
		if got := s.AnnounceTo(netip.MustParseAddr(from)); got != want {
			t.Errorf("to %s without a balancer: %s, want %s", from, got, want)
		}
	}
	for _, bad := range []server.Options{
		{AnnouncedPorts: dtp.PortRange{First: 1, Last: 2}},
		{PassivePorts: ports, AnnouncedPorts: dtp.PortRange{First: 1, Last: 2}},
		{PublicIPFor: []server.PublicIPRule{{Host: "192.0.2.1"}}},
		{PublicIPFor: []server.PublicIPRule{{Network: netip.MustParsePrefix("203.0.113.0/24")}}},
		{PublicIPFor: []server.PublicIPRule{{Network: netip.MustParsePrefix("203.0.113.0/24"), Host: "2001:db8::1"}}},
	} {
		bad.Auth = server.Static{}
		if _, err := server.New(bad); err == nil {
			t.Errorf("accepted: %+v", bad)
		}
	}
}

// balancers are the configurations of stock balancers: {control} is the port of control connections, {data} to {last} those of data
// connections, {server} the address of miniftp.
var balancers = map[string]struct{ args, config string }{
	"haproxy": {"-f {file} -db", `defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen control
  bind 127.0.0.1:{control}
  server a {server} send-proxy-v2
listen data
  bind 127.0.0.1:{data}-{last}
  server a 127.0.0.2 send-proxy-v2
`},
	"nginx": {"-c {file} -e {dir}/log", `load_module {root}/usr/lib/nginx/modules/ngx_stream_module.so;
master_process off; daemon off; pid {dir}/pid; error_log {dir}/log;
events {}
stream {
  proxy_protocol on;
  server { listen 127.0.0.1:{control}; proxy_pass {server}; }
  server { listen 127.0.0.1:{data}-{last}; proxy_pass 127.0.0.2:$server_port; }
}
`},
}

// Stock balancers pass control and passive data connections on, with a header.
func TestBalancers(t *testing.T) {
	for name, b := range balancers {
		t.Run(name, func(t *testing.T) {
			program := peers.Client(t, name)
			control := testutil.FreePorts(t, 4)
			data, last := control+1, control+3
			dir := t.TempDir()
			s := serveOn(t, "127.0.0.2:0", oneFile(t, "content"), loopbackProxy, func(o *server.Options) {
				o.PassivePorts = dtp.PortRange{First: data, Last: last}
			})
			text := strings.NewReplacer("{control}", fmt.Sprint(control), "{data}", fmt.Sprint(data), "{last}", fmt.Sprint(last), "{server}", s.addr, "{dir}", dir, "{root}", strings.TrimSuffix(program, "/usr/sbin/nginx")).Replace(b.config)
			file := filepath.Join(dir, "conf")
			check(t, os.WriteFile(file, []byte(text), 0o644))
			cmd := exec.Command(program, strings.Fields(strings.NewReplacer("{file}", file, "{dir}", dir).Replace(b.args))...)
			out := &bytes.Buffer{}
			cmd.Stdout, cmd.Stderr = out, out
			check(t, cmd.Start())
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			addr := fmt.Sprintf("127.0.0.1:%d", control)
			eventually(t, name+" to listen", func() bool {
				conn, err := net.Dial("tcp", addr)
				if err == nil {
					_ = conn.Close()
				}
				return err == nil
			})
			got, err := exec.Command("curl", "-sS", "-q", "--max-time", "20", "-u", "rw:rw", "ftp://"+addr+"/f").CombinedOutput()
			if err != nil || string(got) != "content" {
				t.Errorf("EPSV: %q, %v; %s", got, err, out)
			}
			got, err = exec.Command("curl", "-sS", "-q", "--max-time", "20", "--disable-epsv", "--no-ftp-skip-pasv-ip", "-u", "rw:rw", "ftp://"+addr+"/f").CombinedOutput()
			if err != nil || string(got) != "content" {
				t.Errorf("PASV: %q, %v; %s", got, err, out)
			}
		})
	}
}
