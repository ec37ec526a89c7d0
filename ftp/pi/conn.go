package pi

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// maxLine bounds one line of a reply, in bytes.
const maxLine = 64 << 10

// Conn is one control connection, seen by the user. It is used by one goroutine at a time;
// Alive, Err, Tell, Control, Fail and Close may be called at any time.
type Conn struct {
	cfg     Config
	addr    string // host and port
	host    string // as Dial got it
	control *ftp.Control
	raw     net.Conn // the TCP connection
	conn    net.Conn // raw, or TLS over it

	security *dtp.Security // nil: the connection is clear
	lines    *ftp.LineReader
	late     atomic.Int64 // SetPatience, in nanoseconds; 0: as the Config says
	work     bool         // what is waited for may take WorkTimeout

	dead  atomic.Pointer[DeadError]
	tells sync.Mutex // orders events

	ahead *ahead // the replies as they come, behind Watch; nil: they are read when asked for

	out     []byte // the last commands, to reuse its memory
	left    int    // replies that may come before the next command is sent
	machine ftp.Machine
	params  ftp.Params
	secrets ftp.Secrets
	account string // for a 332
	// stray: a second final reply of the last transfer may still be on its way.
	stray bool
}

var lastID atomic.Uint64

// New makes a Conn of a connection to a server. addr, host and port, names the server in
// errors, and its host is whom the certificate has to be for. The greeting is not read yet.
func New(conn net.Conn, addr string, cfg Config) *Conn {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	c := &Conn{cfg: cfg.withDefaults(), addr: addr, host: host, raw: conn, conn: conn, left: maxReplies}
	c.control = &ftp.Control{
		ID: lastID.Add(1), Side: ftp.UserPI,
		Local: dtp.AddrPort(conn.LocalAddr()), Remote: dtp.AddrPort(conn.RemoteAddr()),
	}
	c.lines = ftp.NewLineReader(wire{c}, maxLine)
	c.Tell(ftp.ControlOpened{})
	return c
}

// Control names the connection.
func (c *Conn) Control() *ftp.Control { return c.control }

// Addr is the server as it was dialed, host and port.
func (c *Conn) Addr() string { return c.addr }

// Host is the host of Addr, the name that certificates are for.
func (c *Conn) Host() string { return c.host }

// Peer is the server's end of the connection, 0.0.0.0:0 if it has no address of its own, as
// that of a proxy.
func (c *Conn) Peer() netip.AddrPort {
	if c.control.Remote.IsValid() {
		return c.control.Remote
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// Machine is the state that the replies so far have led to.
func (c *Conn) Machine() ftp.Machine { return c.machine }

// Params are the transfer parameters that the replies so far have set.
func (c *Conn) Params() ftp.Params { return c.params }

// Security is the TLS of the connection, for its data connections; nil if it is clear.
func (c *Conn) Security() *dtp.Security { return c.security }

// TLS describes the TLS of the connection; false if it is clear.
func (c *Conn) TLS() (tls.ConnectionState, bool) {
	conn, ok := c.conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return conn.ConnectionState(), true
}

// Mask hides the passwords that were sent over the connection in a text.
func (c *Conn) Mask(text string) string { return c.secrets.Mask(text) }

// Err is why the connection is gone, a *DeadError; nil while it stands.
func (c *Conn) Err() error {
	if d := c.dead.Load(); d != nil {
		return d
	}
	return nil
}

// Alive reports whether the connection still stands, as far as is known without a word to
// the server.
func (c *Conn) Alive() bool {
	return c.dead.Load() == nil && (c.ahead == nil || !c.ahead.gone.Load())
}

// Fail gives the connection up, once; the first cause is the one that lasts. It returns the
// *DeadError.
func (c *Conn) Fail(cause error) error {
	d := &DeadError{Err: cause}
	if !c.dead.CompareAndSwap(nil, d) {
		return c.dead.Load()
	}
	if c.ahead != nil {
		close(c.ahead.quit)
	}
	_ = c.raw.Close() // below TLS, whose Close would wait for whoever writes
	if errors.Is(cause, ErrClosed) {
		cause = nil
	}
	c.Tell(ftp.ControlClosed{Err: cause})
	return d
}

// Close closes the connection without a word and waits for its goroutine, if it has one.
func (c *Conn) Close() error {
	_ = c.Fail(ErrClosed)
	if c.ahead != nil {
		c.ahead.stopped.Wait()
	}
	return nil
}

// Tell passes an event on to the Observer, in order, from whichever goroutine it comes.
func (c *Conn) Tell(what ftp.Happening) {
	if c.cfg.Observer == nil {
		return
	}
	c.tells.Lock()
	defer c.tells.Unlock()
	c.cfg.Observer.Observe(ftp.Event{At: time.Now(), Control: c.control, What: what})
}
