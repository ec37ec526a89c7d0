package dtp

import (
	"net"
	"syscall"
)

// ackAtOnce has what comes next acknowledged at once. A peer that leaves Nagle's
// algorithm on, as OpenSSL's users mostly do, waits for that with each small record
// behind its handshake: 40 ms for every small file.
func ackAtOnce(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
		})
	}
}
