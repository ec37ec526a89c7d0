package dtp

import (
	"fmt"
	"net/netip"

	"miniftp/ftp"
)

// Guard defines which hosts data connections may be made with. The same policy covers both ends and both
// stances (RFC 2577):
//
//	          dials                                       listens
//	server    PORT names a third host: refused (bounce)   a third host connects: dropped (theft)
//	user      227 names a third host: not dialed          a third host connects: dropped
//
// The zero Guard admits only the peer of the control connection.
type Guard struct {
	DialAnyHost   bool // this end may dial hosts other than the peer of the control connection
	AcceptAnyHost bool // such hosts may connect to this end
	LowPorts      bool // ports below 1024 may be dialed
	// Accept, if not nil, must also admit a connection from remote to local, an address of this end. It is for a
	// peer on this host, whose other users have the same address but other ports. It may wait briefly.
	Accept func(local, remote netip.AddrPort) bool
	// FXP admits other hosts, for copies from server to server. It never admits ports below 1024, nor
	// loopback, link-local, multicast and unspecified addresses, unless the peer itself has a
	// loopback address. A data connection with another host can't resume the TLS session of the
	// control connection, so it need not.
	FXP bool
}

// mayDial returns the address to dial for the announced address addr, or a *GuardError.
func (g Guard) mayDial(side ftp.Side, addr netip.AddrPort, peer netip.Addr) (netip.AddrPort, error) {
	host, port := addr.Addr().Unmap(), addr.Port()
	if host == peer.WithZone("") {
		host = peer // EPRT can't name the zone of a link-local address
	}
	if port == 0 || port < 1024 && !g.LowPorts {
		return addr, &GuardError{Addr: addr, Why: "ports below 1024 belong to other services"}
	}
	if g.DialAnyHost || host == peer {
		return netip.AddrPortFrom(host, port), nil
	}
	if g.FXP {
		return g.mayCopy(netip.AddrPortFrom(host, port), peer)
	}
	if side == ftp.UserPI {
		// A server behind NAT often announces its private address, and a hostile one
		// somebody else's. The client knows the host already and needs only the port.
		return netip.AddrPortFrom(peer, port), nil
	}
	return addr, &GuardError{Addr: addr, Why: "it is not the host that you called from"}
}

// mayCopy is mayDial for the address of another server (FXP).
func (g Guard) mayCopy(addr netip.AddrPort, peer netip.Addr) (netip.AddrPort, error) {
	host := addr.Addr()
	near := host.IsLoopback() || host.IsUnspecified() || host.IsLinkLocalUnicast() || host.IsMulticast()
	switch {
	case addr.Port() < 1024:
		return addr, &GuardError{Addr: addr, Why: "ports below 1024 belong to other services"}
	case near && !peer.IsLoopback():
		return addr, &GuardError{Addr: addr, Why: "it is an address of this host, or of its link alone"}
	}
	return addr, nil
}

// mayAccept reports whether a connection from remote to local may be accepted: it is the peer, or other hosts are
// admitted.
func (g Guard) mayAccept(local, remote netip.AddrPort, peer netip.Addr) bool {
	return (g.AcceptAnyHost || g.FXP || remote.Addr().Unmap() == peer) && (g.Accept == nil || g.Accept(local, remote))
}

// copies reports whether a data connection with remote is part of a copy from server to server.
func (g Guard) copies(remote netip.AddrPort, peer netip.Addr) bool {
	return g.FXP && remote.Addr().Unmap() != peer
}

// GuardError is returned for an address that the Guard does not admit.
type GuardError struct {
	Addr netip.AddrPort
	Why  string
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("a data connection to %v is refused: %s", e.Addr, e.Why)
}
