package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// plan looks up the host and makes the rows of the grid, without results.
func (d *doctor) plan(ctx context.Context) error {
	type family struct {
		name, network string
		addr          netip.Addr
	}
	var families []family
	if d.s.opts.Dial != nil {
		families = append(families, family{name: "proxy", network: "tcp"})
	} else {
		late, cancel := context.WithTimeout(ctx, d.s.opts.Timeout)
		defer cancel()
		addrs, err := d.lookup(late, d.x.host)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &client.ConnectError{Addr: net.JoinHostPort(d.x.host, d.x.port), Err: pi.Cause(err)}
		}
		for _, f := range []family{{name: "IPv4", network: "tcp4"}, {name: "IPv6", network: "tcp6"}} {
			for _, a := range addrs {
				if a = a.Unmap(); a.Is4() == (f.name == "IPv4") && !f.addr.IsValid() {
					f.addr = a
					families = append(families, f)
				}
			}
		}
	}
	for _, f := range families {
		host := d.x.host
		if f.addr.IsValid() {
			host = f.addr.String()
		}
		c := connSpec{addr: net.JoinHostPort(host, d.x.port), network: f.network, strict: d.x.scheme != "ftp" && !d.x.trusting}
		if d.x.scheme == "ftp" {
			d.x.rows = append(d.x.rows, &gridRow{family: f.name, addr: f.addr, spec: c})
		}
		c.mode = client.ExplicitTLS
		if d.x.scheme == "ftps" {
			c.mode = client.ImplicitTLS
		}
		for _, c.version = range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			d.x.rows = append(d.x.rows, &gridRow{family: f.name, addr: f.addr, spec: c})
		}
	}
	return nil
}

// findDir finds out whether the URL names a directory or a file. If the URL does not end in a slash, it tries
// CWD. After that, d.s.dir is the directory in which connections begin.
func (d *doctor) findDir(ctx context.Context) {
	d.s.dir = d.x.path
	if d.x.path == "" || d.x.path[len(d.x.path)-1] == '/' {
		return
	}
	for _, r := range d.x.rows {
		o := d.open(ctx, r)
		if o.w != nil {
			o.w.leave()
			return
		}
		var no *ftp.Error
		if o.stage == atDir && errors.As(o.err, &no) && no.Code.Class() == ftp.PermanentFail {
			d.s.dir, d.x.isFile = parentOf(d.x.path), true
			return
		}
	}
}

// bestWay returns the row and the way that work best, or nil if none works. It prefers trusted TLS to
// untrusted TLS to none, and then passive to active mode.
func (x *exam) bestWay() (best *gridRow, way int) {
	most := -len(ways)
	for _, r := range x.rows {
		for way := range r.cells {
			if r.cells[way].state != works {
				continue
			}
			score := 10*int(r.spec.version&0xf) - way
			switch {
			case r.spec.mode != client.NoTLS && (r.bad == nil || x.trusting):
				score += 2000
			case r.spec.mode != client.NoTLS:
				score += 1000
			}
			if !isActive(way) {
				score += 500
			}
			if score > most {
				best, most = r, score
			}
		}
	}
	if best == nil {
		return nil, 0
	}
	return best, best.best()
}
