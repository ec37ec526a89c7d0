package ftp

import (
	"net/netip"
	"time"
)

// Observer is told what happens on control and data connections. One stream of
// events feeds logs, metrics, the explain ladder and tests. Observe is called
// in the order of things for one control connection, and from several
// goroutines for several of them; it must not block. Events never hold a
// secret: passwords are masked.
type Observer interface {
	Observe(Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(Event)

// Observe calls f.
func (f ObserverFunc) Observe(e Event) { f(e) }

// Event is one thing that happened.
type Event struct {
	At      time.Time
	Control *Control  // the control connection it belongs to
	What    Happening // one of the types below
}

// Control names one control connection. It does not change once it is open.
type Control struct {
	ID     uint64         // counts up within one server or process
	Side   Side           // whose view this is
	Local  netip.AddrPort // our end
	Remote netip.AddrPort // the peer's end
}

// Happening is the closed set of what an Event can tell.
type Happening interface{ happening() }

type (
	// ControlOpened tells that the control connection stands.
	ControlOpened struct{}

	// DialFailed tells that a client's control connection did not come about. No other event
	// of that Control follows.
	DialFailed struct {
		Addr string // host and port
		Err  error
	}

	// CommandGiven tells that a command went over the control connection, from user to server.
	CommandGiven struct{ Command Command } // masked

	// ReplyGiven tells that a reply went over the control connection, from server to user.
	// Verb is the command that it answers, "" for a greeting.
	ReplyGiven struct {
		Verb  string
		Reply Reply
	}

	// DataOffered tells that an address for a data connection travelled over the control
	// connection: as the argument of PORT or EPRT, or in a 227 or 229 reply.
	DataOffered struct {
		Mode   DataMode
		Stance Stance         // what this end will do
		Addr   netip.AddrPort // where one end listens
		Said   string         // "PORT", "EPRT", "227" or "229"
	}

	// DataOpened tells that the data connection stands.
	DataOpened struct {
		Mode   DataMode
		Stance Stance
		Local  netip.AddrPort
		Remote netip.AddrPort
		Took   time.Duration // since this end began to wait or dial
	}

	// ControlSecured tells that the control connection is under TLS from now on.
	ControlSecured struct{ TLS TLS }

	// DataSecured tells that the data connection is under TLS.
	DataSecured struct{ TLS TLS }

	// ControlCleared tells that CCC took TLS off the control connection again.
	ControlCleared struct{}

	// DataFailed tells that the data connection did not come about, or an address was refused.
	DataFailed struct {
		Mode   DataMode
		Stance Stance
		Addr   netip.AddrPort // where this end listened or dialed
		Err    error
	}

	// StrangerRefused tells that somebody other than the peer called on a data port. The wait goes on.
	StrangerRefused struct{ Remote netip.AddrPort }

	// Refused tells that the server did not let a caller in, or did not let a user do
	// something. Why is for the log, not for the peer.
	Refused struct {
		Why    string
		Reason Reason // the rule that decided
		Verb   string // of the command that was refused; "" if it was none
		Path   string // that the command was about, virtual and absolute; "" if there is none
	}

	// Changed tells that a command that changes files was answered: carried out, or, as the
	// Reply says, not. An upload that has begun is told by TransferDone instead.
	Changed struct {
		Verb  string
		Path  string // virtual and absolute
		To    string // RNTO: the new name, likewise; else ""
		Reply Reply
	}

	// Listed tells that a line of a listing came, as the server wrote it. Only clients tell it.
	Listed struct{ Line string }

	// TransferDone tells that a transfer is over. Err is nil when it is whole.
	TransferDone struct {
		Verb      string
		Path      string // virtual and absolute on the server's side, as given on the client's
		Direction Direction
		Mode      DataMode
		Offset    int64 // where it started: REST
		Bytes     int64 // that went over the data connection
		Took      time.Duration
		// Protection is that of the data connection: Private is TLS.
		Protection Protection
		Err        error
	}

	// LoggedInAs tells that a user was accepted.
	LoggedInAs struct{ User string }

	// ControlClosed tells that the control connection is gone; Err says why if not by QUIT.
	ControlClosed struct{ Err error }
)

// TLS describes a TLS connection.
type TLS struct {
	Version string // "TLS 1.3"
	Suite   string // "TLS_AES_128_GCM_SHA256"
	Resumed bool   // it goes on with an earlier session
	Peer    string // the subject of the peer's certificate; "" if it showed none
}

func (ControlOpened) happening()   {}
func (DialFailed) happening()      {}
func (ControlSecured) happening()  {}
func (DataSecured) happening()     {}
func (ControlCleared) happening()  {}
func (CommandGiven) happening()    {}
func (ReplyGiven) happening()      {}
func (DataOffered) happening()     {}
func (DataOpened) happening()      {}
func (DataFailed) happening()      {}
func (StrangerRefused) happening() {}
func (Refused) happening()         {}
func (Changed) happening()         {}
func (Listed) happening()          {}
func (TransferDone) happening()    {}
func (LoggedInAs) happening()      {}
func (ControlClosed) happening()   {}
