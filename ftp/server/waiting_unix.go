//go:build unix

package server

import (
	"net"
	"syscall"
)

// input is the state of the receiving side of a control connection.
type input uint8

const (
	inputNone input = iota
	inputReady
	inputClosed
)

// peekInput returns what conn has to read, without reading or waiting.
func peekInput(conn net.Conn) input {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return inputNone
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return inputClosed
	}
	state := inputNone
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0:
			state = inputReady
		case err != syscall.EAGAIN && err != syscall.EINTR: // closed, reset, or keepalive timed out
			state = inputClosed
		}
	})
	if err != nil {
		return inputClosed
	}
	return state
}

// mayPark reports whether awaitInput works with conn.
func mayPark(conn net.Conn) bool {
	_, ok := conn.(syscall.Conn)
	return ok
}

// awaitInput waits until conn has something to read or is closed, without reading it. At the read deadline it
// returns os.ErrDeadlineExceeded.
func awaitInput(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return syscall.EINVAL
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(inputArrived)
}

func inputArrived(fd uintptr) (over bool) {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN
}

// keepUrgent keeps urgent bytes in the stream of a control connection. Python's ftplib sends the whole line
// "ABOR\r\n" as urgent data. Its last byte would be lost otherwise, and the line would never end.
func keepUrgent(conn net.Conn) { urgentInline(conn, 1) }

// dropUrgent takes urgent bytes out of the stream again: in the middle of a TLS record they would corrupt it.
func dropUrgent(conn net.Conn) { urgentInline(conn, 0) }

// urgentInline sets SO_OOBINLINE.
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
