package fxp

import (
	"context"
	"errors"
	"slices"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// way is one way to connect the two servers. Exactly one of them listens. With TLS, exactly one is the TLS
// client, by CPSV or SSCN; a server is the TLS server by default (RFC 4217 §7).
type way struct {
	listener, dialer *end
	cpsv             bool // the listener is the TLS client, by CPSV
	sscn             *end // this one is the TLS client, by SSCN; nil: none
}

// A data connection needs one TLS client and one TLS server.
var (
	errOneTLS = errors.New("only one of the two servers uses TLS")
	errNoRole = errors.New("neither server can be the TLS client of the other, because neither supports SSCN or CPSV")
)

// ways returns all ways that may work, in the order in which to try them.
func (d *direct) ways() ([]way, error) {
	both := []way{{listener: d.from, dialer: d.to}, {listener: d.to, dialer: d.from}}
	a, b := d.from.isPrivate(), d.to.isPrivate()
	if !a && !b {
		return both, nil
	}
	if a != b {
		return nil, &NoWayError{Why: &client.TLSError{Data: true, Err: errOneTLS}}
	}
	d.res.Protection = ftp.Private
	var all []way
	for _, w := range both {
		if w.listener.c.Features().Has("CPSV") && !w.listener.address().Is6() {
			all = append(all, way{listener: w.listener, dialer: w.dialer, cpsv: true})
		}
		// A server that also supports CPSV is the better TLS client: proftpd verifies the certificate
		// of the other server, and its session dies if it does not trust it.
		ends := []*end{w.listener, w.dialer}
		if !w.listener.c.Features().Has("CPSV") && w.dialer.c.Features().Has("CPSV") {
			slices.Reverse(ends)
		}
		for _, e := range ends {
			if e.c.Features().Has("SSCN") {
				all = append(all, way{listener: w.listener, dialer: w.dialer, sscn: e})
			}
		}
	}
	if len(all) == 0 {
		return nil, &NoWayError{Why: &client.TLSError{Data: true, Err: errNoRole}}
	}
	return all, nil
}

// tryRaw is try while both control connections are held.
func (d *direct) tryRaw(ctx context.Context, w way) (err error) {
	if err := d.ready(ctx); err != nil {
		return err
	}
	if w.sscn != nil {
		if _, err := w.sscn.pi.Do(ctx, "SSCN", "ON"); err != nil {
			return w.sscn.failed(err)
		}
		defer w.sscn.sscnOff(ctx)
	}
	addr, err := w.listener.listen(ctx, w)
	if err != nil {
		return w.listener.failed(err)
	}
	if err := w.dialer.announce(ctx, addr); err != nil {
		return w.dialer.failed(err)
	}
	start := time.Now()
	first, second := d.order(w)
	first.start()
	if err = first.untilReady(ctx, w); err == nil && !first.over() {
		second.start()
		err = d.watch(ctx)
	}
	lost := d.lost()
	d.abortRunning(ctx)
	d.res.Took, d.res.SourceListens = time.Since(start), w.listener.source
	// The destination has probably created the file if it accepted STOR. A permanent refusal of STOR means
	// that a file with that name is not of this copy, and must not be removed.
	d.at.made = d.at.made || d.to.sent && (d.to.begun || d.to.aborted || d.to.final.Code.Class() == ftp.TransientFail)
	if err == nil && lost != nil {
		err = lost
	} else if err == nil {
		err = d.verdict(w, addr)
	}
	for _, e := range d.ends() {
		done := ftp.TransferDone{
			Verb: e.verb, Path: e.arg, Direction: ftp.Store, Mode: ftp.Active,
			Took: d.res.Took, Protection: d.res.Protection, Err: err,
		}
		if e.source {
			done.Direction = ftp.Retrieve
		}
		if e == w.listener {
			done.Mode = ftp.Passive
		}
		if err == nil {
			done.Bytes = max(d.v.Size, 0)
		}
		e.pi.Tell(done)
	}
	return err
}

// order decides which server gets its transfer command first: the one that receives the first bytes on the data
// connection. Without TLS that is the destination; with TLS it is the TLS server, which receives the
// ClientHello. pyftpdlib accepts the data connection before the command, and loses what arrives too early.
func (d *direct) order(w way) (first, second *end) {
	tlsClient := w.sscn // nil without TLS
	if w.cpsv {
		tlsClient = w.listener
	}
	if tlsClient == d.to {
		return d.from, d.to
	}
	return d.to, d.from
}
