package server

import (
	"fmt"
	"net/netip"
)

// within reports whether ip is in one of the networks; none is everywhere. An
// address that is not known, as of a pipe, is in no network.
func within(networks []netip.Prefix, ip netip.Addr) bool {
	return len(networks) == 0 || in(networks, ip)
}

func in(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("") // a prefix holds no address with a zone
	for _, n := range networks {
		if unmap(n).Contains(ip) {
			return true
		}
	}
	return false
}

// unmap is a network of IPv4 addresses where it is written with IPv6 ones.
func unmap(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n
}

// checkNetworks finds networks that hold nobody: a list that was meant to keep
// somebody out must not do nothing.
func checkNetworks(networks []netip.Prefix) error {
	for _, n := range networks {
		switch {
		case !n.IsValid():
			return fmt.Errorf("a network is not valid")
		case n.Addr().Is4In6() && n.Bits() < 96:
			return fmt.Errorf("the network %v is neither of IPv4 nor of IPv6", n)
		}
	}
	return nil
}
