package console

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
)

// step is a rung of the ladder of a session, for the page. The client is on the left, the server on the right.
type step struct {
	Time  int64  `json:"t"`               // in milliseconds since 1970
	Label string `json:"label,omitempty"` // control or data: a connection, rather than something said over it
	Left  string `json:"left,omitempty"`
	Right string `json:"right,omitempty"`
	// LeftDoes and RightDoes are who listens and who dials.
	LeftDoes  string `json:"leftDoes,omitempty"`
	RightDoes string `json:"rightDoes,omitempty"`
	To        string `json:"to,omitempty"`    // where the arrow points: client, server, or "" for none
	Bytes     bool   `json:"bytes,omitempty"` // the arrow of a transfer
	Note      string `json:"note,omitempty"`
	Bad       bool   `json:"bad,omitempty"`
}

const (
	toClient = "client"
	toServer = "server"
	listens  = "listens"
	dials    = "dials"
)

// ladder turns the events of a session into steps.
type ladder struct {
	client, server netip.AddrPort // the ends of the control connection; not valid if unknown
}

// ladderOf returns the ladder of a session. in is nil if the session has ended.
func ladderOf(in *sessions.Info) *ladder {
	l := &ladder{}
	if in != nil {
		l.client, _ = netip.ParseAddrPort(in.From)
		l.server, _ = netip.ParseAddrPort(in.To)
	}
	return l
}

// control returns the step of the control connection, which the client dials.
func (l *ladder) control(at time.Time) step {
	return step{
		Time: at.UnixMilli(), Label: "control", Left: l.at(l.client, netip.AddrPort{}), LeftDoes: dials,
		To: toServer, Right: l.at(l.server, l.server), RightDoes: listens,
	}
}

// at returns an address, but only its port if the host is that of known.
func (l *ladder) at(a, known netip.AddrPort) string {
	switch {
	case !a.IsValid() || a.Port() == 0:
		return ""
	case a.Addr().Unmap() == known.Addr().Unmap():
		return fmt.Sprintf(":%d", a.Port())
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

func (l *ladder) parsed(a string, known netip.AddrPort) string {
	addr, err := netip.ParseAddrPort(a)
	if err != nil {
		return ""
	}
	return l.at(addr, known)
}

// add returns the step for an event. ok is false if the ladder does not show it.
func (l *ladder) add(e *sessions.Event) (s step, ok bool) {
	s.Time = e.Time.UnixMilli()
	switch e.Kind {
	case sessions.Opened:
		s = l.control(e.Time)
	case sessions.Secured, sessions.DataSecured:
		s.To, s.Left, s.Right, s.Note = toServer, "TLS client", "TLS server", e.TLS
		if e.Resumed {
			s.Note += ", resumed"
		}
	case sessions.Cleared:
		s.To, s.Left, s.Right = toServer, "TLS ends", "no longer encrypted"
	case sessions.Commanded:
		s = l.command(s, e)
	case sessions.Replied:
		s = l.reply(s, e)
	case sessions.Transfer:
		s = l.bytes(s, e)
	case sessions.Refused:
		s.Note, s.Bad = withOption("refused: "+e.Why, e), true
	case sessions.Closed:
		s.Label, s.Note = "control", "closed after "+term.Span(time.Duration(e.Seconds*float64(time.Second)))
		if e.Why != "" {
			s.Note, s.Bad = s.Note+": "+e.Why, true
		}
	case sessions.Lost:
		s.Note, s.Bad = "some steps are missing: there were too many", true
	default: // DataOffered is shown by the command or the reply that announces the address
		return l.data(s, e)
	}
	return s, true
}

// command returns the step for a command. PORT and EPRT announce where the client listens.
func (l *ladder) command(s step, e *sessions.Event) step {
	s.To, s.Left = toServer, strings.TrimSpace(e.Verb+" "+e.Arg)
	parse := ftp.ParseHostPort
	switch e.Verb {
	case "EPRT":
		parse = ftp.ParseEPRT
		fallthrough
	case "PORT":
		if addr, err := parse(e.Arg); err == nil {
			s.Left = e.Verb + " " + l.at(addr, l.client)
			s.Note = fmt.Sprintf("“call me on %s”", strings.TrimPrefix(l.at(addr, l.client), ":"))
		}
	}
	return s
}

// reply returns the step for a reply. 227 and 229 announce where the server listens.
func (l *ladder) reply(s step, e *sessions.Event) step {
	s.To, s.Right, s.Bad = toClient, strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, e.Text)), e.Code >= 400
	if e.Code == 229 {
		if port, err := ftp.Parse229(e.Text); err == nil {
			s.Right, s.Note = fmt.Sprintf("229 |||%d|", port), fmt.Sprintf("“I listen on %d”", port)
		}
	}
	if e.Code == 227 {
		if addr, err := ftp.Parse227(e.Text); err == nil {
			s.Right, s.Note = "227 "+ftp.FormatHostPort(addr), fmt.Sprintf("“I listen on %s”", strings.TrimPrefix(l.at(addr, l.server), ":"))
		}
	}
	return s
}

// data returns the step for a data connection. In active mode, who listens, who dials and the arrow are reversed.
func (l *ladder) data(s step, e *sessions.Event) (step, bool) {
	s.Label = "data"
	switch e.Kind {
	case sessions.DataOpened:
		s.Left, s.Right = l.parsed(e.Addr, l.client), l.parsed(e.Local, l.server)
	case sessions.DataFailed:
		s.Bad, s.Note = true, withOption("no data connection: "+e.Why, e)
		if e.Mode == ftp.Active.String() {
			s.Left = l.parsed(e.Addr, l.client)
		} else {
			s.Right = l.parsed(e.Addr, l.server)
		}
	case sessions.Stranger:
		s.Bad, s.Note = true, withOption("another host connected and was refused: "+e.Addr, e)
		return s, true
	default:
		return s, false
	}
	if e.Mode == ftp.Active.String() {
		s.LeftDoes, s.RightDoes, s.To = listens, dials, toClient
		s.Note = strings.TrimSuffix("active: the roles are reversed; "+s.Note, "; ")
	} else {
		s.LeftDoes, s.RightDoes, s.To = dials, listens, toServer
		s.Note = strings.TrimSuffix("passive; "+s.Note, "; ")
	}
	return s, true
}

// bytes returns the step for the bytes of a transfer, from the sender to the receiver.
func (l *ladder) bytes(s step, e *sessions.Event) step {
	took := time.Duration(e.Seconds * float64(time.Second))
	s.Bytes, s.To, s.Note = true, toClient, term.Size(e.Bytes)+" in "+term.Span(took)
	if sessions.Uploads(e.Verb) {
		s.To = toServer
	}
	if e.Bytes > 0 && took > 0 {
		s.Note += ", " + term.Rate(e.Bytes, took)
	}
	if e.Why != "" {
		s.Bad, s.Note = true, s.Note+": "+e.Why
	}
	return s
}

// withOption adds the setting that decides about a refusal.
func withOption(text string, e *sessions.Event) string {
	if e.Option != "" {
		text += " (" + e.Option + ")"
	}
	return text
}
