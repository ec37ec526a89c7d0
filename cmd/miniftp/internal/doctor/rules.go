package doctor

import (
	"errors"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// finding is one thing that is wrong, or worth knowing, and who has to change what.
type finding struct {
	n int
	rule
	sign
}

// level is how bad a finding is.
type level uint8

const (
	broken  level = iota // something does not work
	warning              // it works, and should not be left so
	note                 // worth knowing; the grid still says ok
)

func (l level) String() string { return [...]string{"error", "warning", "note"}[l] }

// Who has to change something.
const (
	admin  = "the server's admin"
	you    = "you"
	nobody = "nobody"
)

// rule is one kind of finding: what see finds becomes one each.
type rule struct {
	code  string
	level level
	who   string
	see   func(x *exam) []sign
}

// sign is what a rule saw.
type sign struct {
	what, do string
	cells    []*gridCell // of the grid that it is about
	rows     []*gridRow  // that it is about, where no cell is
}

// rules are all that doctor can say. A new verdict is one more row, and what sees it.
var rules = []rule{
	{"no-connection", broken, you, seeNoConnection},
	{"family-unreachable", warning, "whoever keeps the name", seeFamily},
	{"no-greeting", broken, you, seeNoGreeting},
	{"turned-away", broken, admin, seeTurnedAway},
	{"tls-refused", broken, admin, seeTLSRefused},
	{"tls-handshake", broken, admin, seeHandshake},
	{"tls-control-only", broken, admin, seeControlOnly},
	{"login-refused", broken, you, seeLogin},
	{"no-directory", broken, you, seeNoDir},
	{"read-refused", broken, you, seeNoReading},
	{"time-out", broken, you, seeTimeOut},
	{"no-file", broken, you, seeNoFile},
	{"passive-address-private", warning, admin, seePrivate},
	{"passive-address-loopback", warning, admin, seeLoopback},
	{"passive-address-other", warning, admin, seeOtherAddress},
	{"data-port-timeout", broken, admin, seePortTimeout},
	{"data-port-refused", broken, admin, seePortRefused},
	{"epsv-dead", warning, admin, seeEPSVDead},
	{"active-no-call", warning, you, seeNoCall},
	{"tls-data-session", broken, admin, seeSessionRefused},
	{"tls-data", broken, admin, seeTLSData},
	{"certificate-expired", warning, admin, seeExpired},
	{"certificate-host", warning, admin, seeOtherHost},
	{"certificate-untrusted", warning, admin, seeUntrusted},
	{"certificate-pin", broken, you, seeOtherPin},
	{"tls-no-close-notify", warning, admin, seeNoCloseNotify},
	{"restart-ignored", warning, admin, seeRestart},
	{"size-wrong", warning, admin, seeSize},
	{"clear-login", warning, you, seeClearLogin},
	{"no-tls", warning, admin, seeNoTLS},
	{"write-refused", broken, admin, seeWriteRefused},
	{"write-damaged", broken, admin, seeWriteDamaged},
	{"write-left", warning, you, seeWriteLeft},
	{"no-epsv", note, admin, seeNoEPSV},
	{"active-refused", note, nobody, seeActiveRefused},
	{"tls-session-reuse", note, nobody, seeReuse},
	{"restart-refused", note, admin, seeNoRestart},
	{"mlsd-refused", note, admin, seeMLSD},
	{"list-zone", note, nobody, seeZone},
	{"one-connection", note, nobody, seeAlone},
}

// judge makes findings of what was found out: what does not work first.
func (x *exam) judge() []*finding {
	var all []*finding
	for _, r := range rules {
		for _, s := range r.see(x) {
			all = append(all, &finding{rule: r, sign: s})
		}
	}
	for _, s := range x.unexplained(all) {
		all = append(all, &finding{rule: rule{code: "other", level: broken, who: admin}, sign: s})
	}
	slices.SortStableFunc(all, func(a, b *finding) int { return int(a.level) - int(b.level) })
	for i, f := range all {
		f.n = i + 1
	}
	return all
}

// unexplained are the failures that no rule knows.
func (x *exam) unexplained(known []*finding) (signs []sign) {
	covered := map[*gridCell]bool{}
	for _, f := range known {
		for _, c := range f.cells {
			covered[c] = true
		}
	}
	add := func(what string, cells ...*gridCell) {
		for i := range signs {
			if signs[i].what == what {
				signs[i].cells = append(signs[i].cells, cells...)
				return
			}
		}
		signs = append(signs, sign{what: what, do: "No rule of ours knows this; --verbose shows what was said.", cells: cells})
	}
	for _, r := range x.rows {
		if r.err != nil && r.aside(x) == "" && !covered[&r.cells[0]] {
			add(sentence(r.err.Error()), r.all()...)
		}
		for way := range r.cells {
			if c := &r.cells[way]; c.state == fails && !covered[c] {
				add(ways[way]+" does not work: "+sentence(c.err.Error()), c)
			}
		}
	}
	return signs
}

// aside is why a row was not tried, where that is nothing to mend.
func (r *gridRow) aside(x *exam) string {
	switch {
	case r.err == nil:
		return ""
	case isOutOfTime(r.err):
		return "out of time"
	case r.corner.mode == client.NoTLS && refusesClear(r.err) && x.hasTLS():
		return "only by TLS"
	case r.stage == atTLS && x.refusesAUTH(r) && x.scheme == "ftp":
		return "not offered"
	case r.stage == atTLS && isHandshake(r.err) && x.hasTLS():
		return "not spoken"
	case r.stage == atConnect && (r.addr.IsLoopback() || isNoRoute(r.err)) && x.connected():
		return "not there"
	}
	return ""
}

// refusesClear: the server lets nobody in without TLS. Pure-FTPd says so by a 421.
func refusesClear(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && (connect.WantsTLS(no.Reply) || strings.Contains(strings.ToLower(no.Text()), "cleartext"))
}

// all are the cells of a row.
func (r *gridRow) all() []*gridCell {
	var all []*gridCell
	for way := range r.cells {
		all = append(all, &r.cells[way])
	}
	return all
}

// hasTLS reports whether TLS came about in some row.
func (x *exam) hasTLS() bool {
	return slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.corner.mode != client.NoTLS && r.cert != nil })
}

