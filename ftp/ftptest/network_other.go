//go:build !linux

package ftptest

import "net"

// fillBacklog can't be had.
func fillBacklog(net.Listener, func(net.Conn) bool) bool { return false }
