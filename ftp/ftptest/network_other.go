//go:build !linux

package ftptest

import "net"

// fillBacklog can't be had.
func fillBacklog(net.Listener, func(net.Conn) bool) bool { return false }

// unsent can't be known: a reset waits as long as it may.
func unsent(*net.TCPConn) bool { return true }