func (x *exam) connected() bool {
	return slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.stage > atConnect })
}

// refusesAUTH: the server does not do TLS there.
func (x *exam) refusesAUTH(r *gridRow) bool {
	var no *ftp.Error
	return r.corner.mode == client.ExplicitTLS && r.cert == nil && errors.As(r.err, &no) && no.Verb == "AUTH"
}

// trouble is how a cell fails.
type trouble uint8

const (
	noTrouble     trouble = iota
	portTimeout           // calls to the data port are not answered
	portRefused           // nobody listens there
	noCall                // the server's call does not arrive
	sessionNeeded         // TLS data without the session of the control connection
	tlsTrouble
	otherTrouble
)

// trouble is why that way of a row fails.
func (r *gridRow) trouble(way int) trouble {
	c := &r.cells[way]
	if c.state != fails {
		return noTrouble
	}
	return c.trouble(isActive(way), r.corner.mode != client.NoTLS)
}

// trouble is why a transfer failed: by how far the data connection came, and by what the server
// said. active is whether the server was to call, secured whether TLS was asked for. The first
// line that fits counts:
//
//	the data connection    the server says                            trouble
//	stood                  that it wants the session, or a refusal    sessionNeeded
//	                       about a connection that did not resume it
//	stood, without TLS     anything, or 52x: not so protected         tlsTrouble
//	failed in its TLS      anything                                   tlsTrouble
//	active, did not come   nothing, or 42x: it could not call         noCall
//	was refused            anything                                   portRefused
//	did not come           nothing, or 42x: nobody called             portTimeout
func (o *outcome) trouble(active, secured bool) trouble {
	var open *dtp.OpenError
	var no *ftp.Error
	isOpen, isReply := errors.As(o.err, &open), errors.As(o.err, &no)
	stood := o.opened && secured
	aboutConnection := isReply && no.Code/10%10 == 2 // x2x, RFC 959 §4.2.1
	didNotCome := isOpen || isReply && no.Code/10 == 42
	switch {
	case stood && isReply && (namesSession(no.Reply) || aboutConnection && o.tls != nil && !o.tls.Resumed):
		return sessionNeeded
	case stood && (o.tls == nil || isReply && no.Code/10 == 52), errors.As(o.err, new(*dtp.TLSError)):
		return tlsTrouble
	case active && o.offered && !o.opened && didNotCome:
		return noCall
	case isOpen && isRefused(open.Err):
		return portRefused
	case isOpen, o.offered && !o.opened && didNotCome:
		return portTimeout
	}
	return otherTrouble
}
