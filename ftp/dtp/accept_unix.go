//go:build unix && !linux

package dtp

import "syscall"

// acceptBare accepts a connection as a descriptor that does not block.
func acceptBare(fd int) (int, syscall.Sockaddr, error) {
	syscall.ForkLock.RLock() // no program may be started before CloseOnExec
	c, sa, err := syscall.Accept(fd)
	if err == nil {
		syscall.CloseOnExec(c)
	}
	syscall.ForkLock.RUnlock()
	if err == nil {
		if err = syscall.SetNonblock(c, true); err != nil {
			_ = syscall.Close(c)
		}
	}
	return c, sa, err
}
