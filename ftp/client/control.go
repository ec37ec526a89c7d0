package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

const (
	// maxLine bounds one line of a reply or a listing.
	maxLine = 64 << 10
	// shortWait is how long the server may take to answer what ends something:
	// QUIT, ABOR, or the command that a cancel cut short.
	shortWait = 2 * time.Second
	// abortWait is the part of it that a cancelled transfer may take: who pressed
	// Ctrl-C does not wait for two seconds.
	abortWait = shortWait * 3 / 4
	// bareWait is how long the first byte of a retrieve may take after a 226 without a 150
	// before it. The data connection was asked for before the 226 was sent, so what comes at
	// all is a few round trips behind it, a TLS handshake included.
	bareWait = shortWait
	// maxReplies is how many replies may come on one command: some servers say 150
	// again and again in a long transfer.
	maxReplies = 10_000
)

// errFlood is a server that sends replies without end.
var errFlood = errors.New("the server sends replies without end")

// readReplies is the one reader of the control connection. It reads all the
// time, so that a 421 or a lost connection is noticed while data is awaited.
func (c *Client) readReplies() {
	lr := ftp.NewLineReader(counted{c, c.conn}, maxLine)
	for {
		r, err := ftp.ReadReply(lr)
		if err == nil && r.Code == 234 && lr.Buffered() > 0 {
			err = &TLSError{Err: errEarlyBytes}
		}
		if err != nil {
			c.readErr = lost(err)
			c.gone.Store(true)
			close(c.replies)
			return
		}
		if r.Code == 421 {
			c.gone.Store(true)
		}
		for i := range r.Lines {
			r.Lines[i] = c.decode(r.Lines[i])
		}
		r = c.secrets.MaskRefused(r)
		select {
		case c.replies <- r:
		case <-c.quit:
			return
		}
		if r.Code == 234 { // the next byte is TLS's
			select {
			case conn := <-c.secured:
				lr = ftp.NewLineReader(counted{c, conn}, maxLine)
			case <-c.quit:
				return
			}
		}
	}
}

// counted is the control connection; it notes that bytes come.
type counted struct {
	c    *Client
	conn net.Conn
}

func (r counted) Read(b []byte) (int, error) {
	n, err := r.conn.Read(b)
	r.c.heard.Add(int64(n))
	return n, err
}

