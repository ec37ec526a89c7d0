package ftp

import "strings"

// Machine is the state of one control connection. Replies move it: both peers
// step the same machine with each verb and the code it was answered with, so
// the user knows what the server knows (RFC 959 §6). It is a value; the zero
// value is a connection that was just greeted.
type Machine struct {
	Login    Login
	Pending  Pending
	Transfer Transfer
}

// Login is how far the access sequence has come.
type Login uint8

// The states of the access sequence.
const (
	Fresh    Login = iota // nobody is logged in
	NeedPass              // USER was answered 331
	NeedAcct              // USER or PASS was answered 332
	LoggedIn
	Closing // 221 or 421: the connection ends
)

func (l Login) String() string {
	return pick(l, "fresh", "need password", "need account", "logged in", "closing")
}

// Pending is the first half of a two-part sequence.
type Pending uint8

// What may be pending.
const (
	NothingPending Pending = iota
	RenameFrom             // RNFR 350: the next verb must be RNTO
	RestartAt              // REST or RANG 350: the next transfer starts there
)

func (p Pending) String() string { return pick(p, "nothing", "rename from", "restart at") }

// Transfer says whether the data connection is in use.
type Transfer uint8

// The two states of the data connection.
const (
	Idle Transfer = iota
	Busy          // a preliminary reply was given, the final one is still to come
)

func (t Transfer) String() string { return pick(t, "idle", "busy") }

// loginEdge is one arrow of the login machine.
type loginEdge struct {
	verb string
	code Code
	to   Login
}

// loginEdges is the whole law of the access sequence. A (verb, code) that is
// not in it leaves the login as it is.
var loginEdges = []loginEdge{
	{"USER", 331, NeedPass},
	{"USER", 332, NeedAcct},
	{"USER", 230, LoggedIn},
	{"USER", 232, LoggedIn}, // RFC 2228 §5: the client certificate is enough
	{"USER", 530, Fresh},
	{"PASS", 230, LoggedIn},
	{"PASS", 202, LoggedIn},
	{"PASS", 332, NeedAcct},
	{"PASS", 530, Fresh},
	{"ACCT", 230, LoggedIn},
	{"ACCT", 530, Fresh},
	{"REIN", 220, Fresh},
	{"AUTH", 234, Fresh}, // RFC 4217 §4: the session starts over
	{"HOST", 220, Fresh}, // RFC 7151 §3.3
	{"QUIT", 221, Closing},
}

// IsTransfer reports whether verb opens a data connection.
func IsTransfer(verb string) bool {
	switch verb {
	case "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD":
		return true
	}
	return false
}

// Stores reports whether verb has the user send a file.
func Stores(verb string) bool { return verb == "STOR" || verb == "STOU" || verb == "APPE" }

// Step moves the machine by the reply that verb got. A greeting has the verb "".
func (m *Machine) Step(verb string, code Code) {
	m.stepLogin(verb, code)
	m.stepPending(verb, code)
	m.stepTransfer(verb, code)
}

func (m *Machine) stepLogin(verb string, code Code) {
	if code == 421 {
		m.Login = Closing
	}
	if m.Login == Closing {
		return
	}
	for _, e := range loginEdges {
		if e.verb == verb && e.code == code {
			m.Login = e.to
			return
		}
	}
}

func (m *Machine) stepPending(verb string, code Code) {
	switch {
	case code.Class() == Preliminary:
		return // the final reply decides
	case verb == "RNFR" && code == 350:
		m.Pending = RenameFrom
	case (verb == "REST" || verb == "RANG") && code == 350:
		m.Pending = RestartAt
	case m.Pending == RenameFrom: // any verb clears it, RNTO uses it
		m.Pending = NothingPending
	case m.Pending == RestartAt && endsRestart(verb, code):
		m.Pending = NothingPending
	}
}

// endsRestart: a restart point lasts until a file transfer used it up, or the
// session starts over; PASV, TYPE, SIZE and even a listing leave it.
func endsRestart(verb string, code Code) bool {
	switch verb {
	case "RETR", "STOR", "STOU", "APPE", "REST", "RANG", "HASH", "REIN", "USER", "AUTH", "HOST":
		return true
	case "ABOR":
		return code.Class() == Completion
	}
	return false
}

func (m *Machine) stepTransfer(verb string, code Code) {
	switch {
	case !IsTransfer(verb):
	case code.Class() == Preliminary:
		m.Transfer = Busy
	default:
		m.Transfer = Idle
	}
}

// Params are the transfer parameters (RFC 959 §3.1, §3.4). Like the Machine
// they change on the reply that says so, never before.
type Params struct {
	Type       Type
	Structure  Structure
	Mode       TransferMode
	Protection Protection
	OnlyEPSV   bool // EPSV ALL (RFC 2428 §4): no other verb offers a data connection until the next login
	Sized      bool // PBSZ came, which PROT needs (RFC 4217 §9)
}

// Step takes over a parameter that the server agreed to. The server's own reply
// comes from the same Parse function, so that it can't agree to something else.
func (p *Params) Step(c Command, code Code) {
	if c.Verb == "USER" && code.Class() == Intermediate {
		p.OnlyEPSV = false
	}
	if code.Class() != Completion {
		return
	}
	switch c.Verb {
	case "EPSV":
		p.OnlyEPSV = p.OnlyEPSV || strings.EqualFold(strings.TrimSpace(c.Arg), "ALL")
	case "PBSZ":
		p.Sized = true
	case "USER":
		p.OnlyEPSV = false
	case "TYPE":
		take(&p.Type, ParseType, c.Arg)
	case "STRU":
		take(&p.Structure, ParseStructure, c.Arg)
	case "MODE":
		take(&p.Mode, ParseTransferMode, c.Arg)
	case "PROT":
		take(&p.Protection, ParseProtection, c.Arg)
	case "AUTH":
		take(&p.Protection, ParseAuth, c.Arg)
		p.OnlyEPSV = false
	case "REIN":
		*p = Params{Protection: p.Protection, Sized: p.Sized}
	}
}

// take sets a parameter to what parse reads; an argument that it can't read
// changes nothing.
func take[T any](p *T, parse func(string) (T, error), arg string) {
	if v, err := parse(arg); err == nil {
		*p = v
	}
}
