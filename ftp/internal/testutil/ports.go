// Package testutil holds what the tests of several rooms need. It imports none of them.
package testutil

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// Ports for servers that can not be given a listener are picked from a range below the
// one from which the system takes ports itself (32768 and up on Linux): there no outgoing
// connection can take one between the moment it is picked and the moment it is used.
const (
	firstPort = 12000
	lastPort  = 31999
)

// FreePorts picks n ports in a row that are free, and returns the first. Until the test
// ends no other caller gets one of them, in this process or in another one: they are
// reserved by UDP sockets of the same numbers.
func FreePorts(tb testing.TB, n int) uint16 {
	tb.Helper()
	for range 1000 {
		lo := firstPort + rand.IntN(lastPort-firstPort-n)
		reserved, err := reserve(tb.Context(), lo, n)
		if err == nil {
			tb.Cleanup(func() { release(reserved) })
			return uint16(lo)
		}
	}
	tb.Fatalf("no %d free ports in a row", n)
	return 0
}

// ClosedPort is an address of this host at which nobody listens, for as long as the test
// runs.
func ClosedPort(tb testing.TB) netip.AddrPort {
	tb.Helper()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), FreePorts(tb, 1))
}

// reserve takes n ports from lo for the callers of FreePorts, if all are free for TCP.
func reserve(ctx context.Context, lo, n int) (reserved []net.PacketConn, err error) {
	defer func() {
		if err != nil {
			release(reserved)
		}
	}()
	for port := lo; port < lo+n; port++ {
		c, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return reserved, err
		}
		reserved = append(reserved, c)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return reserved, err
		}
		_ = l.Close()
	}
	return reserved, nil
}

func release(reserved []net.PacketConn) {
	for _, c := range reserved {
		_ = c.Close()
	}
}
