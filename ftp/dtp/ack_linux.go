package dtp

import (
	"net"
	"syscall"
)

// ackAtOnce makes the kernel acknowledge the next bytes at once. A peer with Nagle's algorithm, as most
// programs with OpenSSL have it, waits for that acknowledgement after its handshake: 40 ms for
// every small file.
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
