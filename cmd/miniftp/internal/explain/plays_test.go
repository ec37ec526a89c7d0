package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// This file has the plays that TestLadder draws.

// noDial is the event of a client whose server does not listen.
var noDial = []ftp.Event{{
	Control: &ftp.Control{ID: 1, Side: ftp.UserPI},
	What:    ftp.DialFailed{Addr: "203.0.113.7:21", Err: errRefused},
}}

// play is a series of events on one or more control connections, to be drawn.
type play struct {
	name   string
	width  int
	ascii  bool
	events []ftp.Event
}

func hostPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Control connections, as seen by the client or the server.
var (
	atClient       = controlOf(1, ftp.UserPI, "127.0.0.1:51234", "127.0.0.1:2121")
	atServer       = controlOf(1, ftp.ServerPI, "127.0.0.1:2121", "127.0.0.1:51234")
	secondClient   = controlOf(2, ftp.ServerPI, "127.0.0.1:2121", "127.0.0.1:51300")
	behindNAT      = controlOf(1, ftp.UserPI, "192.168.1.20:51234", "203.0.113.7:21")
	atPublicServer = controlOf(1, ftp.ServerPI, "203.0.113.7:21", "198.51.100.9:40321")
	atHiddenServer = controlOf(1, ftp.ServerPI, "10.0.0.5:21", "198.51.100.9:40321")
	overIPv6       = controlOf(1, ftp.UserPI, "[2001:db8::20]:51234", "[2001:db8:5::7]:21")
)

func controlOf(id uint64, side ftp.Side, local, remote string) *ftp.Control {
	return &ftp.Control{ID: id, Side: side, Local: hostPort(local), Remote: hostPort(remote)}
}

// during returns events on c: its opening, followed by what.
func during(c *ftp.Control, what ...ftp.Happening) []ftp.Event {
	events := []ftp.Event{{Control: c, What: ftp.ControlOpened{}}}
	for _, w := range what {
		events = append(events, ftp.Event{Control: c, What: w})
	}
	return events
}

func says(verb, arg string) ftp.CommandGiven {
	return ftp.CommandGiven{Command: ftp.Command{Verb: verb, Arg: arg}}
}

func answers(verb string, code ftp.Code, text ...string) ftp.ReplyGiven {
	return ftp.ReplyGiven{Verb: verb, Reply: ftp.NewReply(code, text...)}
}

func offered(m ftp.DataMode, s ftp.Stance, a, said string) ftp.DataOffered {
	return ftp.DataOffered{Mode: m, Stance: s, Addr: hostPort(a), Said: said}
}

func dataUp(m ftp.DataMode, s ftp.Stance, local, remote string) ftp.DataOpened {
	return ftp.DataOpened{Mode: m, Stance: s, Local: hostPort(local), Remote: hostPort(remote), Took: time.Millisecond}
}

func notOpened(m ftp.DataMode, s ftp.Stance, a string, err error) ftp.DataFailed {
	var guard *dtp.GuardError
	if !errors.As(err, &guard) {
		err = &dtp.OpenError{Mode: m, Stance: s, Addr: hostPort(a), Err: err}
	}
	return ftp.DataFailed{Mode: m, Stance: s, Addr: hostPort(a), Err: err}
}

func transferred(verb string, m ftp.DataMode, bytes int64, err error) ftp.TransferDone {
	d := ftp.TransferDone{Verb: verb, Path: "report.pdf", Mode: m, Bytes: bytes, Took: 44 * time.Millisecond, Err: err}
	if verb == "STOR" {
		d.Direction = ftp.Store
	}
	return d
}

var (
	errNobody   = fmt.Errorf("%w within 10s", dtp.ErrNobodyCame)
	errRefused  = &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	errNoAnswer = errors.New("no answer within 10s")
)

