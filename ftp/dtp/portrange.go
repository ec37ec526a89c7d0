package dtp

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is a range of ports, First and Last included. The zero value means any free port.
type PortRange struct{ First, Last uint16 }

// ParsePortRange parses a range such as "40000-40100", or a single port.
func ParsePortRange(s string) (PortRange, error) {
	first, last, both := strings.Cut(s, "-")
	if !both {
		last = first
	}
	a, err1 := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	r := PortRange{uint16(a), uint16(b)}
	if err1 != nil || err2 != nil || r.IsZero() || r.check() != nil {
		return PortRange{}, fmt.Errorf("%q is not a range of ports such as 40000-40100", s)
	}
	return r, nil
}

// IsZero reports whether r means any free port.
func (r PortRange) IsZero() bool { return r == PortRange{} }

// Len returns the number of ports in r, or 0 if r means any free port.
func (r PortRange) Len() int {
	if r.IsZero() {
		return 0
	}
	return int(r.Last) - int(r.First) + 1
}

func (r PortRange) String() string {
	switch {
	case r.IsZero():
		return "any free port"
	case r.First == r.Last:
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// check returns an error for an empty range.
func (r PortRange) check() error {
	if r.First > r.Last || (r.First == 0) != (r.Last == 0) {
		return fmt.Errorf("the port range %d-%d is empty", r.First, r.Last)
	}
	return nil
}
