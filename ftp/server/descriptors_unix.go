//go:build unix

package server

import (
	"net"
	"syscall"
)

// Descriptors that sessions keep from newcomers, who would take the last ones: those inside
// need some for their data connections and files.
const (
	reservePart = 4  // of the limit, one in so many
	reserveMost = 64 // descriptors
)

// descriptorsScarce reports whether conn has one of the descriptors that are reserved. The
// system gives out the lowest that is free, so all below it are in use.
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