// Parts that many plays share.
var (
	logsIn = []ftp.Happening{
		answers("", 220, "miniftp ready"), says("USER", "anonymous"), answers("USER", 331, "Password?"),
		says("PASS", "secret"), answers("PASS", 230, "In."),
		ftp.LoggedInAs{User: "anonymous"},
		says("TYPE", "I"), answers("TYPE", 200, "I."),
	}
	epsv = []ftp.Happening{
		says("EPSV", ""), answers("EPSV", 229, "Entering Extended Passive Mode (|||40017|)"),
		offered(ftp.Passive, ftp.Dials, "127.0.0.1:40017", "229"),
	}
	eprt = []ftp.Happening{
		says("EPRT", "|1|127.0.0.1|51241|"), answers("EPRT", 200, "I will call you at 127.0.0.1:51241."),
		offered(ftp.Active, ftp.Listens, "127.0.0.1:51241", "EPRT"),
	}
	dialed = dataUp(ftp.Passive, ftp.Dials, "127.0.0.1:51236", "127.0.0.1:40017")
	called = dataUp(ftp.Active, ftp.Listens, "127.0.0.1:51241", "127.0.0.1:41962")
	whole  = []ftp.Happening{answers("RETR", 150, "Sending."), answers("RETR", 226, "Done."), transferred("RETR", ftp.Passive, 2_100_000, nil)}

	passiveGet = inOrder(logsIn, epsv, []ftp.Happening{says("RETR", "report.pdf"), dialed}, whole, []ftp.Happening{says("QUIT", ""), answers("QUIT", 221, "Bye."), ftp.ControlClosed{}})
	activeGet  = inOrder(logsIn, eprt, []ftp.Happening{says("RETR", "report.pdf"), called}, whole, []ftp.Happening{ftp.ControlClosed{}})
)

func inOrder(parts ...[]ftp.Happening) (all []ftp.Happening) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// natPORT returns the events of a client behind NAT that announces its private address, followed by rest.
func natPORT(rest ...ftp.Happening) []ftp.Event {
	return during(behindNAT, inOrder([]ftp.Happening{
		says("EPRT", "|1|192.168.1.20|51241|"), answers("EPRT", 200, "EPRT command successful."),
		offered(ftp.Active, ftp.Listens, "192.168.1.20:51241", "EPRT"), says("RETR", "report.pdf"),
	}, rest)...)
}

// serverPassive and serverActive return the events that a server sees up to the transfer command, followed by
// rest.
func serverPassive(c *ftp.Control, announced string, rest ...ftp.Happening) []ftp.Event {
	return during(c, inOrder([]ftp.Happening{
		answers("", 220, "miniftp ready"), says("EPSV", ""),
		offered(ftp.Passive, ftp.Listens, announced, "229"), answers("EPSV", 229, "Entering Extended Passive Mode (|||40017|)"),
		says("RETR", "report.pdf"),
	}, rest)...)
}

func serverActive(c *ftp.Control, host string, rest ...ftp.Happening) []ftp.Event {
	return during(c, inOrder([]ftp.Happening{
		says("EPRT", "|1|"+host+"|51241|"), offered(ftp.Active, ftp.Dials, host+":51241", "EPRT"), answers("EPRT", 200, "I will call."),
		says("RETR", "report.pdf"),
	}, rest)...)
}

// twoSessions returns the interleaved events of two clients' sessions.
func twoSessions() []ftp.Event {
	a := serverPassive(atServer, "127.0.0.1:40017", dataUp(ftp.Passive, ftp.Listens, "127.0.0.1:40017", "127.0.0.1:51236"), transferred("RETR", ftp.Passive, 2_100_000, nil), answers("RETR", 226, "Done."))
	b := serverActive(secondClient, "127.0.0.1", dataUp(ftp.Active, ftp.Dials, "127.0.0.1:41962", "127.0.0.1:51241"), transferred("RETR", ftp.Active, 0, nil), answers("RETR", 226, "Done."))
	var both []ftp.Event
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			both = append(both, a[i])
		}
		if i >= 4 && i-4 < len(b) {
			both = append(both, b[i-4])
		}
	}
	return append(both, b[len(a)-4:]...)
}

