package ftp

import "strings"

// Machine is the state of a control connection (RFC 959 §6). Client and server
// each have one and call Step with every verb and the code of its reply, so both
// always have the same state. Commands alone change nothing. The zero value is
// the state after the greeting. A Machine can be copied.
type Machine struct {
	Login    Login
	Pending  Pending
	Transfer Transfer
}

// Login is the state of the login sequence, USER, PASS and ACCT.
type Login uint8

// The states of the login sequence.
const (
	Fresh    Login = iota // no user is logged in
	NeedPass              // USER was answered 331
	NeedAcct              // USER or PASS was answered 332
	LoggedIn
	Closing // after 221 or 421: the connection will be closed
)

func (l Login) String() string {
	return pick(l, "fresh", "need password", "need account", "logged in", "closing")
}

// Pending shows whether a sequence of two commands has begun: RNFR and RNTO, or REST and a
// transfer.
type Pending uint8

// The states of a sequence of two commands.
const (
	NothingPending Pending = iota
	RenameFrom             // RNFR was answered 350: the next verb must be RNTO
	RestartAt              // REST or RANG was answered 350: the next transfer starts at its offset
)

func (p Pending) String() string { return pick(p, "nothing", "rename from", "restart at") }

// Transfer shows whether a transfer is running.
type Transfer uint8

// The two states of a transfer.
const (
	Idle Transfer = iota
	Busy          // the preliminary reply was sent and the final one was not
)

func (t Transfer) String() string { return pick(t, "idle", "busy") }

// loginEdge is one transition of the login sequence: a reply with code to verb leads to state to.
type loginEdge struct {
	verb string
	code Code
	to   Login
}

// loginEdges holds all transitions of the login sequence, except that 421 always
// leads to Closing. Any other verb and code leaves the state unchanged.
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

// IsTransfer reports whether verb uses a data connection.
func IsTransfer(verb string) bool {
	switch verb {
	case "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD":
		return true
	}
	return false
}

// Stores reports whether verb uploads a file.
func Stores(verb string) bool { return verb == "STOR" || verb == "STOU" || verb == "APPE" }

// Step changes the state according to the code of a reply to verb. The verb of a greeting is "".
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
	case m.Pending == RenameFrom: // RNTO has used it, and any other verb cancels it
		m.Pending = NothingPending
	case m.Pending == RestartAt && endsRestart(verb, code):
		m.Pending = NothingPending
	}
}

// endsRestart reports whether a reply to verb cancels a restart offset. It is valid
// until a file transfer uses it or the login starts over. Clients send PASV, TYPE,
// SIZE or a listing between REST and the transfer, so these keep it.
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

// Params holds the transfer parameters (RFC 959 §3.1, §3.4). As in a Machine,
// they change with the server's reply and not with the command.
type Params struct {
	Type       Type
	Structure  Structure
	Mode       TransferMode
	Protection Protection
	OnlyEPSV   bool // EPSV ALL was accepted: until the next login, only EPSV may set up data connections (RFC 2428 §4)
	Sized      bool // PBSZ was accepted, which PROT requires (RFC 4217 §9)
}

// Step sets a parameter if the reply accepts the command. Client and server parse
// the argument with the same functions, so they cannot disagree about its value.
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

// take sets *p to the parsed argument. If arg cannot be parsed, *p keeps its value.
func take[T any](p *T, parse func(string) (T, error), arg string) {
	if v, err := parse(arg); err == nil {
		*p = v
	}
}
