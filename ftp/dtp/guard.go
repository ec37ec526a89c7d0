package dtp

import (
	"fmt"
	"net/netip"

	"miniftp/ftp"
)

// Guard says with whom a data connection may be made. It is one policy for all
// four corners (RFC 2577):
//
//	          dials                                   listens
//	server    PORT to a third host: refused (bounce)  a stranger calls: dropped (theft)
//	user      227 names another host: not followed    a stranger calls: dropped
//
// The zero Guard trusts nobody but the peer of the control connection.
type Guard struct {
	DialAnyHost   bool // this end may call hosts other than the control connection's peer
	AcceptAnyHost bool // such hosts may call this end
	LowPorts      bool // ports below 1024 are fine
	// FXP lets other hosts take part, for copies from server to server: at ports from
	// 1024 on, whatever LowPorts says, and never at an address that means this host or
	// its link to whoever stands here, unless the peer has a loopback address itself.
	// With them no TLS session can be resumed, so none has to be.
	FXP bool
}

// mayDial returns the address to dial in place of addr, or why not.
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
		// What a server announces is often a private address behind NAT, and now
		// and then an attack: the host is known already, only the port is news.
		return netip.AddrPortFrom(peer, port), nil
	}
	return addr, &GuardError{Addr: addr, Why: "it is not the host that you called from"}
}

// mayCopy is mayDial for another server.
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

// mayAccept reports whether remote is the peer, or may call all the same.
func (g Guard) mayAccept(remote netip.AddrPort, peer netip.Addr) bool {
	return g.AcceptAnyHost || g.FXP || remote.Addr().Unmap() == peer
}

// copies reports whether a data connection with remote is one with another server.
func (g Guard) copies(remote netip.AddrPort, peer netip.Addr) bool {
	return g.FXP && remote.Addr().Unmap() != peer
}

// GuardError is an address that the Guard refuses.
type GuardError struct {
	Addr netip.AddrPort
	Why  string
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("a data connection to %v is refused: %s", e.Addr, e.Why)
}
