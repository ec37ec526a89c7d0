package ftptest

import (
	"net"
	"syscall"
)

// fillBacklog makes a listener drop all calls from now on: its backlog is none, and one
// call stands in it that nobody takes.
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
