package server

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server/internal/guard"
)

// When a client does not call the passive port, the cause is usually in the settings of the server or of a router. The
// log then says what was announced to whom, and what to set; the client gets the part of it that it can use.

// absence is why a client probably has not called a passive port.
type absence struct {
	cause string // short, for counting
	log   string // for the administrator
	reply string // for the client, after "You did not call ADDRESS in time: "
}

// absent returns why the client probably did not call the port on which this end listened at addr.
func (s *session) absent(addr netip.AddrPort) absence {
	told := s.announced(addr)
	near := isNear(s.control)
	ports := "the passive ports"
	if r := s.set.PassivePorts; !r.IsZero() {
		if a := s.set.AnnouncedPorts; !a.IsZero() {
			r = a
		}
		ports = fmt.Sprintf("the ports %d to %d", r.First, r.Last)
	}
	switch {
	case s.said227 && !near && isLocalAddress(told.Addr()):
		return absence{
			"private address", fmt.Sprintf("%v is an address of a private network or a container, which the client can't reach: set public-ip", told.Addr()),
			"that address is private. Use EPSV, or ask the administrator of this server to set its public address.",
		}
	case s.said227 && near && told.Addr() != s.control.Local.Addr().Unmap():
		return absence{
			"public address", fmt.Sprintf("the client is in the local network and was told %v: set public-ip-for for its network to as-dialed", told.Addr()),
			"a router may not lead you there from inside. Use EPSV.",
		}
	case s.set.PassivePorts.IsZero() && !near:
		return absence{
			"any port", "a firewall or router may let only some ports through: set passive-ports to a range and open it there",
			"a firewall may be in between.",
		}
	case !near:
		return absence{
			"ports closed", "a firewall or router may not let " + ports + " through: open or forward them",
			"a firewall may be in between.",
		}
	}
	return absence{
		"local firewall", "a firewall on this host or on the client's may not let " + ports + " through",
		"a firewall may be in between.",
	}
}

// isLocalAddress reports whether ip can be reached only from the network that it is in.
func isLocalAddress(ip netip.Addr) bool {
	return ip.IsLoopback() || isPrivate(ip) || sharedSpace.Contains(ip)
}

// sharedSpace is the network between customers and the NAT of their provider (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// nobodyCame logs why a client has not called, and returns the text of the 425.
func (s *session) nobodyCame(e *dtp.OpenError) string {
	why := s.logAbsence(e.Addr)
	told := s.announced(e.Addr)
	if s.said227 {
		return fmt.Sprintf("You did not call %v port %d in time: %s", told.Addr(), told.Port(), why.reply)
	}
	return fmt.Sprintf("You did not call my data port %d in time: %s", told.Port(), why.reply)
}

// logAbsence logs why a client probably has not called the port on which this end listened at addr, unless that was said
// often enough.
func (s *session) logAbsence(addr netip.AddrPort) absence {
	why := s.absent(addr)
	said := "229"
	if s.said227 {
		said = "227"
	}
	if n := s.srv.absences.count(guard.Site(s.control.Remote.Addr()), why.cause); n > 0 {
		s.set.Log.Warn("a client did not call the passive port", "session", s.control.ID, "from", s.control.Remote.Addr().String(),
			"announced", s.announced(addr).String(), "in", said, "hint", why.log, "times", n)
	}
	return why
}

// noteUncalled reports a passive port that the client has not called before it gave up: it hung up, or does something
// else after some seconds. Many clients (curl, browsers) call the port before they send the command for the transfer. If they
// can't reach it, that command never comes, and nothing else tells of the failure.
func (s *session) noteUncalled() {
	addr, ok := s.data.Uncalled()
	if !ok || s.stopping.Load() || !errors.Is(s.dead, errHungUp) && time.Since(s.offered) < uncalledAfter {
		return
	}
	s.emit(ftp.DataFailed{Mode: ftp.Passive, Stance: ftp.Listens, Addr: addr, Err: fmt.Errorf("%w before the client gave up", dtp.ErrNobodyCame)})
	s.logAbsence(addr)
}

// absences counts the clients that did not call, by their network and by the probable cause.
type absences struct {
	mu    sync.Mutex
	times map[absenceKey]int
}

type absenceKey struct {
	network netip.Prefix
	cause   string
}

// maxAbsences is the number of networks and causes that are remembered.
const maxAbsences = 1000

// count counts one more and returns how many there were, or 0 if that need not be logged: after the first time, only
// each power of ten is.
func (a *absences) count(network netip.Prefix, cause string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := absenceKey{network, cause}
	if a.times == nil || len(a.times) >= maxAbsences && a.times[key] == 0 {
		a.times = map[absenceKey]int{}
	}
	a.times[key]++
	for n := a.times[key]; ; n /= 10 {
		switch {
		case n == 1:
			return a.times[key]
		case n%10 != 0:
			return 0
		}
	}
}
