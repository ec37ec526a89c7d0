package bench

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// swallow lets the kernel drop what comes on a clear connection, to its end: nothing
// is copied, so that the processor is left to the server. ok is false where it can't.
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
	room := chunk() // the kernel writes nothing into it (MSG_TRUNC, tcp(7))
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
