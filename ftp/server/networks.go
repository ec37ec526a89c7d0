package server

import (
	"fmt"
	"net/netip"
)

// within reports whether ip is in one of the networks. No networks means everywhere. An unknown address, such
// as that of a pipe, is in no network.
func within(networks []netip.Prefix, ip netip.Addr) bool {
	return len(networks) == 0 || in(networks, ip)
}

func in(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("") // a prefix contains no address with a zone
	for _, n := range networks {
		if unmap(n).Contains(ip) {
			return true
		}
	}
	return false
}

// unmap returns the IPv4 network if n is an IPv4 network in IPv6 notation.
func unmap(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n
}

// checkNetworks returns an error for networks that contain no address: in Deny such a network would keep nobody out.
func checkNetworks(networks []netip.Prefix) error {
	for _, n := range networks {
		switch {
		case !n.IsValid():
			return fmt.Errorf("a network is not valid")
		case n.Addr().Is4In6() && n.Bits() < 96:
			return fmt.Errorf("the network %v is neither an IPv4 nor an IPv6 network", n)
		}
	}
	return nil
}
