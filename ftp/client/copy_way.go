package client

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"miniftp/ftp"
)

// way is one way to let two servers talk to each other.
type way struct {
	listener, dialer *end
	cpsv             bool // the listener is the TLS client, by CPSV
	sscn             *end // that one is the TLS client, by SSCN
}

// errOneTLS and errNoRole: a data connection has one TLS client and one TLS server.
var (
	errOneTLS = errors.New("one of the two servers is asked to use TLS and the other is not")
	errNoRole = errors.New("neither server can be the TLS client of the other: it takes one that has SSCN or CPSV")
)

// ways are all that may work, in the order to try them.
func (cp *copying) ways() ([]way, error) {
	both := []way{{listener: cp.from, dialer: cp.to}, {listener: cp.to, dialer: cp.from}}
	a, b := cp.from.c.pi.Security() != nil, cp.to.c.pi.Security() != nil
	if !a && !b {
		return both, nil
	}
	if a != b {
		return nil, &NoWayError{Why: &TLSError{Data: true, Err: errOneTLS}}
	}
	cp.res.Protection = ftp.Private
	var all []way
	for _, w := range both {
		if w.listener.c.features.Has("CPSV") && !w.listener.c.address().Is6() {
			all = append(all, way{listener: w.listener, dialer: w.dialer, cpsv: true})
		}
		// One that has CPSV, too, is the better client: proftpd looks for the certificate's
		// authority, and its session dies of one that it does not know.
		ends := []*end{w.listener, w.dialer}
		if !w.listener.c.features.Has("CPSV") && w.dialer.c.features.Has("CPSV") {
			slices.Reverse(ends)
		}
		for _, e := range ends {
			if e.c.features.Has("SSCN") {
				all = append(all, way{listener: w.listener, dialer: w.dialer, sscn: e})
			}
		}
	}
	if len(all) == 0 {
		return nil, &NoWayError{Why: &TLSError{Data: true, Err: errNoRole}}
	}
	return all, nil
}

// try copies the file one way.
func (cp *copying) try(ctx context.Context, w way) (err error) {
	for _, e := range cp.ends() {
		e.sent, e.begun, e.final, e.lost, e.aborted = false, false, ftp.Reply{}, nil, false
	}
	if w.sscn != nil {
		if _, err := w.sscn.c.do(ctx, "SSCN", "ON"); err != nil {
			return w.sscn.failed(err)
		}
		defer w.sscn.backToServer(ctx)
	}
	addr, err := w.listener.listen(ctx, w)
	if err != nil {
		return w.listener.failed(err)
	}
	if err := w.dialer.announce(ctx, addr); err != nil {
		return w.dialer.failed(err)
	}
	start := time.Now()
	first, second := cp.order(w)
	first.start()
	if err = first.untilReady(ctx, w); err == nil && !first.over() {
		second.start()
		err = cp.watch(ctx)
	}
	lost := cp.lost()
	cp.rest(ctx)
	cp.res.Took, cp.res.SourceListens = time.Since(start), w.listener.source
	cp.at.made = cp.at.made || cp.to.sent && (cp.to.begun || cp.to.aborted || cp.to.final.Code.Class() == ftp.TransientFail)
	if err == nil && lost != nil {
		err = lost
	} else if err == nil {
		err = cp.verdict(w, addr)
	}
	for _, e := range cp.ends() {
		done := ftp.TransferDone{
			Verb: e.verb, Path: e.arg, Direction: ftp.Store, Mode: ftp.Active,
			Took: cp.res.Took, Protection: cp.res.Protection, Err: err,
		}
		if e.source {
			done.Direction = ftp.Retrieve
		}
		if e == w.listener {
			done.Mode = ftp.Passive
		}
		if err == nil {
			done.Bytes = max(cp.v.size, 0)
		}
		e.c.tell(done)
	}
	return err
}

// start sends the transfer command, unless the server has said no by itself: some do
// as soon as a stranger calls.
func (e *end) start() {
	select {
	case r, ok := <-e.replies():
		if e.take(r, ok); e.lost != nil || refusal(e.verb, e.final) != nil {
			return
		}
		e.final, e.begun = ftp.Reply{}, false // it answers nothing that was asked
	default:
	}
	e.lost = e.c.pi.Send(ftp.Command{Verb: e.verb, Arg: e.arg})
	e.sent = e.lost == nil
}

