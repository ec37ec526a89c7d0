package ftp

import (
	"errors"
	"fmt"
	"strings"
)

// ParseType reads the argument of TYPE: A, A N, A T, I, L 8, E (RFC 959 §4.1.2,
// §5.3.2). A second parameter that files on disk do not have (A C) and any byte
// size other than 8 are refused.
func ParseType(arg string) (Type, error) {
	f := strings.Fields(strings.ToUpper(arg))
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

// ParseStructure reads the argument of STRU (RFC 959 §5.3.2).
func ParseStructure(arg string) (Structure, error) {
	return parseLetter[Structure](arg, "FRP", "STRU")
}

// ParseTransferMode reads the argument of MODE (RFC 959 §5.3.2).
func ParseTransferMode(arg string) (TransferMode, error) {
	return parseLetter[TransferMode](arg, "SBCZ", "MODE")
}

// ParseProtection reads the argument of PROT (RFC 4217 §9). The levels S and E of
// RFC 2228, which TLS does not have, are errors.ErrUnsupported.
func ParseProtection(arg string) (Protection, error) {
	level, err := parseLetter[Protection](arg, "CPSE", "PROT")
	if err == nil && level > Private {
		return Clear, fmt.Errorf("PROT %q: %w", arg, errors.ErrUnsupported)
	}
	return level, err
}

// ParseAuth reads the mechanism in the argument of AUTH and returns the protection
// of data connections that it brings along: TLS leaves them clear until PROT (RFC
// 4217 §4), while TLS-P, and SSL of the drafts before that RFC, protect them.
func ParseAuth(arg string) (Protection, error) {
	switch strings.ToUpper(strings.Trim(arg, " ")) {
	case "TLS", "TLS-C":
		return Clear, nil
	case "TLS-P", "SSL":
		return Private, nil
	}
	return 0, fmt.Errorf("%w: AUTH %q", ErrSyntax, arg)
}

// parseLetter reads one letter with any blanks around it.
func parseLetter[T ~uint8](arg, letters, verb string) (T, error) {
	a := strings.ToUpper(strings.Trim(arg, " "))
	if len(a) == 1 {
		if i := strings.Index(letters, a); i >= 0 {
			return T(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %s %q", ErrSyntax, verb, arg)
}
