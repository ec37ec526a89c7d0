//go:build unix

package server

import (
	"net"
	"syscall"
)

// Descriptors are reserved for the admitted sessions, which need them for data connections and files. New
// connections must not take the last ones.
const (
	reservePart = 4  // the share of the limit is 1/reservePart,
	reserveMost = 64 // but at most so many descriptors
)

// descriptorsScarce reports whether conn has one of the reserved descriptors. The system always assigns the
// lowest free descriptor, so all lower ones are in use.
func descriptorsScarce(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	scarce := false
	err = raw.Control(func(fd uintptr) { scarce = reserved(uint64(fd), uint64(limit.Cur)) })
	return scarce && err == nil
}

func reserved(fd, limit uint64) bool {
	return fd+min(limit/reservePart, reserveMost) >= limit
}
