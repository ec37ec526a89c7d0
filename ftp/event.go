package ftp

import (
	"net/netip"
	"time"
)

// Observer receives the events of control and data connections. Logs, metrics,
// miniftp's --explain and tests are all built on this one stream of events.
//
// The events of one control connection arrive in the order in which they
// happened. Those of several connections may arrive concurrently. Observe must
// not block. Passwords in events are masked.
type Observer interface {
	Observe(Event)
}

// ObserverFunc is an adapter that lets a function serve as an Observer.
type ObserverFunc func(Event)

// Observe calls f.
func (f ObserverFunc) Observe(e Event) { f(e) }

// Event is something that happened on a control connection, or on one of its data connections.
type Event struct {
	At      time.Time
	Control *Control  // the control connection that the event belongs to
	What    Happening // what happened: one of the types below, such as CommandGiven
}

// Control identifies a control connection. It does not change after ControlOpened.
type Control struct {
	ID     uint64         // unique within one server or process, and increasing
	Side   Side           // the side that reports the event
	Local  netip.AddrPort // the local address
	Remote netip.AddrPort // the address of the peer
}

// Happening is implemented by the types of events, all of which this package defines.
type Happening interface{ happening() }

type (
	// ControlOpened is emitted when the control connection is open.
	ControlOpened struct{}

	// DialFailed is emitted when a client could not open its control connection. It is the only
	// event of its Control.
	DialFailed struct {
		Addr string // host and port
		Err  error
	}

	// CommandGiven is emitted when a command was sent by a client, or received by a server.
	CommandGiven struct{ Command Command } // masked

	// ReplyGiven is emitted when a reply was sent by a server, or received by a client. Verb is
	// that of the command it answers; it is "" for a greeting.
	ReplyGiven struct {
		Verb  string
		Reply Reply
	}

	// DataOffered is emitted when an address for a data connection was sent or received over
	// the control connection: as the argument of PORT or EPRT, or in a 227 or 229 reply.
	DataOffered struct {
		Mode   DataMode
		Stance Stance         // whether this side listens or dials
		Addr   netip.AddrPort // the address that one side listens on
		Said   string         // how it was sent: "PORT", "EPRT", "227" or "229"
	}

	// DataOpened is emitted when the data connection is open.
	DataOpened struct {
		Mode   DataMode
		Stance Stance
		Local  netip.AddrPort
		Remote netip.AddrPort
		Took   time.Duration // since this side began to wait or dial
	}

	// ControlSecured is emitted when the TLS handshake on the control connection has succeeded.
	ControlSecured struct{ TLS TLS }

	// DataSecured is emitted when the TLS handshake on the data connection has succeeded.
	DataSecured struct{ TLS TLS }

	// ControlCleared is emitted when CCC has ended TLS on the control connection.
	ControlCleared struct{}

	// DataFailed is emitted when the data connection could not be opened, or when an offered
	// address was refused.
	DataFailed struct {
		Mode   DataMode
		Stance Stance
		Addr   netip.AddrPort // where this side listened or dialed
		Err    error
	}

	// StrangerRefused is emitted when a host other than the peer connected to a data port. The
	// connection was closed, and the port still waits for the peer.
	StrangerRefused struct{ Remote netip.AddrPort }

	// Refused is emitted when the server refused a client's connection, a login or a command.
	// Why is for the log and may hold details that the client must not see.
	Refused struct {
		Why    string
		Reason Reason // the rule that decided
		Verb   string // of the refused command; "" if no command was refused
		User   string // of a refused login: the name that was tried; else ""
		Path   string // the path the command was about, virtual and absolute; "" if there is none
	}

	// Changed is emitted when the server has answered a command that changes files. Reply shows
	// whether the command succeeded. For an upload that has begun, TransferDone is emitted
	// instead.
	Changed struct {
		Verb  string
		Path  string // virtual and absolute
		To    string // of RNTO: the new path, virtual and absolute; else ""
		Reply Reply
	}

	// Listed is emitted by clients for each line of a listing. Line is as the server sent it.
	Listed struct{ Line string }

	// TransferDone is emitted when a transfer has ended. Err is nil if it is complete.
	TransferDone struct {
		Verb      string
		Path      string // on a server virtual and absolute; on a client as the caller gave it
		Direction Direction
		Mode      DataMode
		Offset    int64 // the offset that REST set
		Bytes     int64 // the number of bytes on the data connection
		Took      time.Duration
		// Protection is that of the data connection: Private means TLS.
		Protection Protection
		// SHA256 is that of the whole file after an upload, in hex, if server.Options.HashUploads is set; else "".
		SHA256 string
		// Doubt says why an upload may be cut short although it counts as complete, because its account accepts such
		// ends (server.Account.Accept): "hang-up", "no-close-notify", or both; else "".
		Doubt string
		Err   error
	}

	// LoggedInAs is emitted when a user has logged in.
	LoggedInAs struct{ User string }

	// ControlClosed is emitted when the control connection is closed. Err is nil after QUIT;
	// otherwise it is the cause.
	ControlClosed struct{ Err error }
)

// TLS describes a TLS connection.
type TLS struct {
	Version string // "TLS 1.3"
	Suite   string // "TLS_AES_128_GCM_SHA256"
	Resumed bool   // whether it resumes an earlier TLS session
	Peer    string // the subject of the peer's certificate; "" if it sent none
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