// order says whose transfer command comes first: that of the end to which the other
// one will speak first on the data connection. In the clear it is the destination,
// under TLS the TLS server. pyftpdlib's data connection stands before the command, and
// what comes over it too early is lost on it.
func (cp *copying) order(w way) (first, second *end) {
	client := w.sscn
	if w.cpsv {
		client = w.listener
	}
	if client == cp.to {
		return cp.from, cp.to
	}
	return cp.to, cp.from
}

// untilReady waits for the first word of a server. One that listens may have none
// before it is called.
func (e *end) untilReady(ctx context.Context, w way) error {
	const moment = 50 * time.Millisecond
	wait := shortWait
	if w.listener == e {
		wait = moment
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

// backToServer undoes SSCN ON, which would hold for the transfers that come after.
func (e *end) backToServer(ctx context.Context) {
	if e.c.dead() {
		return
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortWait)
	defer cancel()
	if _, err := e.c.do(after, "SSCN", "OFF"); err != nil {
		_ = e.c.die(err)
	}
}

// Why the address that a server listens on is no use to the other one.
var (
	errProxied  = errors.New("behind a proxy nobody knows the address of a server: it would have to be trusted to tell its own")
	errLoopback = errors.New("it is known here by a loopback address, which means another host to the other server")
	errFamilies = errors.New("one server is reached by IPv4 and the other by IPv6: they can't call each other")
)

// HostError is a 227 that names another host than the server's. A server that
// lies there would make the other one call whom it likes (CVE-2026-8328).
type HostError struct{ Named, Server netip.Addr }

func (e *HostError) Error() string {
	return "its answer to PASV names " + e.Named.String() + ", and it is known here as " + e.Server.String()
}

// listen asks the server for an address that the other one can call.
func (e *end) listen(ctx context.Context, w way) (netip.AddrPort, error) {
	c := e.c
	host, other := c.address(), w.dialer.c.address()
	switch {
	case host.IsUnspecified() && !c.opts.TrustPassiveHost:
		return netip.AddrPort{}, errProxied
	case !host.IsUnspecified() && !other.IsUnspecified() && host.Is4() != other.Is4():
		return netip.AddrPort{}, errFamilies
	case host.IsLoopback() && !other.IsLoopback() && !c.opts.TrustPassiveHost:
		return netip.AddrPort{}, errLoopback
	}
	if !w.cpsv && !c.opts.TrustPassiveHost || host.Is6() {
		if addr, ok, err := e.epsv(ctx, host); ok || err != nil {
			return addr, err
		}
	}
	verb := "PASV"
	if w.cpsv {
		verb = "CPSV"
	}
	r, err := c.do(ctx, verb, "")
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := ftp.Parse227(r.Text())
	switch {
	case err != nil:
		return addr, unusable(verb, r)
	case c.opts.TrustPassiveHost:
	case addr.Addr() != host:
		return addr, &HostError{Named: addr.Addr(), Server: host}
	}
	if addr.Port() < 1024 {
		return addr, unusable(verb, r)
	}
	c.tell(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: "227"})
	return addr, nil
}

// epsv is false where PASV has to do.
func (e *end) epsv(ctx context.Context, host netip.Addr) (addr netip.AddrPort, ok bool, err error) {
	c := e.c
	only := host.Is6() || c.opts.Verbs == ExtendedVerbs
	if !only && (c.history.noEPSV.Load() || c.opts.Verbs == ClassicVerbs) {
		return addr, false, nil
	}
	r, err := c.exchange(ctx, "EPSV", "")
	if err != nil {
		return addr, false, err
	}
	port, bad := ftp.Parse229(r.Text())
	if r.Code == 229 && bad == nil && port >= 1024 {
		addr = netip.AddrPortFrom(host, port)
		c.tell(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: "229"})
		return addr, true, nil
	}
	if only || r.Code == 530 {
		return addr, false, unusable("EPSV", r)
	}
	if r.Code.Class() == ftp.PermanentFail {
		c.history.noEPSV.Store(true)
	}
	return addr, false, nil
}

// announce tells the server where the other one listens.
func (e *end) announce(ctx context.Context, addr netip.AddrPort) error {
	verb, arg := "PORT", ""
	if addr.Addr().Is6() || e.c.opts.Verbs == ExtendedVerbs {
		verb, arg = "EPRT", ftp.FormatEPRT(addr)
	} else {
		arg = ftp.FormatHostPort(addr)
	}
	_, err := e.c.do(ctx, verb, arg)
	return err
}