func plays() []play {
	return slices.Concat(goodPlays(), failedPlays(), oddPlays(), serverPlays())
}

func goodPlays() []play {
	return []play{
		{name: "passive", width: 120, events: during(atClient, passiveGet...)},
		{name: "active", width: 120, events: during(atClient, activeGet...)},
		{name: "passive", width: 80, events: during(atClient, passiveGet...)},
		{name: "active", width: 80, events: during(atClient, activeGet...)},
		{name: "passive", width: 60, events: during(atClient, passiveGet...)},
		{name: "active", width: 60, events: during(atClient, activeGet...)},
		{name: "active, no UTF-8", width: 80, ascii: true, events: during(atClient, activeGet...)},
		{name: "store, IPv6", width: 100, events: during(overIPv6, says("EPSV", ""), answers("EPSV", 229, "Entering (|||40017|)"),
			offered(ftp.Passive, ftp.Dials, "[2001:db8:5::7]:40017", "229"),
			dataUp(ftp.Passive, ftp.Dials, "[2001:db8::20]:51236", "[2001:db8:5::7]:40017"), says("STOR", "x"), answers("STOR", 150, "Go."), transferred("STOR", ftp.Passive, 812, nil), answers("STOR", 226, "Done."))},
		{name: "EPSV refused, PASV", width: 80, events: during(atClient, says("EPSV", ""), answers("EPSV", 500, "Unknown command."),
			says("PASV", ""), answers("PASV", 227, "Entering Passive Mode (127,0,0,1,156,81)."), offered(ftp.Passive, ftp.Dials, "127.0.0.1:40017", "227"),
			says("RETR", "x"), dialed, answers("RETR", 226, "Done."), transferred("RETR", ftp.Passive, 0, nil))},
		{name: "EPRT refused, PORT", width: 100, events: during(atClient, says("EPRT", "|1|127.0.0.1|51241|"), answers("EPRT", 500, "Unknown command."),
			says("PORT", "127,0,0,1,200,41"), answers("PORT", 200, "OK."), offered(ftp.Active, ftp.Listens, "127.0.0.1:51241", "PORT"),
			says("RETR", "x"), called, answers("RETR", 226, "Done."), transferred("RETR", ftp.Active, 2_100_000, nil))},
		{name: "227 names a private host", width: 120, events: during(behindNAT, says("PASV", ""), answers("PASV", 227, "Entering Passive Mode (10,0,0,5,156,81)."),
			offered(ftp.Passive, ftp.Dials, "10.0.0.5:40017", "227"), says("RETR", "x"),
			dataUp(ftp.Passive, ftp.Dials, "192.168.1.20:51236", "203.0.113.7:40017"), answers("RETR", 226, "Done."), transferred("RETR", ftp.Passive, 2_100_000, nil))},
	}
}

