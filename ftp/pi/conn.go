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

// maxLine is the maximum length of a line of a reply, in bytes.
const maxLine = 64 << 10

// Conn is the user's end of a control connection. One goroutine at a time may use it, except for Alive,
// Err, Tell, Control, SetPatience, Fail and Close, which may be called at any time.
//
// There are two ways to read replies. By default a reply is read when a method waits for it. After
// Watch a goroutine reads all replies as they arrive.
type Conn struct {
	cfg     Config
	addr    string // host and port
	host    string // as given to Dial
	control *ftp.Control
	raw     net.Conn // the TCP connection
	conn    net.Conn // raw, or TLS over it

	security *dtp.Security // nil: in the clear
	lines    *ftp.LineReader
	override atomic.Int64 // the time set by SetPatience, in nanoseconds; 0: that of the Config
	work     bool         // the next reply may take WorkTimeout

	dead  atomic.Pointer[DeadError]
	tells sync.Mutex // held while the Observer is called, so that it gets one event at a time

	ahead *ahead // after Watch; else nil

	out     []byte // the buffer of Write
	left    int    // how many more replies are accepted before the next command
	machine ftp.Machine
	params  ftp.Params
	secrets ftp.Secrets
	account string // for a 332
	stray   bool   // a second final reply to the last transfer may still arrive
}

var lastID atomic.Uint64

// New returns a Conn over an open connection to a server. addr, host and port, is used in errors; the
// server's certificate must be valid for its host. New does not read the greeting.
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

// Control identifies the connection in events.
func (c *Conn) Control() *ftp.Control { return c.control }

// Addr returns the host and port that were dialed.
func (c *Conn) Addr() string { return c.addr }

// Host returns the host of Addr, for which the server's certificate must be valid.
func (c *Conn) Host() string { return c.host }

// Peer returns the remote address of the connection, or 0.0.0.0:0 if there is none, as with some proxies.
func (c *Conn) Peer() netip.AddrPort {
	if c.control.Remote.IsValid() {
		return c.control.Remote
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// Machine returns the state of the session after the replies so far.
func (c *Conn) Machine() ftp.Machine { return c.machine }

// Params returns the transfer parameters after the replies so far.
func (c *Conn) Params() ftp.Params { return c.params }

// Security returns the TLS of the connection, for its data connections, or nil.
func (c *Conn) Security() *dtp.Security { return c.security }

// TLS returns the state of the connection's TLS. It returns false if the connection is in the clear.
func (c *Conn) TLS() (tls.ConnectionState, bool) {
	conn, ok := c.conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return conn.ConnectionState(), true
}

// Mask replaces passwords that were sent over the connection in text.
func (c *Conn) Mask(text string) string { return c.secrets.Mask(text) }

// Err returns why the connection has ended, a *DeadError, or nil.
func (c *Conn) Err() error {
	if d := c.dead.Load(); d != nil {
		return d
	}
	return nil
}

// Alive reports whether the connection is open, as far as is known without sending anything.
func (c *Conn) Alive() bool {
	return c.dead.Load() == nil && (c.ahead == nil || !c.ahead.gone.Load())
}

// Fail closes the connection because of cause and returns a *DeadError. If the connection has failed before,
// the first cause remains.
func (c *Conn) Fail(cause error) error {
	d := &DeadError{Err: cause}
	if !c.dead.CompareAndSwap(nil, d) {
		return c.dead.Load()
	}
	if c.ahead != nil {
		close(c.ahead.quit)
	}
	_ = c.raw.Close() // not the TLS connection, whose Close would wait for a running Write
	if errors.Is(cause, ErrClosed) {
		cause = nil
	}
	c.Tell(ftp.ControlClosed{Err: cause})
	return d
}

// Close closes the connection without QUIT and waits for the goroutine of Watch.
func (c *Conn) Close() error {
	_ = c.Fail(ErrClosed)
	if c.ahead != nil {
		c.ahead.stopped.Wait()
	}
	return nil
}

// Tell reports an event to the Observer. Any goroutine may call it.
func (c *Conn) Tell(what ftp.Happening) {
	if c.cfg.Observer == nil {
		return
	}
	c.tells.Lock()
	defer c.tells.Unlock()
	c.cfg.Observer.Observe(ftp.Event{At: time.Now(), Control: c.control, What: what})
}
