//go:build unix

package dtp

import "syscall"

// canDrain says whether a listener may stay open between leases. That requires to empty its backlog
// without waiting.
const canDrain = true

// drain closes every connection in the backlog: a caller that came before the address was announced is not
// the peer of this lease. It reports whether the listener still works.
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
