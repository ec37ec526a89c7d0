package fxp

import (
	"context"
	"errors"
	"sync"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// direct is a copy in which one server sends to the other.
type direct struct{ pair }

func (d *direct) ends() [2]*end { return [2]*end{d.from, d.to} }

func (d *direct) run(ctx context.Context) (Result, error) {
	ways, err := d.ways()
	if err == nil {
		err = d.look(ctx)
	}
	for again := err == nil; again && err == nil; {
		if err = d.whole(ctx, ways); err == nil {
			again, err = d.place(ctx)
		}
	}
	if err == nil {
		return d.res, d.setTime(ctx, d.at.dest)
	}
	return d.res, d.at.remove(err)
}

// whole copies the file to to.arg by the first way that works.
func (d *direct) whole(ctx context.Context, ways []way) error {
	no := &NoWayError{}
	for _, w := range ways {
		err := d.try(ctx, w)
		if err == nil {
			return d.compare(ctx)
		}
		var one *Error
		if !mayTryNext(err) || d.dataBroke(err) || !errors.As(err, &one) {
			return err
		}
		no.Tried = append(no.Tried, one)
		if !d.from.c.Alive() || !d.to.c.Alive() { // a server did not react to ABOR
			break
		}
	}
	return no
}

// dataBroke reports whether a data connection without TLS was open and then failed. Another way can't help then.
func (d *direct) dataBroke(err error) bool {
	var no *ftp.Error
	return d.res.Protection == ftp.Clear && d.from.begun && d.to.begun && errors.As(err, &no) && no.Code == 426
}

// compare asks both servers for the size after the transfer.
func (d *direct) compare(ctx context.Context) error {
	var got, now int64
	err := atOnce(func() (err error) {
		if got, err = size(ctx, d.to.c, d.to.arg); err != nil {
			err = d.to.failed(err)
		}
		return err
	}, func() (err error) {
		if now, err = size(ctx, d.from.c, d.from.arg); err != nil {
			err = d.from.failed(err)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.res.Bytes, d.res.Verified = max(got, now), "replies"
	switch {
	case got < 0 || now < 0:
	case got < d.v.Size || got != now && got != d.v.Size: // the source may have grown meanwhile
		return d.to.failed(&client.TruncatedError{Want: max(now, d.v.Size), Got: got, Final: d.to.final})
	default:
		d.res.Bytes, d.res.Verified = got, "sizes and replies"
	}
	return nil
}

// try copies the file one way. It holds both Clients meanwhile.
func (d *direct) try(ctx context.Context, w way) error {
	return d.from.raw(func() error {
		return d.to.raw(func() error { return d.tryRaw(ctx, w) })
	})
}

// ready prepares both servers for a transfer.
func (d *direct) ready(ctx context.Context) error {
	for _, e := range d.ends() {
		if err := e.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// abortRunning ends a transfer that is still running at either server. After it no reply is pending, or the connection
// has failed.
func (d *direct) abortRunning(ctx context.Context) {
	var both sync.WaitGroup
	for _, e := range d.ends() {
		e.pi.TransferEnded()
		if e.sent && !e.over() && e.pi.Err() == nil {
			both.Go(func() {
				e.final, e.lost = e.pi.Abort(ctx, e.command(), nil)
				e.aborted = true
			})
		}
	}
	both.Wait()
}
