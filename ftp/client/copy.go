package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"miniftp/ftp"
)

// CopyOptions say more about a copy.
type CopyOptions struct {
	// KeepTime sets the copy's time to the file's, where the servers know times.
	KeepTime bool
	// Tries is what several tries of one copy share: each has to copy the file that the
	// first one found.
	Tries *Tries
	// Progress is told how far CopyThrough is: bytes of the file done and in total, -1
	// if unknown. It runs in another goroutine. Copy never sees the bytes.
	Progress func(done, total int64)
}

// CopyResult is how a copy went.
type CopyResult struct {
	Bytes         int64         // size of the file; -1 if no server tells
	Took          time.Duration // from the transfer commands to their final replies
	SourceListens bool          // the source listened and the destination dialed; else the other way round
	Protection    ftp.Protection
	Verified      string // what agreed: "sizes and replies" or "replies"
}

// Copy lets one server send a file straight to another one (FXP): the address that
// one of them listens on is relayed to the other, so the bytes never come here.
// Both ways round are tried, and under TLS each way to make one of the two the TLS
// client (CPSV, SSCN). Either both Clients use TLS, or neither.
//
// A host that a 227 names is relayed only if it is the one that the Client is
// connected to, unless its Options.TrustPassiveHost says otherwise. A file that is
// there already is replaced by a rename, once the copy is whole. While the servers are
// at work there is no time-out but theirs: ctx ends the copy. Both Clients are busy
// meanwhile, and afterwards at rest or dead.
//
// What one of the servers refuses is a *CopyError that says which; where no way led
// to a data connection, there is a *NoWayError with all of them, and CopyThrough may
// do better. A copy onto itself is ErrSameFile, and changes nothing. A copy that is not as large as the file is a *TruncatedError.
func Copy(ctx context.Context, from *Client, file string, to *Client, dest string, o CopyOptions) (CopyResult, error) {
	if err := sendable(file, dest); err != nil {
		return CopyResult{}, err
	}
	if from == to {
		return CopyResult{}, errors.New("a copy takes two connections, also to one server")
	}
	if err := apart(ctx, from, file, to, dest); err != nil {
		return CopyResult{}, err
	}
	cp := &copying{
		from: &end{c: from, source: true, verb: "RETR", arg: file},
		to:   &end{c: to, verb: "STOR", arg: dest},
		at:   target{c: to, dest: dest}, o: o,
	}
	for _, e := range cp.ends() {
		if err := e.c.begin(); err != nil {
			return CopyResult{}, e.failed(err)
		}
		defer e.c.end()
	}
	return cp.run(ctx)
}

// copying is one Copy under way.
type copying struct {
	from, to *end
	at       target // where to.arg is
	o        CopyOptions
	v        version // of the file
	res      CopyResult
}

func (cp *copying) ends() [2]*end { return [2]*end{cp.from, cp.to} }

func (cp *copying) run(ctx context.Context) (CopyResult, error) {
	ways, err := cp.ways()
	if err == nil {
		err = cp.look(ctx)
	}
	if err != nil {
		return CopyResult{}, cp.at.remove(err)
	}
	err = cp.whole(ctx, ways)
	if err == nil && cp.at.name != cp.at.dest {
		if err = cp.place(ctx); cp.at.made && cp.at.mayWriteOver(err, cp.v) { // not every user may: then over the old file
			cp.at.writeOver()
			cp.to.arg = cp.at.dest
			err = cp.whole(ctx, ways)
		}
	}
	if err == nil && cp.o.KeepTime && !cp.v.modified.IsZero() {
		if no := cp.to.c.setModTime(ctx, cp.at.dest, cp.v.modified); no != nil && !isReply(no) {
			return cp.res, cp.to.failed(no)
		}
	}
	if err != nil {
		err = cp.at.remove(err)
	}
	return cp.res, err
}

// whole copies the file to to.arg, by the first way that works.
func (cp *copying) whole(ctx context.Context, ways []way) error {
	no := &NoWayError{}
	for _, w := range ways {
		err := cp.try(ctx, w)
		if err == nil {
			return cp.compare(ctx)
		}
		var one *CopyError
		if !otherwise(err) || cp.broke(err) || !errors.As(err, &one) {
			return err
		}
		no.Tried = append(no.Tried, one)
		if cp.from.c.dead() || cp.to.c.dead() { // it did not even stop waiting
			break
		}
	}
	return no
}

