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

// offer is a data connection that is being negotiated, or has been but is not yet used.
type offer struct {
	cmd   ftp.Command
	addr  netip.AddrPort // in active mode: the address that cmd announces
	reply ftp.Reply
	since time.Time // when it was negotiated; set only if that was before the transfer (look)
}

// voidsOffer reports whether a command makes an earlier offer invalid.
func voidsOffer(verb string) bool {
	switch verb {
	case "EPSV", "PASV", "LPSV", "CPSV", "EPRT", "PORT", "LPRT", "MODE", "PROT", "SSCN", "REIN", "QUIT":
		return true
	}
	return false
}

// dropOffer forgets an offer that was not used and closes its listener.
func (c *Client) dropOffer() {
	if c.offered != nil {
		c.offered = nil
		c.data.Close()
	}
}

// takeOffer takes the offer that look has made in advance. It returns nil if there is none, or if it
// is so old that the server may have stopped listening.
func (c *Client) takeOffer() *offer {
	a := c.offered
	if a != nil && time.Since(a.since) > offerLasts {
		c.dropOffer()
		a = nil
	}
	c.offered = nil
	return a
}

// ready negotiates with the server the type, the next data connection and the restart point of
// j, in one write if the server supports that.
func (c *Client) ready(ctx context.Context, j *job) error {
	var err error
	a := c.takeOffer()
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
	// If an earlier transfer failed after REST, its restart point is still set. Set it back to 0.
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
	if err = c.offer(ctx); err == nil && rest { // RFC 959 §4.1.3: the transfer must follow REST immediately
		_, err = c.do(ctx, "REST", itoa(j.offset))
	}
	return err
}

// together is doAll for commands that may include an offer. In active mode each is sent alone:
// some servers dial as soon as they read PORT or EPRT and reply only after that, which would put
// their replies out of order.
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

// offer negotiates the next data connection by the verbs of RFC 959.
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

// look asks for the size of a file that is to be retrieved, and for its time if timed, and
// negotiates the data connection for it in the same write if it can. size is -1 and t is zero if
// the server does not report them.
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

// asksAlong reports whether questions about a file may be sent in one write with the EPSV or PASV
// for its transfer.
func (c *Client) asksAlong() bool {
	return c.batches() && c.opts.Mode == ftp.Passive && !c.data.HasOpen()
}

// askAlong is doAll for questions about the file that is transferred next. If asksAlong, and
// unless an offer exists already, it also negotiates the data connection, in the same write.
func (c *Client) askAlong(ctx context.Context, cmds ...ftp.Command) ([]ftp.Reply, error) {
	for _, cmd := range cmds {
		if err := sendable(cmd.Arg); err != nil {
			return nil, err
		}
	}
	a, n := c.takeOffer(), len(cmds)
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

// The next two pairs of functions are the only difference between passive and active mode: which
// side listens, and which side announces its address.

// ask returns the command that offers the next data connection. classic selects the verbs of
// RFC 959. In active mode it opens a port first.
func (c *Client) ask(classic bool) (*offer, error) {
	if c.opts.Mode == ftp.Active {
		return c.askActive(classic)
	}
	return c.askPassive(classic)
}

// agree processes the server's reply to an offer. again reports that the server does not support
// the verb and the caller has to offer again by the verb of RFC 959.
func (c *Client) agree(a *offer) (again bool, err error) {
	if c.opts.Mode == ftp.Active {
		return c.agreeActive(a)
	}
	return c.agreePassive(a)
}

// askPassive returns the command that asks the server to listen. EPSV comes first. A server that
// refuses it gets PASV from then on, except over IPv6, because PASV can't name such an address
// (RFC 2428).
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

// onlyExtended reports whether there is no verb of RFC 959 to fall back to.
func (c *Client) onlyExtended(v6 bool) bool { return v6 || c.opts.Verbs == ExtendedVerbs }

// agreePassive prepares to dial the address in the server's reply.
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

// errClassicIPv6 is returned for ClassicVerbs with an IPv6 address, which only RFC 2428 supports.
var errClassicIPv6 = errors.New("PASV and PORT can't name an IPv6 address")

// unusable returns the error for a reply that refuses the command or can't be parsed.
func unusable(verb string, r ftp.Reply) error {
	if err := refusal(verb, r); err != nil {
		return err
	}
	return fmt.Errorf("can't parse the reply to %s: %v", verb, r)
}

func (c *Client) offerDial(addr netip.AddrPort, said string) error {
	c.emit(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: said})
	return c.data.Dial(addr)
}

// askActive listens and returns the command that announces the address. EPRT comes first; on IPv4
// the client can fall back to PORT.
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

// agreeActive checks the server's reply to PORT or EPRT. The listener is open already.
func (c *Client) agreeActive(a *offer) (again bool, err error) {
	verb := a.cmd.Verb
	no := refusal(verb, a.reply)
	if no == nil {
		c.emit(ftp.DataOffered{Mode: ftp.Active, Stance: ftp.Listens, Addr: a.addr, Said: verb})
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
