package server

import (
	"errors"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Copies from server to server (FXP): the client gives the address on which one server listens to the other
// server, which dials it. The client does not see the data. Under TLS one of the two servers has to be the TLS
// client. PASV and PORT do not determine which; SSCN and CPSV do. No RFC describes these two verbs. They are
// implemented here as in other servers.

func fxpRows() []row {
	return []row{
		{verb: "CPSV", syntax: noArg, feat: ifFXP("CPSV"), help: "like PASV, for another server to dial: I am the TLS client", run: (*session).cpsv},
		{verb: "SSCN", syntax: textArg.shape("[ON|OFF]"), feat: ifFXP("SSCN"), help: "be the TLS client when files go from server to server", run: (*session).sscn},
	}
}

// fxp is what SSCN and CPSV have set for copies.
type fxp struct {
	sscn bool // until SSCN OFF
	cpsv bool // for the address last announced
}

// ifFXP lists a verb in FEAT for users that may use it. Before the login it lists it if any user may, because
// clients such as lftp send FEAT only then.
func ifFXP(line string) func(*session) string {
	return func(s *session) string {
		on := false
		if s.account != nil {
			on = s.account.FXP
		} else if users, ok := s.set.Auth.(FXPAuthenticator); ok {
			on = users.FXP()
		}
		if !on {
			return ""
		}
		return ifTLS(line)(s)
	}
}

// FXP reports whether any of the users may copy from server to server. It implements FXPAuthenticator.
func (s Static) FXP() bool {
	for _, u := range s {
		if u.Account.FXP {
			return true
		}
	}
	return false
}

// noFXP returns the refusal if the account may not copy from server to server, and whether it is refused.
func (s *session) noFXP(verb string) (ftp.Reply, bool) {
	switch {
	case !s.account.FXP:
		s.emitRefused(verb+": the account may not copy from server to server", ftp.ReasonFXP)
		return ftp.NewReply(550, verb+" is for copies from server to server, and fxp is off for this account."), true
	case s.tls == nil:
		return ftp.NewReply(503, "Send AUTH TLS before "+verb+"."), true
	}
	return ftp.Reply{}, false
}

// sscn answers in the exact words that clients parse.
func (s *session) sscn(arg string) ftp.Reply {
	if no, refused := s.noFXP("SSCN"); refused {
		return no
	}
	switch strings.ToUpper(strings.TrimSpace(arg)) {
	case "":
	case "ON":
		s.fxp.sscn = true
	case "OFF":
		s.fxp.sscn = false
	default:
		return ftp.NewReply(501, "SSCN takes ON or OFF.")
	}
	if s.fxp.sscn {
		return ftp.NewReply(200, "SSCN:CLIENT METHOD")
	}
	return ftp.NewReply(200, "SSCN:SERVER METHOD")
}

func (s *session) cpsv(string) ftp.Reply {
	if no, refused := s.noFXP("CPSV"); refused {
		return no
	}
	if s.params.Protection != ftp.Private {
		return ftp.NewReply(503, "Send PROT P before CPSV, or use PASV.")
	}
	return s.passive("CPSV")
}

// reversed reports whether this server is the TLS client of a transfer. Listings go to the client itself,
// whatever SSCN says.
func (s *session) reversed(verb string) bool {
	switch verb {
	case "RETR", "STOR", "APPE", "STOU":
		return s.fxp.sscn || s.fxp.cpsv
	}
	return false
}

// admitData sets which hosts the data connections of the current user, if any, may be made with. It also closes a
// data connection that was negotiated under the old rules.
func (s *session) admitData() {
	guard := s.set.Guard
	guard.FXP = guard.FXP || s.account != nil && s.account.FXP
	s.data.Admit(guard)
}

// notDialed returns the reply to a PORT or EPRT whose address is not dialed. RFC 2577 §3 suggests its code.
func (s *session) notDialed(err error, verb string) ftp.Reply {
	var guard *dtp.GuardError
	if !errors.As(err, &guard) {
		return ftp.NewReply(425, "I can't connect to that address.")
	}
	text := ""
	if guard.Addr.Port() >= 1024 && !s.account.FXP {
		text = " (fxp is off for this account)"
		s.emitRefused(verb+": the account may not copy from server to server", ftp.ReasonFXP)
	}
	return ftp.Replyf(504, "I do not call %v: %s%s.", guard.Addr, guard.Why, text)
}
