package dtp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"miniftp/ftp"
)

// Dial can use local ports that connections in TIME_WAIT still occupy, because connect chooses the port
// rather than bind.
func TestDialBindsLate(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("no such address here: %v", err)
			continue
		}
		defer l.Close()
		local := netip.MustParseAddr(host)
		m := NewManager(&Config{Side: ftp.ServerPI}, netip.AddrPortFrom(local, 2121), netip.AddrPortFrom(local, 40000), nil)
		if err := m.Dial(AddrPort(l.Addr())); err != nil {
			t.Fatal(err)
		}
		o, err := m.Take()
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			if on, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort); err != nil || on != 1 {
				t.Errorf("%s: IP_BIND_ADDRESS_NO_PORT is %d, %v", host, on, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if from := AddrPort(c.LocalAddr()).Addr(); from != local {
			t.Errorf("dialed from %v, want %v", from, local)
		}
	}
}
