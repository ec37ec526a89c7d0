//go:build unix

package dtp

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// sockaddr returns sa in the form of AddrPort: with the zone of a link-local address, which names the
// interface.
func sockaddr(sa syscall.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *syscall.SockaddrInet4:
		return AddrPort(&net.TCPAddr{IP: a.Addr[:], Port: a.Port})
	case *syscall.SockaddrInet6:
		return AddrPort(&net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zone(a.ZoneId)})
	}
	return netip.AddrPort{}
}

// zone returns the name that package net gives to the zone with that index.
func zone(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
