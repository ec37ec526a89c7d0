//go:build unix

package dtp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// canDrain reports whether drain works on this platform. A listener may stay open between leases only if its
// backlog can be emptied without waiting.
const canDrain = true

// drain closes every connection in the backlog: a host that connected before the address was announced is not
// the peer of this lease. drain reports whether the listener still works. A backlog longer than SOMAXCONN counts
// as a failure.
func (l *listener) drain() bool {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	err = raw.Control(func(fd uintptr) {
		for range syscall.SOMAXCONN {
			c, _, err := syscall.Accept(int(fd))
			switch err {
			case nil:
				_ = syscall.Close(c)
			case syscall.EINTR, syscall.ECONNABORTED:
			case syscall.EAGAIN:
				ok = true
				return
			default:
				return
			}
		}
	})
	return ok && err == nil
}

// uncalled reports whether the lease is an offer and no connection waits for it.
func (l *listener) uncalled() bool {
	if l.isShared() {
		return l.seat.uncalled()
	}
	raw, err := l.SyscallConn()
	if err != nil || l.state.Load() != offered {
		return false
	}
	none := false
	err = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		none = n == 0 && err == nil
	})
	return none && err == nil
}
