package dtp

import "syscall"

const ipBindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, Linux 4.2

// bindLate makes bind set only the address and leaves the port to connect. bind needs a port that no
// connection of the address uses, not even one in TIME_WAIT, so a server in active mode would fail
// with EADDRINUSE after some 28,000 transfers a minute. connect only needs an unused pair of
// addresses and ports. Errors are ignored, since the call works without the option.
func bindLate(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	})
}
