package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp"
)

// end is one of the two servers of a copy.
type end struct {
	c         *Client
	source    bool
	verb, arg string // of the transfer

	sent    bool
	begun   bool // a preliminary reply came
	final   ftp.Reply
	lost    error // the control connection died
	aborted bool  // the final reply is no more than the echo of an ABOR
}

func (e *end) over() bool { return e.final.Code != 0 || e.lost != nil }

// good: this server has done its part, as far as it knows.
func (e *end) good() bool { return e.lost == nil && e.final.Code.Class() == ftp.Completion }

// take takes one reply to the transfer command.
func (e *end) take(r ftp.Reply, ok bool) {
	if !ok {
		e.lost = e.c.pi.Lost()
		return
	}
	if err := e.c.pi.Take(ftp.Command{Verb: e.verb, Arg: e.arg}, r); err != nil {
		e.lost = err
		return
	}
	switch {
	case r.Code.Class() == ftp.Preliminary, r.Code == 200 && !e.begun: // some servers say 200 before the 150
		e.begun = true
	case e.final.Code == 0:
		e.final = r
	}
}

// aloneWait is how long a server may take to begin after the other one is done, and
// the source to end behind the destination.
const aloneWait = 5 * time.Second

// watch waits for both final replies. A server that fails, or that is done before
// the other has even begun, leaves that one little time: then something is wrong, and
// the other may not know. An error is ctx's.
func (cp *copying) watch(ctx context.Context) error {
	a, b := cp.from, cp.to
	silence := max(a.c.opts.Timeout, b.c.opts.Timeout)
	for !a.over() || !b.over() {
		var timer *time.Timer
		var enough <-chan time.Time
		if wait := cp.patience(silence); wait > 0 {
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

// replies is nil for a server from which no more is expected.
func (e *end) replies() <-chan ftp.Reply {
	if e.over() {
		return nil
	}
	return e.c.pi.Replies()
}

// patience is how long the next reply may take; 0: while both servers are at work
// that is up to them.
func (cp *copying) patience(silence time.Duration) time.Duration {
	one, other := cp.from, cp.to
	if !one.over() {
		one, other = other, one
	}
	switch {
	case one.over() && !one.good():
		return shortWait
	case one.over() && (!other.begun || one == cp.to): // which saw the end of what the source sent
		return min(silence, aloneWait)
	case one.over(): // the destination may have to work on the file
		return max(silence, other.c.pi.WorkTimeout())
	case !one.begun, !other.begun:
		return silence
	}
	return 0
}

// lost is a control connection that is gone; nil while both stand.
func (cp *copying) lost() error {
	for _, e := range cp.ends() {
		if e.lost != nil {
			return e.failed(e.lost)
		}
	}
	return nil
}

// verdict judges a try after which both control connections stood, until one of them
// had to be given up, perhaps.
func (cp *copying) verdict(w way, addr netip.AddrPort) error {
	if cp.from.good() && cp.to.good() && !cp.from.aborted && !cp.to.aborted {
		return nil
	}
	// What one server says by itself counts, and a reason more than that the
	// connection is gone.
	var broken *end
	for _, e := range [...]*end{w.listener, w.dialer} {
		no := refusal(e.verb, e.final)
		switch {
		case no == nil || e.aborted:
		case e.final.Code/10 != 42:
			return e.failed(no)
		case broken == nil:
			broken = e
		}
	}
	l := w.listener
	cutOff := cp.to.good() && cp.from.aborted                   // a source may say 150 before anybody calls
	if (!l.begun || cutOff) && (broken == nil || broken != l) { // it took no call
		err := &OpenError{Mode: ftp.Passive, Stance: ftp.Listens, Addr: addr, Err: errNotTaken}
		if broken != nil {
			err.Err = fmt.Errorf("%w (and that one says %v)", errNotTaken, broken.final)
		}
		return l.failed(err)
	}
	if broken != nil {
		return broken.failed(refusal(broken.verb, broken.final))
	}
	late := cp.from
	if cp.to.aborted {
		late = cp.to
	}
	return late.failed(fmt.Errorf("%w to %s", ErrTimeout, late.verb))
}

// errNotTaken is a listener that may have hung up on the other server.
var errNotTaken = errors.New("the other server's call was not taken")

// CopyError is what went wrong at one of the two servers of a copy. The cause is an
// *ftp.Error if the server refused something.
type CopyError struct {
	Source bool   // at the server that has the file; else at the one that gets it
	Addr   string // of that server, host and port
	Err    error
}

func (e *CopyError) Error() string {
	which := "destination"
	if e.Source {
		which = "source"
	}
	var no *ftp.Error
	if errors.As(e.Err, &no) && no.Verb != "" && e.Err.Error() == no.Error() {
		return fmt.Sprintf("the %s %s refuses %s: %v", which, e.Addr, no.Verb, no.Reply)
	}
	return fmt.Sprintf("the %s %s: %v", which, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *CopyError) Unwrap() error { return e.Err }

func (e *end) failed(err error) error {
	return &CopyError{Source: e.source, Addr: e.c.pi.Addr(), Err: err}
}

// NoWayError is a copy for which no data connection between the two servers came
// about: they forbid it, or can't reach each other. CopyThrough needs none.
type NoWayError struct {
	Tried []*CopyError // what each way ended with
	Why   error        // there was nothing to try
}

func (e *NoWayError) Error() string {
	const no = "the servers can't send files to each other"
	if e.Why != nil {
		return no + ": " + e.Why.Error()
	}
	var all []string
	for _, err := range e.Causes() {
		all = append(all, err.Error())
	}
	return no + ": " + strings.Join(all, "; ")
}

// Causes is Tried without repetitions.
func (e *NoWayError) Causes() []*CopyError {
	var all []*CopyError
	seen := map[string]bool{}
	for _, err := range e.Tried {
		var open *OpenError
		key := err.Error()
		if errors.As(err, &open) { // the port differs each time
			key = fmt.Sprint(err.Source, open.Err)
		}
		if !seen[key] {
			seen[key] = true
			all = append(all, err)
		}
	}
	return all
}

// Unwrap returns what the ways ended with.
func (e *NoWayError) Unwrap() []error {
	if e.Why != nil {
		return []error{e.Why}
	}
	all := make([]error, 0, len(e.Tried))
	for _, err := range e.Tried {
		all = append(all, err)
	}
	return all
}

// otherwise reports whether another way may end better: this one brought no data
// connection about.
func otherwise(err error) bool {
	var one *CopyError
	var host *HostError
	var open *OpenError
	var dead *DeadError
	var no *ftp.Error
	switch {
	case !errors.As(err, &one), errors.As(err, &dead):
		return false
	case errors.As(err, &host), errors.As(err, &open),
		errors.Is(err, errLoopback), errors.Is(err, errFamilies), errors.Is(err, errProxied):
		return true
	case !errors.As(err, &no):
		return false
	}
	switch no.Verb {
	case "EPSV", "PASV", "CPSV", "SSCN", "PORT", "EPRT":
		return true
	case "RETR", "STOR":
		switch no.Code {
		case 425, 426, 431, 434, 435, 521, 522, 534, 535:
			return true
		}
	}
	return false
}
