package fxp

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// end is one of the two servers of a copy. Its states, during a transfer:
//
//	ready      parameters are set, the address was exchanged
//	sent       the transfer command was sent
//	begun      a 150 was received, or a 200 in its place
//	over       the final reply was received, or the connection failed (lost)
//
// A copy ends when both are over. watch waits for that, abortRunning aborts what is not over, verdict judges.
type end struct {
	c         *client.Client
	pi        *pi.Conn // valid within raw
	source    bool
	verb, arg string // the transfer command

	sent    bool
	begun   bool // a preliminary reply was received
	final   ftp.Reply
	lost    error // why the control connection failed
	aborted bool  // ABOR was sent: the final reply may only confirm it
}

func (e *end) over() bool { return e.final.Code != 0 || e.lost != nil }

// good reports whether this server has reported success.
func (e *end) good() bool { return e.lost == nil && e.final.Code.Class() == ftp.Completion }

// take handles one reply to the transfer command.
func (e *end) take(r ftp.Reply, ok bool) {
	if !ok {
		e.lost = e.pi.Lost()
		return
	}
	if err := e.pi.Take(e.command(), r); err != nil {
		e.lost = err
		return
	}
	switch {
	case r.Code.Class() == ftp.Preliminary, r.Code == 200 && !e.begun: // some servers send a 200 before the 150
		e.begun = true
	case e.final.Code == 0:
		e.final = r
	}
}

// replies returns the replies of a server. It is nil if no more are expected.
func (e *end) replies() <-chan ftp.Reply {
	if e.over() {
		return nil
	}
	return e.pi.Replies()
}

// start sends the transfer command, unless the server has refused without being asked: some do so as soon as
// an unknown host connects to their data port.
func (e *end) start() {
	select {
	case r, ok := <-e.replies():
		if e.take(r, ok); e.lost != nil || pi.Refusal(e.verb, e.final) != nil {
			return
		}
		e.final, e.begun = ftp.Reply{}, false // ignore it: nothing had been asked
	default:
	}
	e.lost = e.pi.Send(e.command())
	e.sent = e.lost == nil
}

