package client

import (
	"context"
	"errors"
	"iter"
	"sync"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// listLoop is the loop over a List. Entries come while the loop runs, so the Client is taken;
// an operation in the loop, or beside it, has the rest of the listing read and kept first, and the
// loop then takes its entries from there.
type listLoop struct {
	c    *Client
	mu   sync.Mutex // held while the listing is read
	next func() (ftp.Entry, error, bool)
	stop func()

	read bool // to its end: what follows is left of it
	rest *kept.List
	odd  []error // that came with it, told behind the entries
	at   int     // in rest
}

// maxOdd is how many errors of lines are kept of the rest of a listing.
const maxOdd = 1000

// loop is the loop over a listing. The Client is taken.
func (c *Client) loop(ctx context.Context, path string) *listLoop {
	l := &listLoop{c: c}
	l.next, l.stop = iter.Pull2(func(yield func(ftp.Entry, error) bool) {
		if err := c.list(ctx, path, yield); err != nil && !errors.Is(err, errStopped) {
			yield(ftp.Entry{}, err)
		}
	})
	c.looping.Store(l)
	return l
}

// take is the next entry or error; more is false at the end.
func (l *listLoop) take() (e ftp.Entry, more bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.read:
		e, err, more = l.next()
		return e, more, err
	case l.at < l.rest.Len():
		e, err = l.rest.Entry(l.at)
		l.at++
		return e, true, err
	case len(l.odd) > 0:
		err = l.odd[0]
		l.odd = l.odd[1:]
		return ftp.Entry{}, true, err
	}
	return ftp.Entry{}, false, nil
}

// free reads the rest of the listing and gives the Client back. It returns false if another
// goroutine reads it just now.
func (l *listLoop) free() bool {
	if !l.mu.TryLock() {
		return false
	}
	defer l.mu.Unlock()
	if l.read {
		return true
	}
	l.read, l.rest = true, &kept.List{Budget: kept.NewBudget()}
	for e, err, ok := l.next(); ok; e, err, ok = l.next() {
		if err == nil {
			err = l.rest.Add(&e)
		}
		if err != nil && len(l.odd) == maxOdd {
			l.odd = l.odd[:maxOdd-1] // the last one may be why there is no more
		}
		if err != nil {
			l.odd = append(l.odd, err)
		}
	}
	l.release()
	return true
}

// end ends the loop.
func (l *listLoop) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rest != nil {
		l.rest.Drop()
	}
	if l.read {
		return
	}
	l.read = true
	l.release()
}

func (l *listLoop) release() {
	l.stop()
	l.c.looping.Store(nil)
	l.c.end()
}
