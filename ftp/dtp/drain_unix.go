//go:build unix

package dtp

import "syscall"

// canDrain: a port may stand open between leases only where what called on it
// meanwhile can be thrown out without waiting.
const canDrain = true

// drain drops every connection that waits in the backlog: whoever called before
// the address was told did not come for this lease. It reports whether the
// listener still works.
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
