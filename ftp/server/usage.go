package server

import "miniftp/ftp/dtp"

// PassivePorts returns how the ports for passive data connections are used. After a Reload that changes the range, it
// describes the new one.
func (s *Server) PassivePorts() dtp.PortsUsage { return s.set.Load().data.Ports.Usage() }
