package ftptest

import (
	"net/netip"
	"testing"

	"miniftp/ftp/internal/testutil"
)

// ClosedPort returns an address of this host at which nobody listens, for tests of what
// happens then. No other test that asks for one, in this process or in another one, gets
// the same address before t ends.
func ClosedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	return testutil.ClosedPort(t)
}
