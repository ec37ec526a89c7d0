package bench

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// swallow makes the kernel discard all data of a connection without TLS. Nothing is copied, which leaves the
// processor to the server. ok is false if that is not possible.
func swallow(conn net.Conn) (n int64, first time.Time, ok bool, err error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, first, false, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, first, true, err
	}
	var failed error
	room := chunk() // with MSG_TRUNC the kernel does not write to it (tcp(7))
	err = raw.Read(func(fd uintptr) bool {
		for {
			m, _, err := syscall.Recvfrom(int(fd), room, syscall.MSG_TRUNC)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				return false
			case err != nil:
				failed = err
				return true
			case m == 0:
				return true
			}
			if n == 0 {
				first = time.Now()
			}
			n += int64(m)
		}
	})
	if err == nil {
		err = failed
	}
	return n, first, true, err
}
