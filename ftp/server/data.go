package server

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

func dataRows() []row {
	return []row{
		{verb: "PASV", syntax: noArg, rfc: "959 §4.1.2", help: "I listen, you dial: show where (IPv4)", run: (*session).pasv},
		{verb: "EPSV", syntax: textArg.shape("[1|2|ALL]"), rfc: "2428 §3", feat: feature("EPSV"), help: "I listen, you dial: show on which port", run: (*session).epsv},
		{verb: "PORT", syntax: wordArg.shape("<h1,h2,h3,h4,p1,p2>"), rfc: "959 §4.1.2", help: "you listen, I dial there (IPv4)", run: (*session).port},
		{verb: "EPRT", syntax: wordArg.shape("<|family|address|port|>"), rfc: "2428 §2", feat: feature("EPRT"), help: "you listen, I dial there", run: (*session).eprt},
	}
}

var onlyEPSV = ftp.NewReply(503, "You said EPSV ALL: only EPSV is allowed until the next login.")

// pasv listens on a passive port and replies with its address.
func (s *session) pasv(string) ftp.Reply { return s.passive("PASV") }

// passive is PASV, or CPSV.
func (s *session) passive(verb string) ftp.Reply {
	switch {
	case s.params.OnlyEPSV:
		return onlyEPSV
	case !s.control.Local.Addr().Is4() && !s.reached.Is4():
		return ftp.NewReply(425, "PASV can't name an IPv6 address: use EPSV.")
	}
	s.fxp.cpsv = false
	return s.listen(verb, func(addr netip.AddrPort) ftp.Reply {
		s.fxp.cpsv = verb == "CPSV"
		s.said227 = true
		addr = s.announced(addr)
		s.emit(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Listens, Addr: addr, Said: "227"})
		return ftp.NewReply(227, ftp.Format227(addr))
	})
}

// listen listens on a passive port and replies with offer. If all ports are in use, a task waits for one.
func (s *session) listen(verb string, offer func(netip.AddrPort) ftp.Reply) ftp.Reply {
	s.noteUncalled()
	addr, err := s.data.Listen()
	if err == nil {
		s.offered = time.Now()
		return offer(addr)
	}
	if used := (*dtp.PortsError)(nil); !errors.As(err, &used) {
		return s.noPort(verb, err)
	}
	turn := s.data.Queue()
	j := &task{cmd: ftp.Command{Verb: verb}, inTurn: true, forPort: true}
	j.work = func(ctx context.Context, _ *task) dtp.Result { return dtp.Result{Err: turn.Wait(ctx)} }
	j.finish = func(res dtp.Result) ftp.Reply {
		switch {
		case res.Err == nil:
			s.offered = time.Now()
			return offer(s.data.ListenOn(turn))
		case errors.Is(res.Err, errPanicked):
			return ftp.NewReply(451, "Internal error of the server.")
		case s.stopping.Load() || s.ctx().Err() != nil:
			return ftp.NewReply(421, s.stopText())
		case errors.Is(res.Err, errAborted):
			return ftp.Replyf(425, "%s was aborted.", verb)
		}
		return s.noPort(verb, res.Err)
	}
	return s.start(j)
}

// announced returns the address to announce in a 227 for a port that this end listens on.
func (s *session) announced(addr netip.AddrPort) netip.AddrPort {
	ip := addr.Addr()
	if public, ok := s.publicAddr(); ok {
		ip = public
	}
	return netip.AddrPortFrom(ip, s.announcedPort(addr.Port()))
}

// announcedPort returns the port to announce for one that this end listens on.
func (s *session) announcedPort(port uint16) uint16 {
	if a := s.set.AnnouncedPorts; !a.IsZero() {
		return a.First + port - s.set.PassivePorts.First
	}
	return port
}

// epsv is pasv for both address families: 229 has only a port, and the client uses the address that it is
// connected to. A client that asks for the other family gets 522.
func (s *session) epsv(arg string) ftp.Reply {
	arg = strings.TrimSpace(arg)
	switch {
	case strings.EqualFold(arg, "ALL"):
		return ftp.NewReply(200, "EPSV only, from now on.")
	case arg == "", arg == s.family():
	case arg == "1", arg == "2":
		return s.wrongFamily()
	default:
		return ftp.NewReply(522, "Only the network protocols 1 and 2 are known, use ("+s.family()+")")
	}
	s.fxp.cpsv = false
	return s.listen("EPSV", func(addr netip.AddrPort) ftp.Reply {
		s.said227 = false
		addr = netip.AddrPortFrom(addr.Addr(), s.announcedPort(addr.Port()))
		s.emit(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Listens, Addr: addr, Said: "229"})
		return ftp.NewReply(229, ftp.Format229(addr.Port()))
	})
}

// port receives the address on which the client listens. The server will dial it.
func (s *session) port(arg string) ftp.Reply {
	if s.params.OnlyEPSV {
		return onlyEPSV
	}
	addr, err := ftp.ParseHostPort(arg)
	if err != nil {
		return ftp.NewReply(501, "The syntax is: PORT h1,h2,h3,h4,p1,p2 with numbers up to 255.")
	}
	return s.dial(addr, "PORT")
}

func (s *session) eprt(arg string) ftp.Reply {
	if s.params.OnlyEPSV {
		return onlyEPSV
	}
	addr, err := ftp.ParseEPRT(arg)
	switch {
	case errors.Is(err, ftp.ErrProtocol):
		return s.wrongFamily()
	case err != nil:
		return ftp.NewReply(501, "The syntax is: EPRT |1|132.235.1.2|6275| or EPRT |2|1080::8:800:200C:417A|5282|")
	case addr.Addr().Unmap().Is4() != s.control.Local.Addr().Is4():
		return s.wrongFamily()
	}
	return s.dial(addr, "EPRT")
}

// dial records the address that the server dials at the next transfer, if the guard permits it.
func (s *session) dial(addr netip.AddrPort, verb string) ftp.Reply {
	if addr.Addr().IsUnspecified() { // lftp sends "::" over IPv6, which would lead to this host
		addr = netip.AddrPortFrom(s.control.Remote.Addr().WithZone(""), addr.Port())
	}
	s.fxp.cpsv = false
	s.noteUncalled()
	if err := s.data.Dial(addr); err != nil {
		return s.notDialed(err, verb)
	}
	s.emit(ftp.DataOffered{Mode: ftp.Active, Stance: ftp.Dials, Addr: addr, Said: verb})
	return ftp.Replyf(200, "I will call you at %v.", addr)
}

// family returns the address family of the control connection as RFC 2428 numbers it.
func (s *session) family() string {
	if s.control.Local.Addr().Is4() {
		return "1"
	}
	return "2"
}

func (s *session) wrongFamily() ftp.Reply {
	return ftp.NewReply(522, "Network protocol not supported, use ("+s.family()+")")
}

// noPort returns the reply to PASV or EPSV for which there is no port.
func (s *session) noPort(verb string, err error) ftp.Reply {
	var used *dtp.PortsError
	if errors.As(err, &used) {
		s.emit(ftp.Refused{Why: verb + ": " + err.Error(), Reason: ftp.ReasonPassivePorts, Verb: verb})
		return ftp.NewReply(425, "All passive ports are in use: use fewer connections at once, or ask the administrator for more ports (passive-ports).")
	}
	return ftp.NewReply(425, "The server can't open a port to listen on.")
}
