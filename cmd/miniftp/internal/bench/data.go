package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// oldVerbs records that the server does not support EPSV or EPRT, so that PASV or PORT is used from then on.
type oldVerbs struct{ passive, active atomic.Bool }

// chunk returns the buffer from which uploads are written. It must not be modified.
var chunk = sync.OnceValue(func() []byte { return make([]byte, 1<<20) })

// readBuffers holds buffers for downloads, for connections whose data swallow can't discard.
var readBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// negotiate sets up a data connection with EPSV, PASV, EPRT or PORT. When it returns, in passive mode the
// connection has been dialed, and in active mode a port is open.
func (u *session) negotiate() (err error) {
	if u.b.opts.Mode == ftp.Active {
		return u.listen()
	}
	port, err := u.passive()
	if err != nil {
		return err
	}
	addr := netip.AddrPortFrom(u.peer, port)
	var conn net.Conn
	if u.b.opts.Dial != nil {
		conn, err = u.b.opts.Dial(u.ctx, "tcp", net.JoinHostPort(u.b.host, strconv.Itoa(int(port))))
	} else {
		conn, err = u.b.dialer.DialContext(u.ctx, "tcp", addr.String())
	}
	if err != nil {
		return dialProblem(u.ctx, &client.OpenError{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Err: pi.Cause(err)}, err)
	}
	u.data = conn
	return u.hold(conn)
}

// passive returns the port from EPSV or PASV. The address in a 227 is ignored: the client dials the host of the
// control connection.
func (u *session) passive() (uint16, error) {
	if !u.b.oldWay.passive.Load() {
		r, err := u.ask("EPSV", "")
		if err != nil {
			return 0, err
		}
		if r.Code == 229 {
			return ftp.Parse229(r.Text())
		}
		if !unknownVerb(r.Code) || !u.peer.Is4() {
			return 0, &ftp.Error{Verb: "EPSV", Reply: r}
		}
		u.b.oldWay.passive.Store(true)
	}
	r, err := u.ask("PASV", "")
	if err != nil {
		return 0, err
	}
	if r.Code != 227 {
		return 0, &ftp.Error{Verb: "PASV", Reply: r}
	}
	addr, err := ftp.Parse227(r.Text())
	return addr.Port(), err
}

// unknownVerb reports whether a reply code says that the server does not support the command.
func unknownVerb(code ftp.Code) bool {
	return code == 500 || code == 501 || code == 502 || code == 504 || code == 522
}

// listen opens a new port for the next data connection, as common clients do, and announces it.
func (u *session) listen() error {
	ln, err := u.port()
	if err != nil {
		return dialProblem(u.ctx, &client.LocalError{Err: pi.Cause(err)}, err)
	}
	u.listener = ln
	if err = u.hold(ln); err == nil {
		addr := netip.AddrPortFrom(u.local, dtp.AddrPort(ln.Addr()).Port())
		if ip := u.b.opts.ActiveIP; ip.IsValid() {
			addr = netip.AddrPortFrom(ip, addr.Port())
		}
		err = u.announce(addr)
	}
	if err != nil {
		u.drop()
	}
	return err
}

// port listens on a free port: any, or the first free one of --active-ports.
func (u *session) port() (ln net.Listener, err error) {
	within := u.b.opts.ActivePorts
	cfg := net.ListenConfig{KeepAlive: -1}
	for p := int(within.First); p <= int(within.Last); p++ {
		if ln, err = cfg.Listen(context.Background(), "tcp", netip.AddrPortFrom(u.local, uint16(p)).String()); err == nil {
			return ln, nil
		}
	}
	return nil, err
}

// announce sends EPRT or PORT.
func (u *session) announce(addr netip.AddrPort) error {
	if !u.b.oldWay.active.Load() {
		r, err := u.ask("EPRT", ftp.FormatEPRT(addr))
		if err != nil || r.Code.Class() == ftp.Completion {
			return err
		}
		if !unknownVerb(r.Code) || !addr.Addr().Is4() {
			return &ftp.Error{Verb: "EPRT", Reply: r}
		}
		u.b.oldWay.active.Store(true)
	}
	return u.do("PORT", ftp.FormatHostPort(addr))
}

