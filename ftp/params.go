package ftp

import (
	"errors"
	"fmt"
	"strings"
)

// ParseType parses the argument of TYPE: A, A N, A T, I, L 8 or E (RFC 959
// §4.1.2, §5.3.2). A C (carriage control) and byte sizes other than 8 are refused.
func ParseType(arg string) (Type, error) {
	f := strings.Fields(strings.ToUpper(arg))
	if len(f) == 1 && len(f[0]) == 2 { // some devices send no blank: L8, AN
		f = []string{f[0][:1], f[0][1:]}
	}
	form := ""
	if len(f) == 2 {
		form = f[1]
	}
	if len(f) == 1 || len(f) == 2 {
		switch f[0] {
		case "A":
			if form == "" || form == "N" || form == "T" {
				return ASCII, nil
			}
		case "I":
			if form == "" {
				return Image, nil
			}
		case "L":
			if form == "8" {
				return Local8, nil
			}
		case "E":
			return EBCDIC, nil
		}
	}
	return 0, fmt.Errorf("%w: TYPE %q", ErrSyntax, arg)
}

// ParseStructure parses the argument of STRU (RFC 959 §5.3.2).
func ParseStructure(arg string) (Structure, error) {
	return parseLetter[Structure](arg, "FRP", "STRU")
}

// ParseTransferMode parses the argument of MODE (RFC 959 §5.3.2).
func ParseTransferMode(arg string) (TransferMode, error) {
	return parseLetter[TransferMode](arg, "SBCZ", "MODE")
}

// ParseProtection parses the argument of PROT (RFC 4217 §9). For the levels S and E
// of RFC 2228, which TLS does not offer, the error is errors.ErrUnsupported.
func ParseProtection(arg string) (Protection, error) {
	level, err := parseLetter[Protection](arg, "CPSE", "PROT")
	if err == nil && level > Private {
		return Clear, fmt.Errorf("PROT %q: %w", arg, errors.ErrUnsupported)
	}
	return level, err
}

// ParseAuth parses the argument of AUTH and returns the protection of data
// connections that follows from it. After AUTH TLS they are clear until PROT (RFC
// 4217 §4). AUTH TLS-P, and AUTH SSL of the drafts before that RFC, protect them.
func ParseAuth(arg string) (Protection, error) {
	switch strings.ToUpper(strings.Trim(arg, " ")) {
	case "TLS", "TLS-C":
		return Clear, nil
	case "TLS-P", "SSL":
		return Private, nil
	}
	return 0, fmt.Errorf("%w: AUTH %q", ErrSyntax, arg)
}

// parseLetter returns the index in letters of the letter in arg. Blanks around it are ignored.
func parseLetter[T ~uint8](arg, letters, verb string) (T, error) {
	a := strings.ToUpper(strings.Trim(arg, " "))
	if len(a) == 1 {
		if i := strings.Index(letters, a); i >= 0 {
			return T(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %s %q", ErrSyntax, verb, arg)
}
