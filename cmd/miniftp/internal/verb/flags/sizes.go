package flags

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// sizeUnits are the powers of a size's unit.
const sizeUnits = "kmgt"

// ParseSize reads a number of bytes: 1500, 500k, 1.5M, 2GB or 2GiB. A unit is a power of
// base, one that ends in i or iB a power of 1024.
func ParseSize(s string, base int64) (int64, error) {
	const most = 1e15
	digits := strings.ToLower(strings.TrimSpace(s))
	digits = strings.TrimSuffix(digits, "b")
	if cut, binary := strings.CutSuffix(digits, "i"); binary {
		digits, base = cut, 1024
		if digits == "" || !strings.ContainsAny(digits[len(digits)-1:], sizeUnits) {
			return 0, errors.New("not a size")
		}
	}
	unit := float64(1)
	if digits != "" {
		power := strings.IndexByte(sizeUnits, digits[len(digits)-1])
		for range power + 1 {
			unit *= float64(base)
		}
		if power >= 0 {
			digits = digits[:len(digits)-1]
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "0123456789.") != "" || !(n*unit <= most) {
		return 0, errors.New("not a size")
	}
	return int64(n * unit), nil
}

// ByteRate reads bytes per second: 1500, 500k, 2M or 2GiB.
func ByteRate(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := ParseSize(s, 1000)
	if err != nil {
		return 0, verb.Usagef("%s %q: a rate is written as 500k, 2M or 2MiB, in bytes per second", flag, s)
	}
	return n, nil
}

// FromEnv reports whether a flag's value is that of its environment variable.
func FromEnv(c *cli.Context, name string) bool {
	v, ok := os.LookupEnv(EnvName(name))
	b, err := strconv.ParseBool(v)
	if v == "" { // of a switch: off
		b, err = false, nil
	}
	if now, bad := strconv.ParseBool(c.String(name)); err == nil && bad == nil && now == b {
		return ok
	}
	return ok && v == c.String(name)
}

// Asked reports whether a flag stands on the command line.
func Asked(c *cli.Context, name string) bool { return c.IsSet(name) && !FromEnv(c, name) }

// IsOn reports whether a flag with a dataWord is given, with verbs or without.
func IsOn(c *cli.Context, name string) bool { w := c.String(name); return w != "" && w != "false" }

// PortRange reads LO-HI, or a single port.
func PortRange(flag, s string) (r [2]uint16, err error) {
	if s == "" {
		return r, nil
	}
	lo, hi, both := strings.Cut(s, "-")
	if !both {
		hi = lo
	}
	a, err1 := strconv.ParseUint(strings.TrimSpace(lo), 10, 16)
	b, err2 := strconv.ParseUint(strings.TrimSpace(hi), 10, 16)
	if err1 != nil || err2 != nil || a == 0 || a > b {
		return r, verb.Usagef("%s %q: a range is written as 40000-40100", flag, s)
	}
	return [2]uint16{uint16(a), uint16(b)}, nil
}
