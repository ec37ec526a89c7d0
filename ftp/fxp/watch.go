package fxp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// watch waits for both final replies. A server that fails, or that is done before
// the other has even begun, leaves that one little time: then something is wrong, and
// the other may not know. An error is ctx's.
func (d *direct) watch(ctx context.Context) error {
	a, b := d.from, d.to
	silence := max(a.pi.Timeout(), b.pi.Timeout())
	for !a.over() || !b.over() {
		var timer *time.Timer
		var enough <-chan time.Time
		if wait := d.patience(silence); wait > 0 {
			timer = time.NewTimer(wait)
			enough = timer.C
		}
		expired := false
		select {
		case r, ok := <-a.replies():
			a.take(r, ok)
		case r, ok := <-b.replies():
			b.take(r, ok)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-enough:
			expired = true
		}
		if timer != nil {
			timer.Stop()
		}
		if expired {
			return nil
		}
	}
	return nil
}

// patience is how long the next reply may take; 0: while both servers are at work
// that is up to them.
func (d *direct) patience(silence time.Duration) time.Duration {
	one, other := d.from, d.to
	if !one.over() {
		one, other = other, one
	}
	switch {
	case one.over() && !one.good():
		return pi.ShortWait
	case one.over() && (!other.begun || one == d.to): // which saw the end of what the source sent
		return min(silence, aloneWait)
	case one.over(): // the destination may have to work on the file
		return max(silence, other.pi.WorkTimeout())
	case !one.begun, !other.begun:
		return silence
	}
	return 0
}

// lost is a control connection that is gone; nil while both stand.
func (d *direct) lost() error {
	for _, e := range d.ends() {
		if e.lost != nil {
			return e.failed(e.lost)
		}
	}
	return nil
}

// verdict judges a try after which both control connections stood, until one of them
// had to be given up, perhaps.
func (d *direct) verdict(w way, addr netip.AddrPort) error {
	if d.from.good() && d.to.good() && !d.from.aborted && !d.to.aborted {
		return nil
	}
	// What one server says by itself counts, and a reason more than that the
	// connection is gone.
	var broken *end
	for _, e := range [...]*end{w.listener, w.dialer} {
		no := pi.Refusal(e.verb, e.final)
		switch {
		case no == nil || e.aborted:
		case e.final.Code/10 != 42:
			return e.failed(no)
		case broken == nil:
			broken = e
		}
	}
	l := w.listener
	cutOff := d.to.good() && d.from.aborted                     // a source may say 150 before anybody calls
	if (!l.begun || cutOff) && (broken == nil || broken != l) { // it took no call
		err := &client.OpenError{Mode: ftp.Passive, Stance: ftp.Listens, Addr: addr, Err: errNotTaken}
		if broken != nil {
			err.Err = fmt.Errorf("%w (and that one says %v)", errNotTaken, broken.final)
		}
		return l.failed(err)
	}
	if broken != nil {
		return broken.failed(pi.Refusal(broken.verb, broken.final))
	}
	late := d.from
	if d.to.aborted {
		late = d.to
	}
	return late.failed(fmt.Errorf("%w to %s", client.ErrTimeout, late.verb))
}

// errNotTaken is a listener that may have hung up on the other server.
var errNotTaken = errors.New("the other server's call was not taken")
