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

// offer is a data connection that one end has offered to the other.
type offer struct {
	cmd   ftp.Command
	addr  netip.AddrPort // that cmd announces, when active
	reply ftp.Reply
	since time.Time // when it was agreed on, before the transfer that needs it
}

// outdates reports whether a command voids an earlier offer.
func outdates(verb string) bool {
	switch verb {
	case "EPSV", "PASV", "LPSV", "CPSV", "EPRT", "PORT", "LPRT", "MODE", "PROT", "SSCN", "REIN", "QUIT":
		return true
	}
	return false
}

// dropOffer forgets an offer that was not used.
func (c *Client) dropOffer() {
	if c.offered != nil {
		c.offered = nil
		c.data.Close()
	}
}

// inHand returns the offer that look has made, or nil.
func (c *Client) inHand() *offer {
	a := c.offered
	if a != nil && time.Since(a.since) > offerLasts {
		c.dropOffer()
		a = nil
	}
	c.offered = nil
	return a
}

// ready agrees with the server on the type, the next data connection and the restart
// point of j, in one write if the server bears that.
func (c *Client) ready(ctx context.Context, j *job) error {
	var err error
	a := c.inHand()
	var cmds []ftp.Command
	if !j.anyType && c.pi.Params().Type != j.typ {
		cmds = append(cmds, ftp.Command{Verb: "TYPE", Arg: j.typ.String()})
	}
	if a == nil {
		if a, err = c.ask(false); err != nil {
			return err
		}
		cmds = append(cmds, a.cmd)
	}
	// A restart point that an earlier, failed transfer left behind is taken back.
	rest := j.offset > 0 || c.pi.Machine().Pending == ftp.RestartAt
	if rest {
		cmds = append(cmds, ftp.Command{Verb: "REST", Arg: itoa(j.offset)})
	}
	replies, err := c.together(ctx, cmds)
	if err != nil {
		return err
	}
	for i, r := range replies {
		if verb := cmds[i].Verb; verb == a.cmd.Verb {
			a.reply = r
		} else if no := refusal(verb, r); no != nil {
			return no
		}
	}
	again, err := c.agree(a)
	if !again {
		return err
	}
	if err = c.offer(ctx); err == nil && rest { // whatever came in between
		_, err = c.do(ctx, "REST", itoa(j.offset))
	}
	return err
}

