package bench

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"time"
)

// oneTurn is how many bytes a session discards before the others have their turn. Without that, a server that sends as fast
// as they are discarded would keep a session busy, and what others wait for would look late.
const oneTurn = 256 << 10

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
	over := false
	room := chunk()[:oneTurn] // with MSG_TRUNC the kernel does not write to it (tcp(7))
	some := func(fd uintptr) bool {
		for turn := n + oneTurn; n < turn; {
			m, _, err := syscall.Recvfrom(int(fd), room, syscall.MSG_TRUNC)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				return false
			case err != nil, m == 0:
				failed, over = err, true
				return true
			}
			if n == 0 {
				first = time.Now()
			}
			n += int64(m)
		}
		return true
	}
	for !over && err == nil {
		err = raw.Read(some)
		runtime.Gosched()
	}
	if err == nil {
		err = failed
	}
	return n, first, true, err
}
