package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"miniftp/ftp"
)

// publicIP is the address that 227 replies announce. The name of a host is looked up
// beside the sessions, none of which waits for it: an old answer serves until there is
// a new one, and before the first one clients are told the address that they called.
type publicIP struct {
	host   string
	lookup func(ctx context.Context, host string) (netip.Addr, error)

	mu      sync.Mutex
	ip      netip.Addr
	next    time.Time // of the next lookup
	running bool
}

// newPublicIP takes over what old knows of the same host.
func newPublicIP(host string, old *settings) *publicIP {
	if old != nil && old.public.host == host {
		return old.public
	}
	p := &publicIP{host: host, lookup: LookupPublicIP}
	if ip, err := netip.ParseAddr(host); err == nil {
		p.ip = ip
	}
	return p
}

// LookupPublicIP returns the IPv4 address of a host, as Options.PublicIP is looked up.
func LookupPublicIP(ctx context.Context, host string) (netip.Addr, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err == nil && len(ips) == 0 {
		err = errors.New("it has no IPv4 address")
	}
	if err != nil {
		return netip.Addr{}, err
	}
	return ips[0].Unmap(), nil
}

// publicAddr returns the address to announce to a client, if it is another one than
// that which the client called.
func (s *session) publicAddr() (netip.Addr, bool) {
	if s.set.PublicIP == "" || !s.set.PublicIPAlways && isNear(s.control) {
		return netip.Addr{}, false
	}
	ip := s.srv.publicIP(s.set)
	return ip, ip.IsValid()
}

// isNear reports whether a client has reached this server without leaving the local
// network, where the public address may lead nowhere.
func isNear(c ftp.Control) bool {
	return c.Remote.Addr().IsLoopback() || isPrivate(c.Remote.Addr()) && isPrivate(c.Local.Addr())
}

func isPrivate(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLinkLocalUnicast() }

// publicIP returns the address as far as it is known, and has it looked up again when it
// is time for that.
func (s *Server) publicIP(set *settings) netip.Addr {
	p := set.public
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := netip.ParseAddr(p.host); err != nil && p.host != "" && !p.running && !time.Now().Before(p.next) {
		p.running = s.aside(func() { s.lookUp(p, set) })
	}
	return p.ip
}

// aside runs f on a goroutine that Close and Shutdown wait for, and reports whether it
// does: a server that ends begins nothing.
func (s *Server) aside(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.turning.Go(f)
	return true
}

func (s *Server) lookUp(p *publicIP, set *settings) {
	ctx, cancel := context.WithTimeout(s.ctx, publicIPWait)
	defer cancel()
	ip, err := p.lookup(ctx, p.host)
	p.mu.Lock()
	p.running = false
	if err != nil {
		p.next = time.Now().Add(publicIPRetry)
	} else {
		p.ip, p.next = ip, time.Now().Add(publicIPAge)
	}
	ip = p.ip
	p.mu.Unlock()
	if err != nil && s.ctx.Err() == nil {
		said := "the address that they called"
		if ip.IsValid() {
			said = ip.String()
		}
		set.Log.Warn("can't look up the public address", "host", p.host, "err", err, "clients_are_told", said)
	}
}
