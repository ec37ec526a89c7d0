package guard

import "net/netip"

// Origin is an address as limits count it: of IPv6 the network of 64 bits, since
// whoever has one address there has them all.
func Origin(ip netip.Addr) netip.Addr {
	if !ip.Is6() || ip.IsLinkLocalUnicast() { // all neighbours share fe80::/64
		return ip
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return p.Addr()
}

// Site is the network that an address belongs to as the owners of many addresses have
// them: 48 bits of IPv6, 24 of IPv4. It is coarser than Origin.
func Site(ip netip.Addr) netip.Prefix {
	bits := 24
	switch {
	case ip.Is6() && ip.IsLinkLocalUnicast(): // fe80::/48 are all neighbors
		return netip.PrefixFrom(ip, ip.BitLen())
	case ip.Is6():
		bits = 48
	}
	p, _ := ip.WithZone("").Prefix(bits) // the zero Prefix for the zero Addr
	return p
}
