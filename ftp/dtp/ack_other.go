//go:build !linux

package dtp

import "net"

// ackAtOnce is for Linux: elsewhere there is no such option.
func ackAtOnce(net.Conn) {}
