//go:build !linux

package dtp

import "net"

// ackAtOnce does nothing: only Linux has this option.
func ackAtOnce(net.Conn) {}
