//go:build !linux

package ftptest

import "net"

// fillBacklog can't be had.
func fillBacklog(net.Listener, func(net.Conn) bool) bool { return false }

// unsent can't be known here: beforeReset has to be enough.
func unsent(*net.TCPConn) bool { return false }
