package connect

import (
	"context"
	"net"
	"net/netip"
)

// Addresses returns the addresses of host, which may itself be an address.
func Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
