package guard

import (
	"net/netip"
	"testing"
)

func TestSite(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.66": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "fe80::1%lo": "invalid Prefix",
	} {
		if got := Site(netip.MustParseAddr(ip)).String(); got != want && want != "invalid Prefix" {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
	if Site(netip.MustParseAddr("fe80::1%lo")) == Site(netip.MustParseAddr("fe80::2%lo")) {
		t.Error("two neighbors have the same site")
	}
	if Site(netip.Addr{}).IsValid() {
		t.Error("the zero address has a site")
	}
}

// An IPv6 network of 64 bits counts as one address, because a host can usually use all its addresses.
func TestOrigin(t *testing.T) {
	for _, tt := range [][3]string{
		{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"},
		{"fe80::1%eth0", "fe80::1%eth0", "fe80::2%eth0"}, // neighbours share that network, but count separately
	} {
		a, same, other := netip.MustParseAddr(tt[0]), netip.MustParseAddr(tt[1]), netip.MustParseAddr(tt[2])
		if Origin(a) != Origin(same) || Origin(a) == Origin(other) {
			t.Errorf("%v: %v, %v, %v", tt, Origin(a), Origin(same), Origin(other))
		}
	}
	if Origin(netip.Addr{}).IsValid() {
		t.Error("the zero address has an origin")
	}
}
