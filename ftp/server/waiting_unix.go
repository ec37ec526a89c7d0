//go:build unix

package server

import (
	"net"
	"syscall"
)

// input is what a control connection has to read.
type input uint8

const (
	nothing input = iota
	something
	hungUp
)

// waiting looks what has come on conn without reading or waiting.
func waiting(conn net.Conn) input {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nothing
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return hungUp
	}
	state := nothing
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0:
			state = something
		case err != syscall.EAGAIN && err != syscall.EINTR: // the end, or an error: reset, keepalive timed out
			state = hungUp
		}
	})
	if err != nil {
		return hungUp
	}
	return state
}

// mayPark reports whether awaitInput works for conn.
func mayPark(conn net.Conn) bool {
	_, ok := conn.(syscall.Conn)
	return ok
}

// awaitInput waits until there is something to read on conn, or its end, and leaves
// it there. A read deadline ends it with os.ErrDeadlineExceeded.
func awaitInput(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return syscall.EINVAL
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(nothingYet)
}

func nothingYet(fd uintptr) (over bool) {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN
}

// keepUrgent keeps urgent bytes in the stream of a control connection: Python's
// ftplib sends all of "ABOR" and its line end as urgent data, of which the last
// byte would be lost, and the line with it.
func keepUrgent(conn net.Conn) { urgentInline(conn, 1) }

// dropUrgent leaves urgent bytes out again: in the middle of a TLS record they
// would destroy it.
func dropUrgent(conn net.Conn) { urgentInline(conn, 0) }

func urgentInline(conn net.Conn, on int) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, on)
		})
	}
}
