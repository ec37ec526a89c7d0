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

// publicIP is the address that 227 replies announce. A host name is looked up in the background, and no session
// waits for that. Until there is a new answer the old one is used; before the first one, clients get the
// address that they have connected to.
type publicIP struct {
	host   string
	lookup func(ctx context.Context, host string) (netip.Addr, error)

	mu      sync.Mutex
	ip      netip.Addr
	next    time.Time // no lookup before this time
	running bool
}

// AsDialed is the Host of a PublicIPRule whose clients get the address that they have connected to.
const AsDialed = "as-dialed"

// PublicIPRule says which address to announce in 227 replies to the clients of a network.
type PublicIPRule struct {
	Network netip.Prefix
	Host    string // an IPv4 address, a host that has one, or AsDialed
}

// hostsOf returns the hosts of the rules that have to be looked up or announced.
func hostsOf(rules []PublicIPRule) (hosts []string) {
	for _, r := range rules {
		if r.Host != AsDialed {
			hosts = append(hosts, r.Host)
		}
	}
	return hosts
}

// publicIPs returns the publicIP of each host of the options.
func publicIPs(o *Options, old *settings) map[string]*publicIP {
	all := map[string]*publicIP{}
	for _, host := range append(hostsOf(o.PublicIPFor), o.PublicIP) {
		all[host] = newPublicIP(host, old)
	}
	return all
}

// newPublicIP returns the publicIP of a host. It is that of old if that has the same host.
func newPublicIP(host string, old *settings) *publicIP {
	if old != nil && old.public[host] != nil {
		return old.public[host]
	}
	p := &publicIP{host: host, lookup: LookupPublicIP}
	if ip, err := netip.ParseAddr(host); err == nil {
		p.ip = ip
	}
	return p
}

// LookupPublicIP returns the IPv4 address of a host in the way in which the Server looks up Options.PublicIP.
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

// publicAddr returns the address to announce to the client, if it is not the local address of the connection. The
// first of these rules that fits decides: the address that the client has reached at a balancer, the rules of
// PublicIPFor, PublicIP.
func (s *session) publicAddr() (netip.Addr, bool) {
	if s.reached.IsValid() {
		return s.reached, s.reached.Is4()
	}
	for _, r := range s.set.PublicIPFor {
		if !in([]netip.Prefix{r.Network}, s.control.Remote.Addr().Unmap()) {
			continue
		}
		if r.Host == AsDialed {
			return netip.Addr{}, false
		}
		ip := s.srv.publicIP(s.set, r.Host)
		return ip, ip.IsValid()
	}
	if s.set.PublicIP == "" || !s.set.PublicIPAlways && isNear(s.control) {
		return netip.Addr{}, false
	}
	ip := s.srv.publicIP(s.set, s.set.PublicIP)
	return ip, ip.IsValid()
}

// isNear reports whether a client has reached this server within the local network, where the public address
// may not be reachable.
func isNear(c ftp.Control) bool {
	return c.Remote.Addr().IsLoopback() || isPrivate(c.Remote.Addr()) && isPrivate(c.Local.Addr())
}

func isPrivate(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLinkLocalUnicast() }

// publicIP returns the address of a host if it is known, and starts a lookup if one is due.
func (s *Server) publicIP(set *settings, host string) netip.Addr {
	p := set.public[host]
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := netip.ParseAddr(p.host); err != nil && p.host != "" && !p.running && !time.Now().Before(p.next) {
		p.running = s.goBackground(func() { s.lookUp(p, set) })
	}
	return p.ip
}

// goBackground runs f on a goroutine that Close and Shutdown wait for. It reports false, and does not run f, if the
// server is closing.
func (s *Server) goBackground(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.background.Go(f)
	return true
}

// lookUp looks up the address and schedules the next lookup. A failure keeps the old address.
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
		said := "the address that they connected to"
		if ip.IsValid() {
			said = ip.String()
		}
		set.Log.Warn("can't look up the public address", "host", p.host, "err", err, "clients_are_told", said)
	}
}
