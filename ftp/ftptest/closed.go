package ftptest

import (
	"net/netip"
	"testing"

	"miniftp/ftp/internal/testutil"
)

// ClosedPort returns an address of this host on which no program listens, for tests of failed
// connections. Until t ends, no other call returns the same address, in this process or another.
func ClosedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	return testutil.ClosedPort(t)
}
