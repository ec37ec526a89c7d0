//go:build !unix

package server

import "net"

// descriptorsScarce always returns false: there is no limit to check on this system.
func descriptorsScarce(net.Conn) bool { return false }
