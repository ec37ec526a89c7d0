package client

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"miniftp/ftp"
)

// A small file takes three round trips in lock-step: the offer of a data connection,
// its handshake, the transfer. Two are enough if the next offer is asked for right
// behind the transfer command: the reply to it comes with the final one. Not every server
// bears that, so one transfer tries it, what comes of it is remembered for all
// connections (lore), and the first surprise ends it. A transfer that may have failed
// because of it is done again without.

// ahead is the offer of a data connection that was asked for before its turn.
type ahead struct {
	cmd    ftp.Command
	addr   netip.AddrPort // that cmd announces, when active
	behind bool           // it was sent behind a transfer command
	reply  ftp.Reply      // zero: not in yet
	since  time.Time
	// odd: the reply came when it was not its turn, so it may be another one's.
	odd bool
}

const (
	// aheadMost is up to which size of a file its round trips count, and a file that has to
	// be done again because of what was sent ahead is soon there.
	aheadMost = 256 << 10
	// aheadLasts is how long an offer may be kept: servers do not wait for ever.
	aheadLasts = 10 * time.Second
)

// errUnanswered is a transfer command that a server forgot over the one behind it.
var errUnanswered = errors.New("no final reply came")

// outdates reports whether a command makes an earlier offer void, or another one than
// it was.
func outdates(verb string) bool {
	switch verb {
	case "EPSV", "PASV", "LPSV", "CPSV", "EPRT", "PORT", "LPRT", "MODE", "PROT", "SSCN", "REIN", "QUIT":
		return true
	}
	return false
}

// askNext makes ready the command that asks for the next data connection, to be sent
// right behind the transfer command of j; nil if it has to wait.
func (c *Client) askNext(j *job) *ahead {
	size := j.want
	if j.dir == ftp.Store {
		size = j.length
	}
	switch {
	case !j.more, j.typ != ftp.Image, size < 0, size > aheadMost, c.params.Mode != ftp.Stream:
		return nil // that the file is whole has to be seen by its size
	case j.offset > 0, j.opened != nil, j.dir == ftp.Store && j.rewind == nil:
		return nil // it could not be done again
	case c.opts.Mode == ftp.Active && c.ports != nil:
		return nil // the range may have no port for two of each connection
	}
	may, trial := c.lore.claim()
	if !may {
		return nil
	}
	c.trial = trial
	a, err := c.ask(false)
	if err != nil {
		c.endTrial()
		return nil
	}
	a.behind = true
	return a
}

// endTrial: nothing was found out, another transfer may try; unless the server hung up.
func (c *Client) endTrial() {
	if !c.trial {
		return
	}
	c.trial = false
	if d := c.dead.Load(); d != nil && !errors.Is(d.Err, ErrClosed) {
		c.lore.ahead.Store(aheadNever)
		return
	}
	c.lore.giveBack()
}

// takeIn waits for the reply to what was sent ahead, so that the next one answers the
// next command.
func (c *Client) takeIn(ctx context.Context) error {
	a := c.ahead
	if a == nil || a.reply.Code != 0 {
		return nil
	}
	r, err := c.answerSoon(ctx, a.cmd, true)
	switch {
	case err == nil:
		a.reply = r
		if c.serves(a) {
			return nil
		}
	case c.dead.Load() != nil, !errors.Is(err, errDropped): // or cancelled: it is still to come
		return err
	}
	return c.surprised(ctx)
}

// serves reports whether an offer can be used.
func (c *Client) serves(a *ahead) bool {
	switch a.cmd.Verb {
	case "EPSV":
		_, err := ftp.Parse229(a.reply.Text())
		return a.reply.Code == 229 && err == nil
	case "PASV":
		return a.reply.Code == 227 || a.reply.Code == 229
	}
	return a.reply.Code == 200
}

// surprised: nothing is sent ahead to this server from now on, and what was is dropped.
func (c *Client) surprised(ctx context.Context) error {
	c.lore.ahead.Store(aheadNever)
	c.dropAhead()
	if d := c.dead.Load(); d != nil {
		return d
	}
	return c.realign(ctx)
}

// dropAhead forgets an offer. A reply that is still to come has to be dealt with.
func (c *Client) dropAhead() {
	if c.ahead != nil {
		c.ahead = nil
		c.data.Close()
		c.endTrial()
	}
}

// inHand gives the offer that stands, nil if there is none.
func (c *Client) inHand(ctx context.Context) (*ahead, error) {
	if err := c.takeIn(ctx); err != nil {
		return nil, err
	}
	a := c.ahead
	if a != nil && time.Since(a.since) > aheadLasts {
		c.dropAhead()
		a = nil
	}
	c.ahead = nil
	return a, nil
}

