// Package testutil holds helpers for the tests of several packages. It imports none of these packages.
package testutil

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// The range for ports of servers that cannot be given a listener. It is below the range from
// which the system chooses ports for outgoing connections (32768 and up on Linux), so none of
// these can take a port between the moment it is chosen and the moment it is used.
const (
	firstPort = 12000
	lastPort  = 31999
)

// FreePorts returns the first of n consecutive free ports. Until the test ends, no other call
// returns one of them, in this process or another: UDP sockets with the same numbers reserve
// them.
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
	tb.Fatalf("found no %d consecutive free ports", n)
	return 0
}

// ClosedPort returns an address of this host on which no program listens while the test runs.
func ClosedPort(tb testing.TB) netip.AddrPort {
	tb.Helper()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), FreePorts(tb, 1))
}

// reserve reserves n ports from lo on, if all are free for TCP. The caller must release the result.
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
