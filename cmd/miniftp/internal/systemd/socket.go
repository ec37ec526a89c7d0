package systemd

import "net"

// Socket is a listening TCP socket of systemd.
type Socket struct {
	Name string // FileDescriptorName= of its unit; without one, the name of the unit
	net.Listener
}
