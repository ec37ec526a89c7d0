//go:build !linux

package ftptest

import "net"

// fillBacklog is implemented only for Linux.
func fillBacklog(net.Listener, func(net.Conn) bool) bool { return false }

// unsent is implemented only for Linux. Elsewhere, CutAfter waits beforeReset and no longer.
func unsent(*net.TCPConn) bool { return false }
