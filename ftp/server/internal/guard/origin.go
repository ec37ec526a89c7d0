package guard

import "net/netip"

// Origin returns the address that limits count ip under. For IPv6 that is its network of 64 bits, because a
// host usually can use all addresses of that.
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

// Site returns the network of ip as one owner of many addresses may have it: 48 bits for IPv6, 24 for IPv4. It
// is coarser than Origin.
func Site(ip netip.Addr) netip.Prefix {
	bits := 24
	switch {
	case ip.Is6() && ip.IsLinkLocalUnicast(): // fe80::/48 holds all neighbours
		return netip.PrefixFrom(ip, ip.BitLen())
	case ip.Is6():
		bits = 48
	}
	p, _ := ip.WithZone("").Prefix(bits) // the zero Prefix for the zero Addr
	return p
}