// together is doAll where one of the commands may offer a data connection: PORT and EPRT
// go alone, as there are servers that dial at once and answer when that is done, behind
// what came later.
func (c *Client) together(ctx context.Context, cmds []ftp.Command) (replies []ftp.Reply, err error) {
	if c.opts.Mode == ftp.Passive {
		return c.doAll(ctx, cmds...)
	}
	for _, cmd := range cmds {
		r, err := c.exchange(ctx, cmd.Verb, cmd.Arg)
		if err != nil {
			return nil, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// offer agrees with the server on the next data connection by RFC 959's verbs.
func (c *Client) offer(ctx context.Context) error {
	a, err := c.ask(true)
	if err != nil {
		return err
	}
	if a.reply, err = c.exchange(ctx, a.cmd.Verb, a.cmd.Arg); err != nil {
		return err
	}
	_, err = c.agree(a)
	return err
}

// look asks for the size of a file that is to be retrieved, and for its time if it is
// wanted, together with the data connection for it. -1 and the zero time are what the
// server does not tell.
func (c *Client) look(ctx context.Context, path string, timed bool) (size int64, t time.Time, err error) {
	if !c.hasSize() {
		return -1, t, nil
	}
	if !c.batches() {
		if size, err = c.askSize(ctx, path); err == nil && timed {
			if t, _, err = c.modTime(ctx, path); isReply(err) {
				err = nil
			}
		}
		return size, t, err
	}
	var cmds []ftp.Command
	if c.pi.Params().Type != ftp.Image {
		cmds = append(cmds, ftp.Command{Verb: "TYPE", Arg: ftp.Image.String()})
	}
	cmds = append(cmds, ftp.Command{Verb: "SIZE", Arg: path})
	if timed {
		cmds = append(cmds, ftp.Command{Verb: "MDTM", Arg: path})
	}
	replies, err := c.askAlong(ctx, cmds...)
	if err != nil {
		return 0, t, err
	}
	size = -1
	for i, r := range replies {
		switch cmds[i].Verb {
		case "SIZE":
			size = c.sizeIn(r)
		case "MDTM":
			t, _, _ = ftp.ParseTime(strings.TrimSpace(r.Last()))
		}
	}
	return size, t, nil
}

// asksAlong reports whether the server gets questions about a file in one write with EPSV
// or PASV for it.
func (c *Client) asksAlong() bool {
	return c.batches() && c.opts.Mode == ftp.Passive && !c.data.Stands()
}

// askAlong is doAll for questions about a file that is to be transferred next. The data
// connection for it is asked for in the same write if asksAlong, unless that is done.
func (c *Client) askAlong(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	for _, cmd := range cmds {
		if err := sendable(cmd.Arg); err != nil {
			return nil, err
		}
	}
	a, n := c.inHand(), len(cmds)
	if a == nil && c.asksAlong() {
		var err error
		if a, err = c.ask(false); err != nil {
			return nil, err
		}
		cmds = append(cmds[:n:n], a.cmd)
	}
	replies, err := c.doAll(ctx, cmds...)
	if err != nil {
		c.data.Close()
		return nil, err
	}
	if len(cmds) > n {
		a.reply, a.since = replies[n], time.Now()
	}
	c.offered = a
	return replies[:n], nil
}

// The next two pairs of functions are all that differs between passive and active mode:
// who listens, and which way the address travels.

// ask is the command that offers the next data connection, by RFC 959's verbs if
// classic. When active, a port is opened.
func (c *Client) ask(classic bool) (*offer, error) {
	if c.opts.Mode == ftp.Active {
		return c.askActive(classic)
	}
	return c.askPassive(classic)
}

// agree takes the server's reply to it. again: it has to be asked by RFC 959's verb.
func (c *Client) agree(a *offer) (again bool, err error) {
	if c.opts.Mode == ftp.Active {
		return c.agreeActive(a)
	}
	return c.agreePassive(a)
}

// askPassive asks the server to listen. EPSV comes first; a server that doesn't know it
// is asked for PASV from then on, which IPv6 does not have (RFC 2428).
func (c *Client) askPassive(classic bool) (*offer, error) {
	v6 := c.address().Is6()
	switch {
	case c.opts.Verbs == ClassicVerbs && v6:
		return nil, errClassicIPv6
	case c.opts.Verbs != ClassicVerbs && (!classic && !c.history.noEPSV.Load() || c.onlyExtended(v6)):
		return &offer{cmd: ftp.Command{Verb: "EPSV"}}, nil
	}
	return &offer{cmd: ftp.Command{Verb: "PASV"}}, nil
}

// onlyExtended: there is nothing to fall back to.
func (c *Client) onlyExtended(v6 bool) bool { return v6 || c.opts.Verbs == ExtendedVerbs }

// agreePassive makes ready to dial where the server listens.
func (c *Client) agreePassive(a *offer) (again bool, err error) {
	r, peer := a.reply, c.pi.Peer().Addr()
	port, bad := ftp.Parse229(r.Text())
	if r.Code == 229 && bad == nil {
		return false, c.offerDial(netip.AddrPortFrom(peer, port), "229")
	}
	if a.cmd.Verb == "EPSV" {
		if c.onlyExtended(c.address().Is6()) || r.Code == 530 {
			return false, unusable("EPSV", r)
		}
		if r.Code.Class() != ftp.TransientFail {
			c.history.noEPSV.Store(true)
		}
		return true, nil
	}
	addr, bad := ftp.Parse227(r.Text())
	if bad != nil || refusal("PASV", r) != nil {
		return false, unusable("PASV", r)
	}
	return false, c.offerDial(addr, "227")
}

// errClassicIPv6: RFC 2428 is there because of this.
var errClassicIPv6 = errors.New("PASV and PORT can't name an IPv6 address")

// unusable is the error of a reply that refuses, or that makes no sense.
func unusable(verb string, r ftp.Reply) error {
	if err := refusal(verb, r); err != nil {
		return err
	}
	return fmt.Errorf("the answer to %s makes no sense: %v", verb, r)
}

func (c *Client) offerDial(addr netip.AddrPort, said string) error {
	c.tell(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: said})
	return c.data.Dial(addr)
}

// askActive listens and tells the server where. EPRT comes first; on IPv4 PORT does as
// well.
func (c *Client) askActive(classic bool) (*offer, error) {
	addr, err := c.data.Listen()
	if err != nil {
		return nil, &LocalError{Err: err}
	}
	if c.opts.ActiveIP.IsValid() {
		addr = netip.AddrPortFrom(c.opts.ActiveIP.Unmap(), addr.Port())
	}
	v6 := addr.Addr().Is6()
	a := &offer{cmd: ftp.Command{Verb: "PORT", Arg: ftp.FormatHostPort(addr)}, addr: addr}
	switch {
	case c.opts.Verbs == ClassicVerbs && v6:
		c.data.Close()
		return nil, errClassicIPv6
	case c.opts.Verbs != ClassicVerbs && (!classic && !c.history.noEPRT.Load() || c.onlyExtended(v6)):
		a.cmd = ftp.Command{Verb: "EPRT", Arg: ftp.FormatEPRT(addr)}
	}
	return a, nil
}

// agreeActive: the listener is there already.
func (c *Client) agreeActive(a *offer) (again bool, err error) {
	verb := a.cmd.Verb
	no := refusal(verb, a.reply)
	if no == nil {
		c.tell(ftp.DataOffered{Mode: ftp.Active, Stance: ftp.Listens, Addr: a.addr, Said: verb})
		return false, nil
	}
	if verb == "PORT" || c.onlyExtended(a.addr.Addr().Is6()) || a.reply.Code == 530 {
		return false, no
	}
	if refused(no) {
		c.history.noEPRT.Store(true)
	}
	return true, nil
}
