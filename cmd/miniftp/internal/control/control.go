// Package control lets other processes see and manage a running server: over a socket of this host, and over a bucket
// whose state several servers share. It has both ends: Server and Node for serve, Client and Shared for the verbs.
//
// The socket carries HTTP/1.1 with JSON; docs/operating.md documents the events and sessions. It must not depend on any
// verb.
package control

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/server"
)

// The paths of the interface.
const (
	serverPath   = "/v1/server"
	sessionsPath = "/v1/sessions"
	kickPath     = "/v1/kick"
	drainPath    = "/v1/drain"
	reloadPath   = "/v1/reload"
	bansPath     = "/v1/bans"
	eventsPath   = "/v1/events"
)

// About describes a server.
type About struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	Draining bool      `json:"draining"` // admits no new sessions
	Sessions int       `json:"sessions"`

	Listen       []Listener    `json:"listen"`
	Certificates []Certificate `json:"certificates"` // the first one is for clients that name no host
}

// Listener is an address that a server listens on.
type Listener struct {
	Addr   string `json:"addr"`
	TLS    bool   `json:"tls"`          // clients begin with TLS
	Header bool   `json:"proxy_header"` // connections from this host begin with a PROXY header
}

// Reach returns the address at which this host reaches l.
func (l Listener) Reach() string {
	at, err := netip.ParseAddrPort(l.Addr)
	switch {
	case err != nil || !at.Addr().IsUnspecified():
		return l.Addr
	case at.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return net.JoinHostPort("localhost", strconv.Itoa(int(at.Port()))) // IPv4 if there is no IPv6
}

// Which selects sessions. Those that match all conditions are selected, but none if there is no condition.
type Which struct {
	IDs  []uint64 `json:"ids,omitempty"`
	User string   `json:"user,omitempty"`
	From string   `json:"from,omitempty"` // an address or a network
}

// match returns a function that reports whether a session is selected.
func (w Which) match() (func(in *sessions.Info) bool, error) {
	var network netip.Prefix
	if w.From != "" {
		var err error
		if network, err = ParseNetwork(w.From); err != nil {
			return nil, err
		}
	}
	ids := map[uint64]bool{}
	for _, id := range w.IDs {
		ids[id] = true
	}
	return func(in *sessions.Info) bool {
		from, _ := netip.ParseAddrPort(in.From)
		switch {
		case len(ids) == 0 && w.User == "" && w.From == "",
			len(ids) > 0 && !ids[in.ID],
			w.User != "" && w.User != in.User,
			w.From != "" && !network.Contains(from.Addr().Unmap().WithZone("")):
			return false
		}
		return true
	}, nil
}

// ParseNetwork parses an address or a network, such as 192.0.2.7 or 192.0.2.0/24.
func ParseNetwork(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, verb.Usagef("%q is not an IP address or network, such as 192.0.2.7 or 192.0.2.0/24", s)
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// Ban is a ban of an address or, if User is not empty, of a user at an address.
type Ban struct {
	Addr  string    `json:"addr"` // IPv6: of a network of 64 bits
	User  string    `json:"user,omitempty"`
	Until time.Time `json:"until"`
}

// name returns the name that the server uses for the ban.
func (b Ban) name() string {
	if b.User == "" {
		return b.Addr
	}
	return b.Addr + " " + b.User
}

// banOf is the inverse of Ban.name.
func banOf(b server.Ban) Ban {
	addr, user, _ := strings.Cut(b.Name, " ")
	return Ban{addr, user, b.Until.Round(time.Second)}
}

// banOrder is a request to ban.
type banOrder struct {
	Ban
	Seconds float64 `json:"seconds,omitempty"`
}

// Reloaded is the result of a reload. If there are mistakes, nothing has changed.
type Reloaded struct {
	Mistakes []string `json:"mistakes"`
	Warnings []string `json:"warnings"`
	Restart  []string `json:"restart"` // settings that have changed in the file, but need a restart
	Users    int      `json:"users"`
}

// refusal is the body of a reply that reports an error.
type refusal struct {
	Error string `json:"error"`
	Exit  int    `json:"exit"`
}

// Error is an error that the server has reported.
type Error struct {
	text string
	exit int
}

func (e *Error) Error() string { return e.text }

// VerbExit returns the exit code that explains the error; see verb.ExitCode.
func (e *Error) VerbExit() int { return e.exit }

// failed returns an error with an exit code.
func failed(exit int, format string, args ...any) error {
	return &Error{fmt.Sprintf(format, args...), exit}
}

// ErrNoServer is returned if no server can be found.
var ErrNoServer = errors.New("no running server was found")

// NewBan returns a ban of an address or, if user is not empty, of a user at an address.
func NewBan(addr, user string) (Ban, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return Ban{}, verb.Usagef("%q is not an IP address, such as 192.0.2.7", addr)
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !ip.IsLinkLocalUnicast() { // a host usually has all addresses of its network
		p, err := ip.Prefix(64)
		if err != nil {
			return Ban{}, err
		}
		ip = p.Addr()
	}
	return Ban{Addr: ip.String(), User: user}, nil
}