// transfer runs a job from TYPE to the verdict: twice, if the first time may have gone
// wrong because of what was sent ahead.
func (c *Client) transfer(ctx context.Context, j *job) (Result, error) {
	res, blamed, err := c.attempt(ctx, j)
	if blamed && ctx.Err() == nil && c.dead.Load() == nil && j.again(res) {
		res, _, err = c.attempt(ctx, j)
	}
	return res, err
}

// again makes a job ready for another go, if none of its bytes would be lost or come
// twice.
func (j *job) again(res Result) bool {
	ok := j.dir == ftp.Retrieve && res.Bytes == 0 && j.skipped == 0
	if !ok && j.rewind != nil {
		ok = j.rewind() == nil
	}
	j.skipped, j.began = 0, ftp.Reply{}
	return ok
}

// command sends the transfer command, with what may be asked for ahead behind it.
func (r *run) command() error {
	cmds := []ftp.Command{{Verb: r.j.verb, Arg: r.j.arg}}
	next := r.c.askNext(r.j)
	if next != nil {
		cmds = append(cmds, next.cmd)
	}
	err := r.c.send(cmds...)
	if r.c.ahead = next; err != nil { // none was sent
		r.c.dropAhead()
	}
	r.asked = r.c.ahead != nil
	return err
}

// conclude learns from a transfer that is over. blamed: it may have failed because of
// what was sent ahead, behind it or behind the one before.
func (r *run) conclude(ctx context.Context, err error) (blamed bool) {
	c, a := r.c, r.c.ahead
	if !r.asked && !r.j.used {
		if err == nil {
			c.lore.moved()
		}
		return false
	}
	blamed = r.blames(ctx, err)
	switch {
	case blamed, a != nil && a.odd:
		_ = c.surprised(ctx) // who is dead then says so
		return blamed
	case err == nil && r.j.used && c.trial:
		c.trial = false
		c.lore.borne()
	case !r.asked:
		c.endTrial()
	}
	if a != nil {
		a.since = time.Now()
	}
	return false
}

// blames reports whether a failure may come of what was sent ahead. That a file is not
// there, may not be had or has no room, and what this end did not want, does not.
func (r *run) blames(ctx context.Context, err error) bool {
	var local *LocalError
	var resume *ResumeError
	var no *ftp.Error
	switch {
	case err == nil, ctx.Err() != nil, errors.As(err, &local), errors.As(err, &resume),
		errors.Is(err, ErrClosed), errors.Is(err, ErrSeam):
		return false
	case isReply(err) && errors.As(err, &no):
		return no.Code/10 != 55 && no.Code != 452
	}
	return true
}

// isAhead reports whether a reply is to the command that was sent behind the transfer's,
// though it may not be its turn: such as 229, or a refusal of what comes in between.
func (r *run) isAhead(reply ftp.Reply) bool {
	a := r.c.ahead
	if !r.asked || a == nil {
		return false
	}
	code, class := reply.Code, reply.Code.Class()
	if r.final.Code != 0 {
		return a.reply.Code == 0 && class != ftp.Preliminary && code != 226 && code != 421
	}
	if r.c.opts.Mode == ftp.Active && code == 200 || r.c.opts.Mode == ftp.Passive && (code == 227 || code == 229) {
		return true
	}
	return r.begun && a.reply.Code == 0 && (code == 450 || code == 530 || code == 522 || code/10 == 50)
}

// takeAhead takes such a reply. If a refusal was taken for it before, that was the
// transfer's own.
func (r *run) takeAhead(reply ftp.Reply) {
	a := r.c.ahead
	if r.final.Code != 0 {
		a.reply = reply
		a.odd = !r.c.serves(a)
		return
	}
	before := a.reply
	a.reply, a.odd = reply, true
	switch {
	case refusal(r.j.verb, before) != nil:
		r.final = before
		r.failing()
	case r.done:
		r.grace = time.After(shortWait / 4)
	}
}

// outOfTurn: a reply to what was sent ahead came first, the transfer's may never come.
func (r *run) outOfTurn() bool { return r.c.ahead != nil && r.c.ahead.odd }

// unanswered ends the wait for a final reply behind one that was out of turn: it was the
// transfer's if it says no.
func (r *run) unanswered() {
	if refusal(r.j.verb, r.c.ahead.reply) != nil {
		r.final = r.c.ahead.reply
	} else {
		r.lost = errUnanswered
	}
}