// broke: the data connection stood, and nothing else could have been in the way.
func (cp *copying) broke(err error) bool {
	var no *ftp.Error
	return cp.res.Protection == ftp.Clear && cp.from.begun && cp.to.begun && errors.As(err, &no) && no.Code == 426
}

// look finds out what there is at both ends, before anything is changed there.
func (cp *copying) look(ctx context.Context) error {
	for _, e := range cp.ends() {
		if err := e.c.setMode(ctx, ftp.Stream); err != nil {
			return err
		}
		if err := e.c.setType(ctx, ftp.Image); err != nil {
			return e.failed(err)
		}
		if e.c.pi.Machine().Pending == ftp.RestartAt {
			if _, err := e.c.do(ctx, "REST", "0"); err != nil {
				return e.failed(err)
			}
		}
	}
	if err := cp.at.choose(ctx, cp.o.Tries); err != nil {
		return cp.to.failed(err)
	}
	if err := cp.source(ctx); err != nil {
		return err
	}
	if same, err := cp.at.isFile(ctx, cp.from.c, cp.from.arg, cp.v); same || err != nil {
		return cp.to.failed(firstOf(err, ErrSameFile))
	}
	cp.to.arg = cp.at.name
	return nil
}

// source finds out which version of the file is copied.
func (cp *copying) source(ctx context.Context) error {
	c := cp.from.c
	cp.v = version{size: -1}
	if c.hasSize() {
		_, err := c.size(ctx, cp.from.arg)
		if is550(err) && isReply(err) || err != nil && !isReply(err) {
			return cp.from.failed(err) // a STOR in vain could leave an empty file
		}
	}
	now, err := c.version(ctx, cp.from.arg)
	if err != nil {
		return cp.from.failed(err)
	}
	if cp.v = cp.o.Tries.first(now); shrunk(cp.v, now) {
		return cp.from.failed(&TruncatedError{Want: cp.v.size, Got: now.size, Err: errShrunk})
	}
	return nil
}

// errShrunk is returned when a file has become shorter since the first try of its copy.
var errShrunk = errors.New("the file has become shorter since the copy began")

// shrunk reports whether less is there of a file than at first: it was cut, or was replaced.
func shrunk(first, now version) bool { return now.size >= 0 && now.size < first.size }

func is550(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 550
}

// compare asks both servers for the size, once both are done.
func (cp *copying) compare(ctx context.Context) error {
	got, err := cp.to.c.askSize(ctx, cp.to.arg)
	if err != nil {
		return cp.to.failed(err)
	}
	now, err := cp.from.c.askSize(ctx, cp.from.arg)
	if err != nil {
		return cp.from.failed(err)
	}
	cp.res.Bytes, cp.res.Verified = max(got, now), "replies"
	switch {
	case got < 0 || now < 0:
	case got < cp.v.size || got != now && got != cp.v.size: // it may have grown meanwhile
		return &CopyError{Addr: cp.to.c.pi.Addr(), Err: &TruncatedError{Want: max(now, cp.v.size), Got: got, Final: cp.to.final}}
	default:
		cp.res.Bytes, cp.res.Verified = got, "sizes and replies"
	}
	return nil
}

// place gives the copy its final name.
func (cp *copying) place(ctx context.Context) error {
	err := cp.to.c.place(ctx, cp.at.name, cp.at.dest, cp.at.replaces, nil)
	if err == nil {
		cp.at.made = false
		return nil
	}
	var left *LeftError
	if errors.As(err, &left) {
		cp.at.made = false // it may be all that is left
	}
	return cp.to.failed(err)
}

// rest brings what still runs at either end to an end: no reply is left behind, or
// that Client is dead.
func (cp *copying) rest(ctx context.Context) {
	var both sync.WaitGroup
	for _, e := range cp.ends() {
		e.c.pi.TransferEnded()
		if e.sent && !e.over() && !e.c.dead() {
			both.Go(func() {
				r := &run{c: e.c, j: &job{verb: e.verb, arg: e.arg}}
				r.abort(ctx)
				e.final, e.lost, e.aborted = r.final, r.lost, true
			})
		}
	}
	both.Wait()
}
