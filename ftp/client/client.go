package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// Options configure how a Client connects and transfers. The zero value logs in as
// anonymous and uses passive mode.
type Options struct {
	User     string // "": anonymous
	Password string
	Account  string // sent only if the server asks for it (RFC 959 §4.1.1)

	// Mode is passive or active: who opens data connections. The Client never changes it by
	// itself, because active mode reveals this host's address to the server.
	Mode ftp.DataMode
	// Verbs selects the commands that announce the addresses of data connections.
	Verbs Verbs
	// TransferMode is the format of files on the data connection.
	TransferMode TransferMode
	// Level is the compression level of DeflateMode on both sides, 1 to 9. With 0 this side
	// uses 6, and the server its own default.
	Level int
	// Timeout limits how long the Client waits without progress while it connects, waits for a
	// reply or moves data. 0 means 30 seconds.
	Timeout time.Duration
	// WorkTimeout limits how long the server may be silent before it answers a command that may
	// take work: the end of an upload, HASH, RNTO. 0 means 3 minutes, or Timeout if that is longer.
	WorkTimeout time.Duration
	// ActivePorts is the range of ports to listen on in active mode.
	ActivePorts dtp.PortRange
	// ActiveIP is announced in PORT and EPRT instead of the control connection's local
	// address, for a host behind NAT.
	ActiveIP netip.Addr
	// TrustPassiveHost has the Client dial the host that a 227 reply names. Without it only the
	// port of the reply is used, and the data connection goes to the host of the control connection.
	TrustPassiveHost bool
	// Rate limits the bytes per second of all transfers together. 0 means no limit.
	Rate int64
	// KeepAlive is the interval at which NOOP is sent on the control connection during a
	// transfer, because some servers and firewalls close a connection that is silent for long.
	// 0 means never. If the server does not answer these, the Client stops sending them.
	KeepAlive time.Duration
	// Charset is the encoding of file names on a server that does not use UTF-8. nil leaves
	// names as they are. If it is set, the Client does not ask for UTF-8.
	Charset Charset
	// TLS selects how the connections are protected. The zero value does not protect them. With
	// any other value nothing is ever sent unprotected, whatever the server answers.
	TLS TLSMode
	// TLSConfig holds roots, a client certificate and the like. nil trusts the system's roots.
	// The server's name is that given to Dial unless ServerName is set.
	TLSConfig *tls.Config
	// Dial replaces the dialer for control and data connections, for example to use a proxy. It
	// is given the host as Dial got it, so that the proxy may resolve the name.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Observer receives the events of the Client; see ftp.Observer.
	Observer ftp.Observer

	// The connections of a Pool share these. nil: the Client makes its own.
	history *history
	ports   *dtp.Ports
}

// Verbs selects the commands that announce the address of a data connection.
type Verbs uint8

// The choices: the verbs of RFC 2428 with a fallback to those of RFC 959, or only one of the two.
const (
	AnyVerbs      Verbs = iota
	ExtendedVerbs       // EPSV and EPRT
	ClassicVerbs        // PASV and PORT, which can't name an IPv6 address
)

// TLSMode selects how TLS begins (RFC 4217).
type TLSMode uint8

// The TLS modes.
const (
	NoTLS       TLSMode = iota
	ExplicitTLS         // AUTH TLS after the greeting; the server has to accept it
	ImplicitTLS         // TLS first, then the greeting; usually on port 990
)

// DefaultTimeout is the Timeout of Options that set none.
const DefaultTimeout = pi.DefaultTimeout

// DefaultWorkTimeout is the WorkTimeout of Options that set none.
const DefaultWorkTimeout = pi.DefaultWorkTimeout

// Client is one control connection to a server (the user-PI of RFC 959). It does one operation
// at a time: a method that is called while another one runs returns ErrBusy at once and changes
// nothing. Alive, Control, Features, Greeting and Close may be called at any time. Use several
// Clients, or a Pool, to run several transfers at once.
//
// After the control connection has failed, every method returns a *DeadError.
type Client struct {
	*connection
	returned atomic.Bool // it was put back into its Pool
}

// connection is the state of a control connection. It is separate from Client because a Pool
// lends one connection many times, each time inside a new Client: a caller that keeps a Client
// after Put can't disturb the next borrower.
type connection struct {
	opts     Options
	pi       *pi.Conn
	greeting ftp.Reply
	halfLine bool // the last listing ended within a line
	features ftp.Features
	ports    *dtp.Ports
	data     *dtp.Manager
	rate     *rate.Limiter

	busy    atomic.Bool
	looping atomic.Pointer[listLoop] // the listing loop that holds busy; nil: another operation does

	// Only the operation that holds busy may touch these.
	history *history
	batcher bool   // the greeting is that of a server in the table of batchers
	cwd     string // the current directory, "" if it is not known
	offered *offer // the next data connection, negotiated in advance, together with SIZE
	hash    string // the algorithm selected by OPTS HASH
}

// Features returns the features that the server listed in reply to FEAT. They are empty if it
// does not support FEAT.
func (c *Client) Features() ftp.Features { return c.features }

// Greeting returns the first reply of the server.
func (c *Client) Greeting() ftp.Reply { return c.greeting }

// Control describes the control connection.
func (c *Client) Control() ftp.Control { return *c.pi.Control() }

// Alive reports whether the control connection is open, as far as is known without sending
// a command.
func (c *Client) Alive() bool { return c.pi.Alive() }

// Close sends QUIT, waits briefly for the reply and closes the connection. If an operation is
// still running, Close ends it and sends no QUIT. Close may be called more than once.
func (c *Client) Close() error {
	if c.beginNow() == nil {
		_ = c.pi.Quit()
		c.dropOffer()
		c.end()
	}
	return c.pi.Close()
}

// Command sends one command that needs no data connection, such as SITE, HELP
// or NOOP, and returns the final reply. A 4xx or 5xx reply is also an *ftp.Error.
// Verbs that open a data connection or change what its bytes mean are rejected.
func (c *Client) Command(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	verb = strings.ToUpper(verb)
	switch verb {
	case "PORT", "EPRT", "PASV", "EPSV", "CPSV", "MODE", "STRU", "AUTH", "PBSZ", "PROT", "SSCN", "CCC":
		return ftp.Reply{}, errors.New(verb + " can't be sent as a plain command: it would change how data connections work")
	}
	if ftp.IsTransfer(verb) {
		return ftp.Reply{}, errors.New(verb + " needs a data connection: use the method for it")
	}
	if err := c.begin(); err != nil {
		return ftp.Reply{}, err
	}
	defer c.end()
	return c.do(ctx, verb, arg)
}

// begin acquires the Client for one operation, if need be from a loop over a listing. Each
// successful begin needs an end.
func (c *Client) begin() error {
	if l := c.looping.Load(); l != nil && !l.free() {
		return ErrBusy
	}
	return c.beginNow()
}

// beginNow is like begin, but returns ErrBusy if a listing loop holds the Client.
func (c *Client) beginNow() error {
	if c.returned.Load() {
		return errReturned
	}
	if !c.busy.CompareAndSwap(false, true) {
		return ErrBusy
	}
	if err := c.pi.Err(); err != nil {
		c.end()
		return err
	}
	return nil
}

func (c *Client) end() {
	if c.dead() {
		c.dropOffer()
	}
	c.busy.Store(false)
}
