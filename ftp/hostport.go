package ftp

import (
	"fmt"
	"net/netip"
	"strconv"
)

// ParseHostPort parses the argument of PORT, "h1,h2,h3,h4,p1,p2" (RFC 959
// §5.3.2). All six must be numbers from 0 to 255; host names are not resolved.
// Blanks around a number are tolerated. Port 0 is refused with ErrSyntax.
func ParseHostPort(arg string) (netip.AddrPort, error) {
	six, rest, ok := sixNumbers(skipBlanks(arg))
	a := addrPort(six)
	if !ok || rest != "" || a.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%w: %q is not h1,h2,h3,h4,p1,p2", ErrSyntax, clipText(arg))
	}
	return a, nil
}

// FormatHostPort returns the argument of PORT for an IPv4 address, including one
// mapped into IPv6. It returns "" for any other address.
func FormatHostPort(a netip.AddrPort) string {
	ip := a.Addr().Unmap()
	if !ip.Is4() {
		return ""
	}
	h := ip.As4()
	six := [6]byte{h[0], h[1], h[2], h[3], byte(a.Port() >> 8), byte(a.Port())}
	b := make([]byte, 0, len("255,255,255,255,255,255"))
	for i, n := range six {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	return string(b)
}

// Parse227 returns the address in the text of a 227 reply. RFC 959 does not
// define the format of the text, and RFC 1123 §4.1.2.6 says to scan for the six
// numbers. So parentheses, text before the numbers and blanks between them are
// ignored. Numbers above 255 and port 0 are refused with ErrSyntax.
func Parse227(text string) (netip.AddrPort, error) {
	for i := 0; i < len(text); {
		if !isDigit(text[i]) {
			i++
			continue
		}
		six, rest, ok := sixNumbers(text[i:])
		if ok && !continues(rest) && addrPort(six).Port() != 0 {
			return addrPort(six), nil
		}
		for i < len(text) && isDigit(text[i]) {
			i++
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w: no address in %q", ErrSyntax, clipText(text))
}

// Format227 returns the text of a 227 reply. The address must be IPv4.
func Format227(a netip.AddrPort) string {
	return "Entering Passive Mode (" + FormatHostPort(a) + ")."
}

// sixNumbers parses six numbers from 0 to 255, separated by commas, at the start
// of s. It returns what follows them as rest.
func sixNumbers(s string) (six [6]byte, rest string, ok bool) {
	for i := range six {
		if i > 0 {
			if s == "" || s[0] != ',' {
				return six, s, false
			}
			s = skipBlanks(s[1:])
		}
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		v, err := strconv.ParseUint(s[:min(n, 4)], 10, 8)
		if err != nil || n > 3 {
			return six, s, false
		}
		six[i] = byte(v)
		s = skipBlanks(s[n:])
	}
	return six, s, true
}

// continues reports whether rest continues a list of numbers. The six numbers
// before it are then not an address.
func continues(rest string) bool {
	if rest == "" || rest[0] != ',' {
		return false
	}
	rest = skipBlanks(rest[1:])
	return rest != "" && isDigit(rest[0])
}

func addrPort(six [6]byte) netip.AddrPort {
	ip := netip.AddrFrom4([4]byte(six[:4]))
	return netip.AddrPortFrom(ip, uint16(six[4])<<8|uint16(six[5]))
}

func skipBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// clipText returns the start of s, short enough for an error to quote.
func clipText(s string) string { return s[:min(len(s), 80)] }