// failedPlays returns plays with data connections that can't be opened, or break.
func failedPlays() []play {
	says425 := &ftp.Error{Verb: "RETR", Reply: ftp.NewReply(425, "Can't open data connection.")}
	says426 := &ftp.Error{Verb: "RETR", Reply: ftp.NewReply(426, "The data connection broke after 1000000 bytes.")}
	return []play{
		{name: "the server can't be reached", width: 80, events: noDial},
		{name: "active behind NAT, nobody came", width: 120, events: natPORT(notOpened(ftp.Active, ftp.Listens, "192.168.1.20:51241", errNobody),
			answers("RETR", 425, "Can't open data connection."), transferred("RETR", ftp.Active, 0, says425))},
		{name: "active behind NAT, nobody came", width: 80, events: natPORT(notOpened(ftp.Active, ftp.Listens, "192.168.1.20:51241", errNobody))},
		{name: "active, firewall, the server says 425", width: 80, events: during(atClient, inOrder(eprt, []ftp.Happening{
			says("RETR", "x"),
			answers("RETR", 425, "Can't open data connection."), notOpened(ftp.Active, ftp.Listens, "127.0.0.1:51241", says425), transferred("RETR", ftp.Active, 0, says425),
		})...)},
		{name: "passive, connection refused", width: 120, events: during(atClient, inOrder(epsv, []ftp.Happening{
			says("RETR", "x"),
			notOpened(ftp.Passive, ftp.Dials, "127.0.0.1:40017", errRefused), answers("RETR", 425, "You did not call."), transferred("RETR", ftp.Passive, 0, errRefused),
		})...)},
		{name: "passive, no answer", width: 80, events: during(behindNAT, inOrder(epsv, []ftp.Happening{says("RETR", "x"), notOpened(ftp.Passive, ftp.Dials, "203.0.113.7:40017", errNoAnswer)})...)},
		{name: "cut short, though the server says 226", width: 80, events: during(atClient, inOrder(epsv, []ftp.Happening{
			says("RETR", "x"), dialed, answers("RETR", 226, "Done."),
			transferred("RETR", ftp.Passive, 1_000_000, &client.TruncatedError{Want: 2_100_000, Got: 1_000_000, Final: ftp.NewReply(226, "Done.")}),
		})...)},
		{name: "cut short, the server says 426", width: 120, events: during(atClient, inOrder(epsv, []ftp.Happening{
			says("RETR", "x"), dialed,
			answers("RETR", 426, "The data connection broke after 1000000 bytes."), transferred("RETR", ftp.Passive, 1_000_000, &client.TruncatedError{Want: 2_100_000, Got: 1_000_000, Err: says426}),
		})...)},
		{name: "the control connection dies", width: 120, events: during(atClient, inOrder(epsv, []ftp.Happening{
			says("RETR", "x"), dialed,
			ftp.ControlClosed{Err: errors.New("the server closed it")},
			transferred("RETR", ftp.Passive, 1_000_000, &client.TruncatedError{Want: -1, Got: 1_000_000}),
		})...)},
		{name: "interrupted", width: 80, events: during(atClient, inOrder(eprt, []ftp.Happening{
			says("RETR", "x"),
			notOpened(ftp.Active, ftp.Listens, "127.0.0.1:51241", context.Canceled), says("ABOR", ""), answers("RETR", 426, "Aborted."), answers("ABOR", 226, "OK."),
			transferred("RETR", ftp.Active, 0, context.Canceled),
		})...)},
	}
}

// oddPlays returns plays with refusals, malformed replies and hostile servers.
func oddPlays() []play {
	hostile := "No \x1b[2J\x07\u202e way " + strings.Repeat("漢字", 40)
	return []play{
		{name: "no such file", width: 80, events: during(atClient, inOrder(epsv, []ftp.Happening{
			says("RETR", "x"), dialed, answers("RETR", 550, "x: no such file."),
			transferred("RETR", ftp.Passive, 0, &ftp.Error{Verb: "RETR", Reply: ftp.NewReply(550, "x: no such file.")}),
		})...)},
		{name: "a 227 that makes no sense", width: 80, events: during(atClient, says("PASV", ""), answers("PASV", 227, "Guess where."))},
		{name: "turned away", width: 80, events: during(atClient, answers("", 421, "Too many sessions: 10 are the limit."), ftp.ControlClosed{Err: &ftp.Error{Reply: ftp.NewReply(421, "Too many")}})},
		{name: "hostile words", width: 80, events: during(atClient, says("CWD", "x"), answers("CWD", 550, hostile))},
		{name: "a stranger calls", width: 120, events: during(behindNAT, inOrder([]ftp.Happening{
			offered(ftp.Active, ftp.Listens, "192.168.1.20:51241", "PORT"),
			ftp.StrangerRefused{Remote: hostPort("198.51.100.66:1234")},
		})...)},
		{name: "port below 1024 in a 229", width: 120, events: during(atClient, says("EPSV", ""), answers("EPSV", 229, "(|||22|)"), offered(ftp.Passive, ftp.Dials, "127.0.0.1:22", "229"),
			notOpened(ftp.Passive, ftp.Dials, "127.0.0.1:22", &dtp.GuardError{Addr: hostPort("127.0.0.1:22"), Why: "ports below 1024 belong to other services"}))},
	}
}

