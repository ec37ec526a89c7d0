package dtp

import "syscall"

// acceptBare accepts a connection as a descriptor that does not block.
func acceptBare(fd int) (int, syscall.Sockaddr, error) {
	return syscall.Accept4(fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
}
