package ftptest

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"miniftp/ftp"
)

// This file has the faults that a network makes, not a server.

// Announce puts another host into the 227 reply, and leaves the port: a server
// behind NAT that announces the address it sees itself. It goes with the verb PASV.
func Announce(host netip.Addr) Fault { return Fault{host: host} }

// SwallowCalls gives a port at which calls are neither taken nor refused, as a
// firewall does that drops them. It goes with the verb PASV or EPSV. Where the
// system can't be made to do so (other than Linux) calls are refused.
func SwallowCalls() Fault { return Fault{swallow: true} }

// NoCall says 200 to PORT or EPRT, and at the transfer no call comes: after a time
// the server says 425, or, with 0, nothing ever.
func NoCall(after time.Duration) Fault { return Fault{noCall: true, after425: after} }

// uncalled answers what follows a PORT that leads nowhere. It reports whether the
// command was one of these.
func (x *session) uncalled(cmd ftp.Command, f Fault) bool {
	switch {
	case f.noCall:
		x.nowhere.Store(&f)
		x.write(ftp.Replyf(200, "%s is fine.", cmd.Verb))
		return true
	case cmd.Verb == "PORT", cmd.Verb == "EPRT", cmd.Verb == "PASV", cmd.Verb == "EPSV":
		x.nowhere.Store(nil)
	case ftp.IsTransfer(cmd.Verb):
		lost := x.nowhere.Swap(nil)
		if lost == nil {
			return false
		}
		x.write(ftp.NewReply(150, "I call you."))
		if lost.after425 > 0 {
			time.AfterFunc(lost.after425, func() { x.write(ftp.NewReply(425, "You can't be reached.")) })
		}
		return true
	}
	return false
}

// nowhere is a session's PORT that leads nowhere.
type nowhere = atomic.Pointer[Fault]

// deafPort listens without ever taking a call, and has taken as many as it may.
func (x *session) deafPort() (netip.AddrPort, bool) {
	host, _, _ := net.SplitHostPort(x.s.Addr)
	l, err := listenTCP(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil || !fillBacklog(l, x.s.keep) {
		_ = l.Close()
		return addr, err == nil
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.closed {
		_ = l.Close()
		return addr, true
	}
	x.s.ports[l] = struct{}{}
	return addr, true
}