// start sends a transfer command, waits for its first reply, and returns the data connection that negotiate has
// negotiated, with TLS if the session uses it.
func (u *session) start(verb, arg string) (net.Conn, error) {
	r, err := u.ask(verb, arg)
	if err = refusedBy(verb, r, err); err != nil {
		u.drop()
		return nil, err
	}
	u.over = r.Code.Class() == ftp.Completion // some servers send no 150 if there is nothing to send
	conn := u.data
	for u.listener != nil {
		if conn, err = u.listener.Accept(); err != nil {
			u.drop()
			return nil, dialProblem(u.ctx, &client.OpenError{Mode: ftp.Active, Stance: ftp.Listens, Addr: netip.AddrPortFrom(u.local, 0), Err: pi.Cause(err)}, err)
		}
		if dtp.AddrPort(conn.RemoteAddr()).Addr() != u.peer {
			_ = conn.Close() // from another host
			continue
		}
		_ = u.listener.Close()
		u.listener, u.data = nil, conn
		if err = u.hold(conn); err != nil {
			return nil, err
		}
	}
	security := u.pi.Security()
	if security == nil {
		return conn, nil
	}
	secure := security.Data(conn)
	if err := u.shakeHands(secure); err != nil {
		u.drop()
		return nil, err
	}
	return secure, nil
}

// drop closes the data connection or the port for it.
func (u *session) drop() {
	if u.listener != nil {
		_ = u.listener.Close()
	}
	if u.data != nil {
		_ = u.data.Close()
	}
	u.listener, u.data = nil, nil
	_ = u.hold(nil)
}

// finish reads the final reply to a transfer.
func (u *session) finish(verb string) error {
	if u.over {
		return nil
	}
	r, err := u.reply(verb)
	return refusedBy(verb, r, err)
}

// drain reads conn to its end and discards the data. first is when the first byte arrived.
func (u *session) drain(conn net.Conn) (n int64, first time.Time, err error) {
	if n, first, ok, err := swallow(conn); ok {
		return n, first, u.brokenBy(err)
	}
	buf := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buf)
	for {
		m, err := conn.Read(*buf)
		if n == 0 && m > 0 {
			first = time.Now()
		}
		n += int64(m)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the caller compares sizes
			return n, first, nil
		}
		if err != nil {
			return n, first, u.brokenBy(err)
		}
	}
}

// brokenBy returns err, from a data connection, as a *dtp.BrokenError, or the reason why the context has ended.
func (u *session) brokenBy(err error) error {
	switch {
	case err == nil:
		return nil
	case u.ctx.Err() != nil:
		return context.Cause(u.ctx)
	}
	return &dtp.BrokenError{Err: pi.Cause(err)}
}

// fetch does a RETR or a listing after negotiate. size is the expected number of bytes, or -1 if it is unknown.
func (u *session) fetch(verb, arg string, size int64, f *figures) error {
	sent := time.Now()
	conn, err := u.start(verb, arg)
	if err != nil {
		return err
	}
	begun := time.Now()
	n, first, err := u.drain(conn)
	u.drop() // before reading the reply: some servers wait for our FIN
	if err == nil {
		err = u.finish(verb)
	}
	if err == nil && size >= 0 && n != size {
		err = &client.TruncatedError{Want: size, Got: n}
	}
	if err == nil {
		f.fetched(n, begun.Sub(sent), first.Sub(sent), time.Since(sent))
	}
	return err
}

// retrieve calls negotiate and fetch.
func (u *session) retrieve(verb, arg string, size int64, f *figures) error {
	if err := u.negotiate(); err != nil {
		return err
	}
	return u.fetch(verb, arg, size, f)
}

// store uploads size bytes, made by repeating content.
func (u *session) store(name string, size int64, content []byte) error {
	if err := u.negotiate(); err != nil {
		return err
	}
	conn, err := u.start("STOR", name)
	if err != nil {
		return err
	}
	for size > 0 && err == nil {
		var n int
		n, err = conn.Write(content[:min(size, int64(len(content)))])
		size -= int64(n)
		if u.moved != nil {
			u.moved()
		}
	}
	if secure, ok := conn.(*tls.Conn); ok && err == nil {
		err = endTLS(secure)
	}
	u.drop()
	if err = u.brokenBy(err); err != nil && u.ctx.Err() != nil {
		return err
	}
	return verb.FirstError(u.finish("STOR"), err) // the reply tells more than the error of the connection
}

// endTLS ends an upload so that its last byte arrives. It sends close_notify and FIN, and then reads what the
// server still sends, because closing a socket with unread bytes would reset the connection.
func endTLS(conn *tls.Conn) error {
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
		_ = tcp.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.Copy(io.Discard, io.LimitReader(tcp, 64<<10))
	}
	return nil
}
