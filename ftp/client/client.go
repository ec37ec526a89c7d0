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

// Options are how a Client connects and transfers. The zero value logs in as
// anonymous and uses passive mode.
type Options struct {
	User     string // "": anonymous
	Password string
	Account  string // sent only if the server asks for it (RFC 959 §4.1.1)

	// Mode says who opens data connections. The Client never changes it by itself:
	// active mode tells the server this host's own address.
	Mode ftp.DataMode
	// Verbs are those by which the addresses of data connections are told.
	Verbs Verbs
	// TransferMode is how files are laid on the data connection.
	TransferMode TransferMode
	// Level is how hard DeflateMode tries on either end, 1 to 9; 0: 6 here, and what the
	// server thinks best there.
	Level int
	// Timeout is how long nothing may happen while connecting, waiting for a
	// reply or moving data; 0 is 30 seconds.
	Timeout time.Duration
	// WorkTimeout is how long the server may be silent before it answers what takes work:
	// the end of an upload, HASH, RNTO. 0 is 3 minutes, or Timeout if that is longer.
	WorkTimeout time.Duration
	// ActivePorts is the range to listen in when active.
	ActivePorts dtp.PortRange
	// ActiveIP is announced in PORT and EPRT in place of the control connection's
	// own address, for a host behind NAT.
	ActiveIP netip.Addr
	// TrustPassiveHost dials the host that a 227 reply names. Without it only
	// its port is believed and the data connection goes to the control host.
	TrustPassiveHost bool
	// Rate is the limit in bytes per second of all transfers together; 0: none.
	Rate int64
	// KeepAlive is how often a transfer under way has NOOP sent on the control
	// connection, for servers and firewalls that end one that is silent for long; 0:
	// never. A server that does not answer them is left alone from then on.
	KeepAlive time.Duration
	// Charset is the encoding of names in a server that does not write them in UTF-8;
	// nil: as they are. With it UTF-8 is not asked for.
	Charset Charset
	// TLS says how the connections are protected; the zero value leaves them clear.
	// With TLS nothing is ever sent in the clear, whatever the server answers.
	TLS TLSMode
	// TLSConfig holds roots, a client certificate and the like; nil trusts the
	// system's roots. The server's name is that of Dial unless ServerName is set.
	TLSConfig *tls.Config
	// Dial replaces the dialer for control and data connections, for a proxy. It
	// is given the host as Dial got it, so that the proxy may resolve it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Observer is told what happens; see ftp.Observer.
	Observer ftp.Observer

	// What a Pool's connections share; nil: this one has its own.
	history *history
	ports   *dtp.Ports
}

// Verbs are ways to tell the address of a data connection.
type Verbs uint8

// The ways: RFC 2428's verbs with RFC 959's to fall back to, or one of them alone.
const (
	AnyVerbs      Verbs = iota
	ExtendedVerbs       // EPSV and EPRT
	ClassicVerbs        // PASV and PORT, which have no IPv6
)

// TLSMode is how TLS begins (RFC 4217).
type TLSMode uint8

// The TLS modes.
const (
	NoTLS       TLSMode = iota
	ExplicitTLS         // AUTH TLS behind the greeting; the server has to agree
	ImplicitTLS         // TLS first, the greeting after it: port 990
)

// DefaultTimeout is the Timeout of zero Options.
const DefaultTimeout = pi.DefaultTimeout

// DefaultWorkTimeout is the WorkTimeout of zero Options.
const DefaultWorkTimeout = pi.DefaultWorkTimeout

// Client is one control connection to a server (the user-PI of RFC 959). It
// does one operation at a time: a call while another one runs gives ErrBusy at
// once and changes nothing. Alive, Control, Features, Greeting and Close may be
// called at any time. For several transfers at once use several Clients.
//
// When the control connection dies, every call gives a *DeadError.
type Client struct {
	*connection
	returned atomic.Bool // to its Pool
}

// connection is what a Client works with. A Pool makes another Client of it each time
// that it is lent.
type connection struct {
	opts     Options
	pi       *pi.Conn
	greeting ftp.Reply
	halfLine bool // the last listing ended without the end of a line
	features ftp.Features
	ports    *dtp.Ports
	data     *dtp.Manager
	rate     *rate.Limiter

	busy    atomic.Bool
	looping atomic.Pointer[listLoop] // that the Client is taken by; nil: by something else

	// What only the running operation touches.
	history *history
	batcher bool   // the greeting is that of a server in the table of batchers
	cwd     string // the current directory, if it is known; ""
	offered *offer // the next data connection, agreed on together with SIZE
	hash    string // the algorithm that OPTS HASH selected
}

// Features is what the server listed in its answer to FEAT; empty if it has none.
func (c *Client) Features() ftp.Features { return c.features }

// Greeting is the first reply of the server.
func (c *Client) Greeting() ftp.Reply { return c.greeting }

// Control names the control connection.
func (c *Client) Control() ftp.Control { return *c.pi.Control() }

// Alive reports whether the control connection still stands, as far as is
// known without a word to the server.
func (c *Client) Alive() bool { return c.pi.Alive() }

// Close says QUIT, waits for its answer for a moment, and closes the
// connection. An operation that still runs is ended instead. It is safe to call
// Close twice.
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
// Verbs that open a data connection or change what its bytes mean are refused.
func (c *Client) Command(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	verb = strings.ToUpper(verb)
	switch verb {
	case "PORT", "EPRT", "PASV", "EPSV", "CPSV", "MODE", "STRU", "AUTH", "PBSZ", "PROT", "SSCN", "CCC":
		return ftp.Reply{}, errors.New(verb + " is not sent by hand: it would change what data connections mean")
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

// begin takes the Client for one operation, from the loop over a listing if need be.
func (c *Client) begin() error {
	if l := c.looping.Load(); l != nil && !l.free() {
		return ErrBusy
	}
	return c.beginNow()
}

// beginNow is begin that leaves a loop alone.
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
