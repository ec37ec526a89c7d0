package ftp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ErrProtocol is returned for an EPRT whose network protocol is neither IPv4
// (1) nor IPv6 (2), or does not match its address. A server replies 522 (RFC
// 2428 §2).
var ErrProtocol = errors.New("network protocol not supported, use (1,2)")

// ParseEPRT parses the argument of EPRT, "|1|192.0.2.7|6446|" or
// "|2|2001:db8::7|6446|", with any delimiter from '!' to '~' (RFC 2428 §2).
// Host names, zones and port 0 are refused with ErrSyntax. See also
// ErrProtocol.
func ParseEPRT(arg string) (netip.AddrPort, error) {
	bad := func() (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("%w: %q is not |protocol|address|port|", ErrSyntax, clipText(arg))
	}
	if arg == "" || !isDelimiter(arg[0]) {
		return bad()
	}
	f := strings.SplitN(arg, arg[:1], 6) // "", protocol, address, port, ""
	if len(f) != 5 || f[4] != "" {
		return bad()
	}
	family, err := strconv.ParseUint(f[1], 10, 16)
	if err != nil {
		return bad()
	}
	if family != 1 && family != 2 {
		return netip.AddrPort{}, ErrProtocol
	}
	ip, err := netip.ParseAddr(f[2])
	if err != nil || ip.Zone() != "" {
		return bad()
	}
	if ip.Is4() != (family == 1) {
		return netip.AddrPort{}, ErrProtocol
	}
	port, ok := parsePort(f[3])
	if !ok {
		return bad()
	}
	return netip.AddrPortFrom(ip.Unmap(), port), nil
}

// FormatEPRT returns the argument of EPRT for a, or "" if a is not valid. A
// zone is left out because it has a meaning only on this host.
func FormatEPRT(a netip.AddrPort) string {
	ip := a.Addr().Unmap().WithZone("")
	if !ip.IsValid() {
		return ""
	}
	family := 2
	if ip.Is4() {
		family = 1
	}
	return fmt.Sprintf("|%d|%s|%d|", family, ip, a.Port())
}

// Parse229 returns the port in the text of a 229 reply, "(|||6446|)" (RFC 2428
// §3). Any delimiter is accepted, and the parentheses may be missing. A
// protocol and an address between the delimiters are ignored, because the data
// connection goes to the host of the control connection.
func Parse229(text string) (port uint16, err error) {
	if i := strings.LastIndexByte(text, '('); i >= 0 {
		if port, ok := extendedPort(text[i+1:]); ok {
			return port, nil
		}
	}
	for i := range len(text) {
		if isAlnum(text[i]) { // a letter is a delimiter only after a parenthesis, else part of a word
			continue
		}
		if port, ok := extendedPort(text[i:]); ok {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w: no port in %q", ErrSyntax, clipText(text))
}

// Format229 returns the text of a 229 reply.
func Format229(port uint16) string {
	return "Entering Extended Passive Mode (|||" + strconv.Itoa(int(port)) + "|)"
}

// extendedPort parses "|protocol|address|port|" at the start of s. It looks at
// 80 bytes at most, because the longest address has 45 characters.
func extendedPort(s string) (uint16, bool) {
	s = s[:min(len(s), 80)]
	if s == "" || !isDelimiter(s[0]) {
		return 0, false
	}
	f := strings.SplitN(s, s[:1], 5) // "", protocol, address, port, the rest
	if len(f) != 5 || f[1] != "" && f[1] != "1" && f[1] != "2" {
		return 0, false
	}
	if _, err := netip.ParseAddr(f[2]); err != nil && f[2] != "" {
		return 0, false
	}
	return parsePort(f[3])
}

func parsePort(s string) (uint16, bool) {
	if s == "" || len(s) > 5 || !isDigit(s[0]) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}

func isDelimiter(c byte) bool { return c >= 33 && c <= 126 }

func isAlnum(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
