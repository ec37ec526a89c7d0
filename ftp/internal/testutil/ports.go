// Package testutil holds helpers for the tests of several packages. It imports none of these packages.
package testutil

import (
	"net/netip"
	"testing"

	"miniftp/internal/freeport"
)

// FreePorts returns the first of n consecutive free ports, which no other test takes until this one ends.
func FreePorts(tb testing.TB, n int) uint16 {
	tb.Helper()
	port, release, err := freeport.Reserve(tb.Context(), n)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return uint16(port)
}

// ClosedPort returns an address of this host on which no program listens while the test runs.
func ClosedPort(tb testing.TB) netip.AddrPort {
	tb.Helper()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), FreePorts(tb, 1))
}
