package server_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// The TestTLS… tests with the name of a stock client give it the same list of work under TLS: explicit and
// implicit, in the modes that it supports, with each version.

// secureStock is a server for stock clients that supports and requires one version of TLS, and the events that
// it has reported.
type secureStock struct {
	*stock
	certs   *peers.Certs
	version string
	first   net.Addr // address for implicit TLS

	tlsMu sync.Mutex
	last  map[uint64]ftp.TLS // of the last data connection, by session
	moved map[string]secured // the last successful transfer, by path
	count int                // successful uploads
}

// secured is a transfer that has ended, and the TLS of its data connection.
type secured struct {
	ftp.TransferDone
	tls ftp.TLS
}

func newSecureStock(t *testing.T, version uint16, reuse dtp.Reuse) *secureStock {
	t.Helper()
	fsys, dir := disk(t)
	return newSecureStockOver(t, fsys, dir, version, reuse)
}

// newSecureStockOver is newSecureStock for a storage that keeps its files in the host directory dir.
func newSecureStockOver(t *testing.T, fsys afero.Fs, dir string, version uint16, reuse dtp.Reuse) *secureStock {
	t.Helper()
	s := &secureStock{
		stock: &stock{fsys: fsys, dir: dir, family: map[string]net.Addr{}}, certs: peers.NewCerts(t), version: tls.VersionName(version),
		last: map[uint64]ftp.TLS{}, moved: map[string]secured{},
	}
	s.site = serve(t, fsys, func(o *server.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{s.certs.Server}, MinVersion: version, MaxVersion: version}
		o.TLSRequired, o.SessionReuse, o.DataTimeout = true, reuse, clientLimit
		o.Observer = ftp.ObserverFunc(s.observe)
	})
	s.family["IPv4"], _ = net.ResolveTCPAddr("tcp", s.addr)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s.first = l.Addr()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.ServeTLS(l) }()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return s
}

func (s *secureStock) observe(e ftp.Event) {
	s.tlsMu.Lock()
	defer s.tlsMu.Unlock()
	switch what := e.What.(type) {
	case ftp.DataSecured:
		s.last[e.Control.ID] = what.TLS
	case ftp.TransferDone:
		if what.Err == nil {
			s.moved[what.Path] = secured{what, s.last[e.Control.ID]}
			if what.Direction == ftp.Store {
				s.count++
			}
		}
		delete(s.last, e.Control.ID)
	}
}

// uploads returns the number of successful uploads.
func (s *secureStock) uploads() int {
	s.tlsMu.Lock()
	defer s.tlsMu.Unlock()
	return s.count
}

// secureDesk is the workplace of one client under TLS.
type secureDesk struct {
	*desk
	s        *secureStock
	implicit bool
}

func (s *secureStock) open(t *testing.T, program string, implicit, active bool) *secureDesk {
	t.Helper()
	d := &secureDesk{desk: s.stock.open(t, program, "IPv4", active), s: s, implicit: implicit}
	if implicit {
		_, d.port, _ = net.SplitHostPort(s.first.String())
	}
	return d
}

// secureURL returns the URL of a path. Its scheme is ftps if the client selects implicit TLS with that.
func (d *secureDesk) secureURL(path string) string {
	url := d.url(path)
	if d.implicit {
		return strings.Replace(url, "ftp://", "ftps://", 1)
	}
	return url
}

// went checks that the last transfer of a file was under TLS and in the client's mode.
func (d *secureDesk) went(verbs, name string, size int, c *tlsClient) {
	d.t.Helper()
	resumed := strings.Contains(c.resumes, d.s.version)
	want := map[bool]ftp.DataMode{false: ftp.Passive, true: ftp.Active}[d.active]
	d.s.tlsMu.Lock()
	got, ok := d.s.moved[d.path(name)]
	d.s.tlsMu.Unlock()
	if !ok || !strings.Contains(verbs, got.Verb) || got.Mode != want || got.Bytes != int64(size) || got.Protection != ftp.Private ||
		got.tls.Version != d.s.version || got.tls.Resumed != resumed {
		d.t.Errorf("the transfer of %s was %+v, want %s of %d bytes, %v, %s, resumed %v", name, got, verbs, size, want, d.s.version, resumed)
	}
}

// tlsClient is a stock client under TLS.
type tlsClient struct {
	program string
	active  bool   // it supports active mode under TLS
	brief   bool   // only explicit TLS
	resumes string // the versions with which its data connections resume the control connection's session
	can     string // like stockClient.can
	run     func(d *secureDesk, steps ...step) string
	more    func(d *secureDesk)
}

var tlsSizes = []int{0, 1, 64<<10 + 1, 1<<20 + 1}

// work is the list of work.
func (c *tlsClient) work(d *secureDesk) {
	c.transfers(d, tlsSizes)
	c.goesOn(d, strings.Contains(c.can, "put"))
	if c.more != nil {
		c.more(d)
	}
}

