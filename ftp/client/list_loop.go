package client

import (
	"context"
	"errors"
	"iter"
	"sync"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// listLoop is a loop over List. While entries arrive the loop holds the Client. An operation in the
// loop body, or in another goroutine, calls free: that reads the rest of the listing and keeps it, and
// the loop continues from there.
//
// mu guards all fields. It is held while the listing is read, but not while the loop body runs.
type listLoop struct {
	c    *Client
	mu   sync.Mutex // see above
	next func() (ftp.Entry, error, bool)
	stop func()

	read bool // the listing was read to its end; the fields below hold what is left of it
	rest *kept.List
	odd  []error // the errors in it, yielded after the entries
	at   int     // index in rest
}

// maxOdd is how many errors of the rest of a listing are kept.
const maxOdd = 1000

// loop returns the loop over a listing. The caller holds the Client.
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

// take returns the next entry or error. more is false at the end.
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

// free reads the rest of the listing and releases the Client. It returns false if another goroutine is
// reading the listing at the moment.
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
			l.odd = l.odd[:maxOdd-1] // keep the last one: it may be why the listing ended
		}
		if err != nil {
			l.odd = append(l.odd, err)
		}
	}
	l.release()
	return true
}

// end ends the loop and releases the Client, unless free has done so.
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
