package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"miniftp/ftp"
)

// The next two functions are all that differs between passive and active mode:
// who listens, and which way the address travels.

// offerPassive asks the server to listen and makes ready to dial it. EPSV comes
// first; a server that doesn't know it is asked for PASV from then on, which
// IPv6 does not have (RFC 2428).
func (c *Client) offerPassive(ctx context.Context) error {
	v6 := c.peer.Addr().Is6()
	only := v6 || c.opts.Verbs == ExtendedVerbs
	switch {
	case c.opts.Verbs == ClassicVerbs && v6:
		return errClassicIPv6
	case c.opts.Verbs != ClassicVerbs && (!c.knows.noEPSV || only):
		r, err := c.exchange(ctx, "EPSV", "")
		if err != nil {
			return err
		}
		port, bad := ftp.Parse229(r.Text())
		if r.Code == 229 && bad == nil {
			return c.offerDial(netip.AddrPortFrom(c.peer.Addr(), port), "229")
		}
		if only || r.Code == 530 {
			return unusable("EPSV", r)
		}
		c.knows.noEPSV = r.Code.Class() != ftp.TransientFail
	}
	r, err := c.do(ctx, "PASV", "")
	if err != nil {
		return err
	}
	if port, err := ftp.Parse229(r.Text()); r.Code == 229 && err == nil {
		return c.offerDial(netip.AddrPortFrom(c.peer.Addr(), port), "229")
	}
	addr, err := ftp.Parse227(r.Text())
	if err != nil {
		return unusable("PASV", r)
	}
	return c.offerDial(addr, "227")
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

// offerActive listens and tells the server where. EPRT comes first; on IPv4
// PORT does as well.
func (c *Client) offerActive(ctx context.Context) error {
	addr, err := c.data.Listen()
	if err != nil {
		return &LocalError{Err: err}
	}
	if c.opts.ActiveIP.IsValid() {
		addr = netip.AddrPortFrom(c.opts.ActiveIP.Unmap(), addr.Port())
	}
	v6 := addr.Addr().Is6()
	only := v6 || c.opts.Verbs == ExtendedVerbs
	switch {
	case c.opts.Verbs == ClassicVerbs && v6:
		return errClassicIPv6
	case c.opts.Verbs != ClassicVerbs && (!c.knows.noEPRT || only):
		r, err := c.exchange(ctx, "EPRT", ftp.FormatEPRT(addr))
		if err != nil {
			return err
		}
		no := refusal("EPRT", r)
		if no == nil {
			c.tell(ftp.DataOffered{Mode: ftp.Active, Stance: ftp.Listens, Addr: addr, Said: "EPRT"})
			return nil
		}
		if only || r.Code == 530 {
			return no
		}
		c.knows.noEPRT = refused(no)
	}
	if _, err := c.do(ctx, "PORT", ftp.FormatHostPort(addr)); err != nil {
		return err
	}
	c.tell(ftp.DataOffered{Mode: ftp.Active, Stance: ftp.Listens, Addr: addr, Said: "PORT"})
	return nil
}

// offer agrees with the server on the next data connection.
func (c *Client) offer(ctx context.Context) error {
	if c.opts.Mode == ftp.Active {
		return c.offerActive(ctx)
	}
	return c.offerPassive(ctx)
}