// transfers transfers files of those sizes in both directions, and lists them.
func (c *tlsClient) transfers(d *secureDesk, sizes []int) {
	puts := strings.Contains(c.can, "put")
	var steps []step
	for _, size := range sizes {
		name := fmt.Sprintf("%d bytes", size)
		if puts {
			d.file(d.local(name), noise()[:size])
			steps = append(steps, step{"put", name, d.path(name)})
		} else {
			d.file(d.far(name), noise()[:size])
		}
		steps = append(steps, step{"get", d.path(name), "back " + name})
	}
	c.run(d, steps...)
	for _, size := range sizes {
		name := fmt.Sprintf("%d bytes", size)
		d.holds("put "+name, d.far(name), noise()[:size])
		d.holds("get "+name, d.local("back "+name), noise()[:size])
		d.went("RETR", name, size, c)
	}
	if strings.Contains(c.can, "ls") {
		if listing := c.run(d, step{"ls", d.there, ""}); !strings.Contains(listing, "65537 bytes") {
			d.t.Errorf("ls:\n%s", listing)
		}
	}
}

// goesOn resumes interrupted transfers.
func (c *tlsClient) goesOn(d *secureDesk, puts bool) {
	const half = 1 << 19
	whole := noise()[:2*half]
	d.file(d.far("down"), whole)
	d.file(d.local("down"), whole[:half])
	steps := []step{{"reget", d.path("down"), "down"}}
	if puts {
		d.file(d.far(server.PartialName("up", "rw", nil, 0)), whole[:half])
		d.file(d.local("up"), whole)
		steps = append(steps, step{"reput", "up", d.path("up")})
	}
	c.run(d, steps...)
	d.holds("reget", d.local("down"), whole)
	d.went("RETR", "down", half, c)
	if puts {
		d.holds("reput", d.far("up"), whole)
		d.went("STOR or APPE", "up", half, c)
	}
}

// testTLS runs the list of work in the ways that the client supports: all with make soak, otherwise a sample
// with each version in each mode, and both explicit and implicit TLS.
func testTLS(t *testing.T, reuse dtp.Reuse, clients map[string]*tlsClient) {
	eachVersion(t, func(t *testing.T, version uint16) {
		s := newSecureStock(t, version, reuse)
		for kind, c := range clients {
			program := peers.Client(t, c.program)
			for _, implicit := range []bool{false, true} {
				for _, active := range []bool{false, true} {
					if active && !c.active || implicit && c.brief {
						continue
					}
					if !inSample(c, version, implicit, active) && !testutil.Soaking {
						continue
					}
					way := kind + map[bool]string{false: " explicit", true: " implicit"}[implicit]
					way += map[bool]string{false: " passive", true: " active"}[active]
					t.Run(way, func(t *testing.T) {
						t.Parallel()
						c.work(s.open(t, program, implicit, active))
					})
				}
			}
		}
	})
}

// inSample reports whether an ordinary test includes that way of a client. With TLS 1.3 these are explicit
// passive and implicit active, with TLS 1.2 the others.
func inSample(c *tlsClient, version uint16, implicit, active bool) bool {
	if !c.active {
		return c.brief || implicit == (version == tls.VersionTLS12)
	}
	return active == (implicit == (version == tls.VersionTLS13))
}

// killedUnderTLS kills a client in the middle of an upload from its standard input. Nothing may get the final
// name, because a dead process sends a FIN but no close_notify. What has arrived is kept, and the step resumes
// it.
func (d *secureDesk) killedUnderTLS(c *tlsClient, program string, args ...string) {
	d.t.Helper()
	whole := noise()[:3<<20]
	d.file(d.local("killed"), whole)
	cmd, cancel := d.command(program, args...)
	defer cancel()
	stdin, err := cmd.StdinPipe()
	check(d.t, err)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	check(d.t, cmd.Start())
	if _, err = stdin.Write(whole[:1<<20]); err != nil {
		_ = cmd.Wait()
		d.t.Fatalf("%s %q: %v\n%s", program, args, err, out.String())
	}
	d.arrived("killed", 1)
	check(d.t, cmd.Process.Kill())
	_ = cmd.Wait()
	d.kept("killed")
	fi, err := os.Stat(d.far(server.PartialName("killed", "rw", nil, 0)))
	check(d.t, err)
	c.run(d, step{"reput", "killed", d.path("killed")})
	d.same("reput of what was killed", d.local("killed"), d.far("killed"))
	d.went("STOR or APPE", "killed", len(whole)-int(fi.Size()), c)
}

// many makes n small files, and checks that they are on the server after put.
func (d *secureDesk) many(n int, put func(names []string)) {
	d.t.Helper()
	var names []string
	for i := range n {
		name := fmt.Sprintf("many%02d", i)
		names = append(names, name)
		d.file(d.local(name), noise()[i:i+i*i*100])
	}
	put(slices.Clone(names))
	for _, name := range names {
		d.same(name, d.local(name), d.far(name))
	}
}
