package ftptest

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent reports whether the other end has not yet acknowledged everything written to c.
func unsent(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	left := 0
	err = raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return err == nil && left > 0
}

// fillBacklog makes a listener ignore all further connections. It reduces the backlog to 0, which
// leaves room for a single connection, and opens that one itself.
func fillBacklog(l net.Listener, keep func(net.Conn) bool) bool {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), 0) }); err != nil || failed != nil {
		return false
	}
	c, err := dialTCP(l.Addr().String())
	return err == nil && keep(c)
}