// untilReady waits for the first reply of a server. One that listens may send none before the other one
// connects.
func (e *end) untilReady(ctx context.Context, w way) error {
	wait := pi.ShortWait
	if w.listener == e {
		wait = listenerWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for !e.over() && !e.begun {
		select {
		case r, ok := <-e.replies():
			e.take(r, ok)
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// sscnOff undoes SSCN ON, which would also apply to later transfers.
func (e *end) sscnOff(ctx context.Context) {
	if e.pi.Err() != nil {
		return
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), pi.ShortWait)
	defer cancel()
	if _, err := e.pi.Do(after, "SSCN", "OFF"); err != nil {
		_ = e.pi.Fail(err)
	}
}

// listen asks the server for an address that the other one can dial.
func (e *end) listen(ctx context.Context, w way) (netip.AddrPort, error) {
	o := e.c.Options()
	host, other := e.address(), w.dialer.address()
	switch {
	case host.IsUnspecified() && !o.TrustPassiveHost:
		return netip.AddrPort{}, errProxied
	case !host.IsUnspecified() && !other.IsUnspecified() && host.Is4() != other.Is4():
		return netip.AddrPort{}, errFamilies
	case host.IsLoopback() && !other.IsLoopback() && !o.TrustPassiveHost:
		return netip.AddrPort{}, errLoopback
	}
	if !w.cpsv && !o.TrustPassiveHost || host.Is6() {
		if addr, ok, err := e.epsv(ctx, host); ok || err != nil {
			return addr, err
		}
	}
	verb := "PASV"
	if w.cpsv {
		verb = "CPSV"
	}
	r, err := e.pi.Do(ctx, verb, "")
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := ftp.Parse227(r.Text())
	switch {
	case err != nil:
		return addr, unusable(verb, r)
	case o.TrustPassiveHost:
	case addr.Addr() != host:
		return addr, &HostError{Named: addr.Addr(), Server: host}
	}
	if addr.Port() < 1024 {
		return addr, unusable(verb, r)
	}
	e.pi.Tell(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: "227"})
	return addr, nil
}

// epsv asks for the address by EPSV. ok is false if PASV has to be used.
func (e *end) epsv(ctx context.Context, host netip.Addr) (addr netip.AddrPort, ok bool, err error) {
	o := e.c.Options()
	only := host.Is6() || o.Verbs == client.ExtendedVerbs
	if !only && o.Verbs == client.ClassicVerbs {
		return addr, false, nil
	}
	r, err := e.pi.Exchange(ctx, "EPSV", "")
	if err != nil {
		return addr, false, err
	}
	port, bad := ftp.Parse229(r.Text())
	if r.Code == 229 && bad == nil && port >= 1024 {
		addr = netip.AddrPortFrom(host, port)
		e.pi.Tell(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: "229"})
		return addr, true, nil
	}
	if only || r.Code == 530 {
		return addr, false, unusable("EPSV", r)
	}
	return addr, false, nil
}

// announce sends the server the address on which the other one listens.
func (e *end) announce(ctx context.Context, addr netip.AddrPort) error {
	verb, arg := "PORT", ""
	if addr.Addr().Is6() || e.c.Options().Verbs == client.ExtendedVerbs {
		verb, arg = "EPRT", ftp.FormatEPRT(addr)
	} else {
		arg = ftp.FormatHostPort(addr)
	}
	_, err := e.pi.Do(ctx, verb, arg)
	return err
}

// unusable returns the error for a reply that refuses the command or can't be parsed.
func unusable(verb string, r ftp.Reply) error {
	if err := pi.Refusal(verb, r); err != nil {
		return err
	}
	return fmt.Errorf("can't parse the reply to %s: %v", verb, r)
}

// failed returns err as an error of this server.
func (e *end) failed(err error) error {
	return &Error{Source: e.source, Addr: e.c.Addr(), Greeting: e.c.Greeting(), Err: err}
}

// command returns the transfer command.
func (e *end) command() ftp.Command { return ftp.Command{Verb: e.verb, Arg: e.arg} }

// raw calls f while it holds the control connection, with the state of a new transfer.
func (e *end) raw(f func() error) error {
	entered := false
	err := e.c.Raw(func(conn *pi.Conn) error {
		entered, e.pi = true, conn
		e.sent, e.begun, e.final, e.lost, e.aborted = false, false, ftp.Reply{}, nil, false
		return f()
	})
	if !entered && err != nil {
		return e.failed(err)
	}
	return err
}

// ready sets the transfer parameters, and resets a restart point that an earlier transfer has left.
func (e *end) ready(ctx context.Context) error {
	if e.pi.Params().Mode != ftp.Stream {
		if _, err := e.pi.Do(ctx, "MODE", ftp.Stream.String()); err != nil {
			return e.failed(err)
		}
	}
	if e.pi.Params().Type != ftp.Image {
		if _, err := e.pi.Do(ctx, "TYPE", ftp.Image.String()); err != nil {
			return e.failed(err)
		}
	}
	if e.pi.Machine().Pending == ftp.RestartAt {
		if _, err := e.pi.Do(ctx, "REST", "0"); err != nil {
			return e.failed(err)
		}
	}
	return nil
}

// isPrivate reports whether the control connection uses TLS.
func (e *end) isPrivate() bool {
	_, yes := e.c.TLS()
	return yes
}

// address returns the server's address, or 0.0.0.0 if it is not known: with Options.Dial the connection may go
// to a proxy, and its remote address is that of the proxy.
func (e *end) address() netip.Addr {
	remote := e.c.Control().Remote
	if !remote.IsValid() || e.c.Options().Dial != nil && e.c.Addr() != remote.String() {
		return netip.IPv4Unspecified()
	}
	return remote.Addr().WithZone("")
}
