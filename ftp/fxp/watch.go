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

// watch waits for both final replies. If one server fails, or finishes before the other has begun, the other
// gets little time: something is wrong, and it may not notice. watch returns an error only if ctx ends.
//
// How long it waits (patience) depends on the states of the two:
//
//	one failed                                          pi.ShortWait
//	one is done, the other has not begun                aloneWait
//	the destination is done, the source is not          aloneWait
//	the source is done, the destination is not          its WorkTimeout: it may process the file
//	neither is done, and one has not begun              the Timeout
//	both are transferring                               no limit
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

// patience returns how long the next reply may take. 0 means no limit; see watch.
func (d *direct) patience(silence time.Duration) time.Duration {
	one, other := d.from, d.to
	if !one.over() {
		one, other = other, one
	}
	switch {
	case one.over() && !one.good():
		return pi.ShortWait
	case one.over() && (!other.begun || one == d.to): // the destination has seen the end of the data
		return min(silence, aloneWait)
	case one.over(): // the destination may have to process the file
		return max(silence, other.pi.WorkTimeout())
	case !one.begun, !other.begun:
		return silence
	}
	return 0
}

// lost returns the failure of a control connection, nil if there is none.
func (d *direct) lost() error {
	for _, e := range d.ends() {
		if e.lost != nil {
			return e.failed(e.lost)
		}
	}
	return nil
}

// verdict judges a try. Neither control connection failed by itself, but one may have been closed because the
// server did not react to ABOR.
func (d *direct) verdict(w way, addr netip.AddrPort) error {
	if d.from.good() && d.to.good() && !d.from.aborted && !d.to.aborted {
		return nil
	}
	// A reply that a server sent by itself counts more than the consequence of an ABOR, and a stated
	// reason more than the failure of the data connection (42x).
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
	// The listener accepted no connection if it has not begun. A source may send its 150 before the other server
	// connects: then it also accepted none if the destination is done and the source had to be aborted.
	l := w.listener
	cutOff := d.to.good() && d.from.aborted
	if (!l.begun || cutOff) && (broken == nil || broken != l) {
		err := &client.OpenError{Mode: ftp.Passive, Stance: ftp.Listens, Addr: addr, Err: errNotTaken}
		if broken != nil {
			err.Err = fmt.Errorf("%w (and that one replied %v)", errNotTaken, broken.final)
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

// errNotTaken is returned when the listener may have rejected the connection of the other server.
var errNotTaken = errors.New("the connection from the other server was not accepted")