// lost is why a control connection ended, in plain words.
func lost(err error) error {
	var op *net.OpError
	said, refused := dtp.Alert(err)
	switch {
	case refused: // under TLS 1.3 a server says late what it thinks of our certificate
		return &TLSError{Err: errors.New("the server refuses: " + said)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed it")
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// do is exchange with a 4xx or 5xx reply as an *ftp.Error. If the server needs an account
// for the command, it gets that of the Options.
func (c *Client) do(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	r, err := c.exchange(ctx, verb, arg)
	if err == nil && r.Code == 332 && verb != "USER" && verb != "PASS" {
		if err = c.giveAccount(ctx, verb, r); err == nil {
			r, err = c.exchange(ctx, verb, arg)
		}
	}
	if err == nil {
		err = refusal(verb, r)
	}
	return r, err
}

// giveAccount answers a 332 to a command by ACCT (RFC 959 §4.1.1). The error is the 332 if
// there is no account to give.
func (c *Client) giveAccount(ctx context.Context, verb string, needs ftp.Reply) error {
	if c.opts.Account == "" || verb == "ACCT" {
		return &ftp.Error{Verb: verb, Reply: needs}
	}
	r, err := c.exchange(ctx, "ACCT", c.opts.Account)
	if err == nil {
		err = refusal("ACCT", r)
	}
	return err
}

// exchange sends one command and waits for its final reply. When ctx ends first
// the reply is waited for a moment longer: only then does the next one answer
// the next command.
func (c *Client) exchange(ctx context.Context, verb, arg string) (ftp.Reply, error) {
	if ctx.Err() != nil {
		return ftp.Reply{}, context.Cause(ctx)
	}
	if outdates(verb) {
		c.dropOffer()
	}
	cmd := ftp.Command{Verb: verb, Arg: arg}
	if err := c.send(cmd); err != nil {
		return ftp.Reply{}, err
	}
	r, err := c.answer(ctx, cmd)
	if err == nil && !fitsLoosely(verb, r.Code) {
		err = c.outOfStep(verb, r)
	}
	if err != nil && ctx.Err() != nil && c.dead.Load() == nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortWait)
		defer cancel()
		if _, late := c.answer(after, cmd); late != nil {
			_ = c.die(fmt.Errorf("%w to %s", ErrTimeout, verb))
		}
	}
	return r, err
}

// answer waits for the final reply to cmd; the zero Command is the greeting.
func (c *Client) answer(ctx context.Context, cmd ftp.Command) (ftp.Reply, error) {
	for {
		r, err := c.await(ctx, cmd)
		if err != nil {
			return r, err
		}
		stray := c.strayDone && r.Code == 226 && cmd.Verb != "ABOR"
		c.strayDone = false
		if r.Code.Class() != ftp.Preliminary && !stray {
			return r, nil
		}
	}
}

// await waits for one reply. Slow is fine, silent is not.
func (c *Client) await(ctx context.Context, cmd ftp.Command) (ftp.Reply, error) {
	p := c.newPatience()
	defer p.timer.Stop()
	if isWork(cmd.Verb) {
		p.allow(c.workTimeout())
	}
	for {
		select {
		case r, ok := <-c.replies:
			if !ok {
				return ftp.Reply{}, c.die(c.readErr)
			}
			return r, c.took(cmd, r)
		case <-ctx.Done():
			return ftp.Reply{}, context.Cause(ctx)
		case <-p.timer.C:
			if p.over() {
				return ftp.Reply{}, c.dieSilent(cmd.Verb, p.limit)
			}
		}
	}
}

// isWork reports whether a server may have to read a whole file before it answers a
// command: to hash it, or to rename it in a store of objects.
func isWork(verb string) bool {
	switch verb {
	case "HASH", "MD5", "XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512", "RNTO":
		return true
	}
	return false
}

// workTimeout is how long the server may work without a word.
func (c *Client) workTimeout() time.Duration {
	if c.opts.WorkTimeout > 0 {
		return c.opts.WorkTimeout
	}
	return max(DefaultWorkTimeout, c.opts.Timeout)
}

func (c *Client) dieSilent(verb string, limit time.Duration) error {
	what := ""
	if verb != "" {
		what = " to " + verb
	}
	return c.die(fmt.Errorf("%w%s within %v", ErrTimeout, what, limit))
}

// took makes the reply to cmd known: to the machine, the parameters and the
// observer. A 421 is the end, whatever it answers.
func (c *Client) took(cmd ftp.Command, r ftp.Reply) error {
	c.machine.Step(cmd.Verb, r.Code)
	c.params.Step(cmd, r.Code)
	if c.opts.Observer != nil {
		c.tell(ftp.ReplyGiven{Verb: cmd.Verb, Reply: c.secrets.MaskReply(r)})
	}
	if c.came++; c.came > maxReplies {
		return c.die(errFlood)
	}
	if r.Code == 421 {
		return c.die(&ftp.Error{Verb: cmd.Verb, Reply: r})
	}
	return nil
}

// send takes off the replies that nobody asked for, so that none of them is
// mistaken for the answer, and writes commands.
func (c *Client) send(cmds ...ftp.Command) error {
	for {
		select {
		case r, ok := <-c.replies:
			if !ok {
				return c.die(c.readErr)
			}
			if err := c.took(ftp.Command{}, r); err != nil {
				return err
			}
		default:
			return c.write(cmds...)
		}
	}
}

// write is the one place where bytes leave on the control connection: all of them in
// one piece, or, if a command can't be written, none.
func (c *Client) write(cmds ...ftp.Command) error {
	lines := c.line[:0]
	for _, cmd := range cmds {
		encoded, err := c.encode(cmd)
		if err != nil {
			return err
		}
		if lines, err = encoded.Append(lines); err != nil {
			return err
		}
	}
	c.line, c.came = lines[:0], 0
	for _, cmd := range cmds {
		switch cmd.Verb {
		case "CWD", "CDUP", "XCWD", "XCUP", "SMNT", "REIN", "USER":
			c.cwd = ""
		}
		c.secrets.Learn(cmd)
		c.tell(ftp.CommandGiven{Command: cmd.Masked()})
	}
	err := c.conn.SetWriteDeadline(time.Now().Add(c.opts.Timeout))
	if err == nil {
		_, err = c.conn.Write(lines)
	}
	if err != nil {
		return c.die(lost(err))
	}
	return nil
}

// patience is a wait for replies that lasts as long as bytes keep coming.
type patience struct {
	c     *Client
	limit time.Duration // of a silence
	timer *time.Timer
	heard int64
}

func (c *Client) newPatience() *patience {
	limit := c.opts.Timeout
	return &patience{c: c, limit: limit, timer: time.NewTimer(limit), heard: c.heard.Load()}
}

// allow begins the wait anew, with another limit.
func (p *patience) allow(limit time.Duration) {
	p.limit = limit
	p.restart()
}

func (p *patience) restart() {
	p.heard = p.c.heard.Load()
	p.timer.Reset(p.limit)
}

// over is called when the timer fired. It starts the timer again if something came.
func (p *patience) over() bool {
	now := p.c.heard.Load()
	if now == p.heard {
		return true
	}
	p.heard = now
	p.timer.Reset(p.limit)
	return false
}

// sendable refuses what no command can carry, before the first of several is sent.
func sendable(args ...string) error {
	for _, a := range args {
		if strings.ContainsAny(a, "\r\n\x00") {
			return fmt.Errorf("%q: %w", clip(a), ftp.ErrLineBreak)
		}
	}
	return nil
}

func upper(s string) string { return strings.ToUpper(s) }
