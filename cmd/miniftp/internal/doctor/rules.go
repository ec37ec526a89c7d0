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

// finding is something that is wrong or worth knowing, with what to do and who has to do it. n is its
// number in the report.
type finding struct {
	n int
	rule
	sign
}

// level is the severity of a finding.
type level uint8

const (
	broken  level = iota // something does not work
	warning              // it works, but should be changed
	note                 // worth knowing; the cells of the grid still say ok
)

func (l level) String() string { return [...]string{"error", "warning", "note"}[l] }

// The people who can change something.
const (
	admin  = "the server's admin"
	you    = "you"
	nobody = "nobody"
)

// rule describes one kind of finding. Each sign that see returns becomes a finding.
type rule struct {
	code  string
	level level
	who   string
	see   func(x *exam) []sign
}

// sign is one thing that a rule has seen in an exam.
type sign struct {
	what, do string      // what is wrong, and what to do
	cells    []*gridCell // the cells that it is about
	rows     []*gridRow  // the rows that it is about
}

// rules holds all rules. To add one, add a row with its function, and a line to docs/doctor.md.
var rules = []rule{
	{"no-connection", broken, you, seeNoConnection},
	{"family-unreachable", warning, "the domain's admin", seeFamily},
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
	{"one-connection", note, nobody, seeOneConnection},
}

// judge returns the findings, sorted by severity and numbered.
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

// unexplained returns a sign for each failure that no finding covers.
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
		signs = append(signs, sign{what: what, do: "doctor does not recognize this failure; --verbose shows the commands and replies.", cells: cells})
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

// aside returns why a row was not tried, if that is not a fault, else "".
func (r *gridRow) aside(x *exam) string {
	switch {
	case r.err == nil:
		return ""
	case isOutOfTime(r.err):
		return "out of time"
	case r.spec.mode == client.NoTLS && refusesClear(r.err) && x.hasTLS():
		return "only by TLS"
	case r.stage == atTLS && x.refusesAUTH(r) && x.scheme == "ftp":
		return "not offered"
	case r.stage == atTLS && isHandshake(r.err) && x.hasTLS():
		return "not supported"
	case r.stage == atConnect && (r.addr.IsLoopback() || isNoRoute(r.err)) && x.connected():
		return "unreachable"
	}
	return ""
}

// refusesClear reports whether the server refuses logins without TLS. Pure-FTPd does so with a 421.
func refusesClear(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && (connect.WantsTLS(no.Reply) || strings.Contains(strings.ToLower(no.Text()), "cleartext"))
}

// all returns pointers to the cells of a row.
func (r *gridRow) all() []*gridCell {
	var all []*gridCell
	for way := range r.cells {
		all = append(all, &r.cells[way])
	}
	return all
}

// hasTLS reports whether a TLS handshake succeeded in some row.
func (x *exam) hasTLS() bool {
	return slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.spec.mode != client.NoTLS && r.cert != nil })
}

// connected reports whether the control connection of some row was established.
func (x *exam) connected() bool {
	return slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.stage > atConnect })
}

// refusesAUTH reports whether the server refused AUTH TLS in row r.
func (x *exam) refusesAUTH(r *gridRow) bool {
	var no *ftp.Error
	return r.spec.mode == client.ExplicitTLS && r.cert == nil && errors.As(r.err, &no) && no.Verb == "AUTH"
}

// trouble is a kind of failure of a cell.
type trouble uint8

const (
	noTrouble     trouble = iota
	portTimeout           // connecting to the data port times out
	portRefused           // connecting to the data port is refused
	noCall                // the server's connection to our data port does not arrive
	sessionNeeded         // the server wants the TLS session of the control connection to be resumed
	tlsTrouble
	otherTrouble
)

// trouble returns how the given way of a row fails.
func (r *gridRow) trouble(way int) trouble {
	c := &r.cells[way]
	if c.state != fails {
		return noTrouble
	}
	return c.trouble(isActive(way), r.spec.mode != client.NoTLS)
}

// trouble returns why a transfer failed. It decides by how far the data connection got and by the server's
// reply. active says that the server had to connect to us, secured that TLS was to be used. The first
// line that fits applies:
//
//	data connection           reply                                      trouble
//	opened, with TLS wanted   names the session, or x2x if the session   sessionNeeded
//	                          was not resumed
//	opened, with TLS wanted   52x, or TLS did not begin                  tlsTrouble
//	failed in the handshake   any                                        tlsTrouble
//	active, did not arrive    none, or 42x                               noCall
//	was refused               any                                        portRefused
//	was not established       none, or 42x                               portTimeout
func (o *outcome) trouble(active, secured bool) trouble {
	var open *dtp.OpenError
	var no *ftp.Error
	isOpen, isReply := errors.As(o.err, &open), errors.As(o.err, &no)
	openedForTLS := o.opened && secured
	aboutConnection := isReply && no.Code/10%10 == 2 // x2x, RFC 959 §4.2.1
	notOpened := isOpen || isReply && no.Code/10 == 42
	switch {
	case openedForTLS && isReply && (namesSession(no.Reply) || aboutConnection && o.tls != nil && !o.tls.Resumed):
		return sessionNeeded
	case openedForTLS && (o.tls == nil || isReply && no.Code/10 == 52), errors.As(o.err, new(*dtp.TLSError)):
		return tlsTrouble
	case active && o.offered && !o.opened && notOpened:
		return noCall
	case isOpen && isRefused(open.Err):
		return portRefused
	case isOpen, o.offered && !o.opened && notOpened:
		return portTimeout
	}
	return otherTrouble
}
