package dtp

import "syscall"

const ipBindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, Linux 4.2

// bindLate makes bind choose an address only and leave the port to connect. A port that
// bind chooses must be unused by all connections of the address, those in TIME_WAIT
// included, so that a server that calls its clients would fail with EADDRINUSE after some
// 28,000 transfers a minute, or sooner beside other programs. connect needs no more than
// an unused pair of addresses and ports. Errors are ignored: the call works without.
func bindLate(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	})
}