func serverPlays() []play {
	notYours := &dtp.GuardError{Addr: hostPort("192.168.1.20:51241"), Why: "it is not the host that you called from"}
	low := &dtp.GuardError{Addr: hostPort("198.51.100.9:25"), Why: "ports below 1024 belong to other services"}
	const no = "I do not call 192.168.1.20:51241: it is not the host that you called from."
	return []play{
		{name: "serve, passive", width: 80, events: serverPassive(atServer, "127.0.0.1:40017", dataUp(ftp.Passive, ftp.Listens, "127.0.0.1:40017", "127.0.0.1:51236"),
			answers("RETR", 150, "Sending."), transferred("RETR", ftp.Passive, 2_100_000, nil), answers("RETR", 226, "Done."), ftp.ControlClosed{})},
		{name: "serve, active", width: 120, events: serverActive(atPublicServer, "198.51.100.9", dataUp(ftp.Active, ftp.Dials, "203.0.113.7:20", "198.51.100.9:51241"),
			transferred("RETR", ftp.Active, 2_100_000, nil), answers("RETR", 226, "Done."))},
		{name: "serve, two sessions", width: 100, events: twoSessions()},
		{name: "serve, session 12345", width: 80, events: slices.Concat(during(atServer), during(controlOf(12345, ftp.ServerPI, "127.0.0.1:2121", "127.0.0.1:51300")))},
		{name: "serve, nobody came", width: 120, events: serverPassive(atPublicServer, "203.0.113.7:40017", notOpened(ftp.Passive, ftp.Listens, "203.0.113.7:40017", errNobody),
			transferred("RETR", ftp.Passive, 0, errNobody), answers("RETR", 425, "You did not call my data port 40017 in time: a firewall may be in between."))},
		{name: "serve, behind NAT, nobody came", width: 80, events: serverPassive(atHiddenServer, "10.0.0.5:40017", notOpened(ftp.Passive, ftp.Listens, "10.0.0.5:40017", errNobody))},
		{name: "serve, call refused", width: 120, events: serverActive(atPublicServer, "198.51.100.9", notOpened(ftp.Active, ftp.Dials, "198.51.100.9:51241", errRefused))},
		{name: "serve, call refused", width: 80, events: serverActive(atPublicServer, "198.51.100.9", notOpened(ftp.Active, ftp.Dials, "198.51.100.9:51241", errRefused))},
		{name: "serve, not the host you called from", width: 120, events: during(atPublicServer, says("PORT", "192,168,1,20,200,41"),
			notOpened(ftp.Active, ftp.Dials, "192.168.1.20:51241", notYours), answers("PORT", 504, no))},
		{name: "serve, somebody else's mail port", width: 80, events: during(atPublicServer, says("PORT", "198,51,100,9,0,25"),
			notOpened(ftp.Active, ftp.Dials, "198.51.100.9:25", low), answers("PORT", 504, "I do not call that port."))},
		{name: "serve, the client hung up", width: 80, events: serverPassive(atServer, "127.0.0.1:40017", dataUp(ftp.Passive, ftp.Listens, "127.0.0.1:40017", "127.0.0.1:51236"),
			transferred("RETR", ftp.Passive, 1_000_000, &dtp.BrokenError{Err: errors.New("connection reset by peer")}), answers("RETR", 426, "The data connection broke after 1000000 bytes."),
			ftp.ControlClosed{Err: errors.New("the client hung up without QUIT")})},
		{name: "serve, no data connection agreed on", width: 80, events: during(atServer, says("RETR", "x"), answers("RETR", 425, "No data connection: send PASV, EPSV, PORT or EPRT first."))},
	}
}
