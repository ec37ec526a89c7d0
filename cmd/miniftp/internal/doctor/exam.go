package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/product"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// exam is all that an examination found out: values, which rules.go judges and show.go
// prints.
type exam struct {
	url      string // without a password
	host     string
	port     string
	scheme   string // of the URL; ftpes where --tls was given
	isFile   bool   // the URL names a file
	path     string // of the URL
	secret   bool   // a password goes to the server
	greeting ftp.Reply
	system   string // the answer to SYST
	features ftp.Features
	hasFEAT  bool
	asked    bool             // whether FEAT was asked for: it is behind the login
	unasked  error            // why FEAT was not answered
	server   *product.Product // nil if its words don't tell
	steps    []step
	rows     []*gridRow
	checks   checks
	trusting bool // --insecure
}

// gridRow is one line of the grid: a family and a protection.
type gridRow struct {
	family   string // "IPv4", "IPv6", or "proxy"
	addr     netip.Addr
	corner   corner
	stage    stage // how far a connection came
	err      error // why nothing could be tried
	bad      error // what nothing vouches for in the certificate
	cert     *x509.Certificate
	local    netip.Addr // our end of the control connection
	cells    [len(ways)]gridCell
	resumes  bool     // data connections resume the control connection's session
	unshared *outcome // of a data connection that did not resume; nil: not tried
	without  int      // its way
}

// gridCell is one way of a row.
type gridCell struct {
	state   cellState
	written bool // tried by an upload
	outcome
}

type cellState uint8

const (
	untried cellState = iota
	absent            // the server does not know it, or it can't be
	unread            // the account may not read, and nothing was written to try it
	works
	fails
)

// protection names the second column of a row.
func (r *gridRow) protection() string {
	if r.corner.mode == client.NoTLS {
		return "clear"
	}
	return tls.VersionName(r.corner.version)
}

func (r *gridRow) best() int {
	for way := range r.cells {
		if r.cells[way].state == works {
			return way
		}
	}
	return -1
}

// doctor runs an examination.
type doctor struct {
	s      *setup
	x      *exam
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	write  bool
	most   int // connections at once

	mu      sync.Mutex
	learned bool            // SYST and FEAT are known
	slow    map[string]bool // ways, by family, that timed out: the next wait is shorter
}

// examine fills in d.x. Its error is that no address is known, or that ctx ended.
func (d *doctor) examine(ctx context.Context) error {
	if err := d.plan(ctx); err != nil {
		return err
	}
	whole, cancel := context.WithTimeout(ctx, 12*d.s.opts.Timeout)
	defer cancel()
	d.find(whole)
	turn := make(chan struct{}, d.most)
	var all sync.WaitGroup
	for _, r := range d.x.rows {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			d.probe(whole, r)
		})
	}
	all.Wait()
	for _, r := range d.x.rows { // one at a time: some servers let in no more
		if d.most > 1 && isTurnedAway(r.err) {
			d.probe(whole, r)
		}
	}
	if r, way := d.x.use(); r != nil {
		d.check(whole, r, way)
	}
	return context.Cause(ctx)
}

// open connects as r says. A server that has not yet noticed that the last connection is
// over may call this one too many: it is asked again.
func (d *doctor) open(ctx context.Context, r *gridRow) opening {
	for try := 0; ; try++ {
		o := d.s.open(ctx, r.corner)
		if try == 2 || !isTurnedAway(o.err) {
			return o
		}
		select {
		case <-ctx.Done():
			return o
		case <-time.After(d.s.opts.Timeout / 20 << try):
		}
	}
}

// isTurnedAway: the server has enough connections, for now. A 530 may mean that, too,
// but also that the password is wrong, which is not tried often.
func isTurnedAway(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 421 && !refusesClear(err)
}

// probe tries all ways of a row, over as few connections as will do.
func (d *doctor) probe(ctx context.Context, r *gridRow) {
	r.err = nil
	var w *wire
	defer func() {
		if w != nil {
			w.leave()
		}
	}()
	for way := range r.cells {
		c := &r.cells[way]
		if r.addr.Is6() && (way == byPASV || way == byPORT) || isActive(way) && d.s.opts.Dial != nil {
			c.state = absent
			continue
		}
		if w != nil && w.broken {
			w.leave()
			w = nil
		}
		if w == nil {
			o := d.open(ctx, r)
			first := way == byEPSV
			d.took(r, o)
			if o.err != nil {
				if ctx.Err() == nil || first {
					r.err = o.err
				}
				return
			}
			w = o.w
			if d.learn(w); w.broken { // an answer that comes late is not that to the next command
				w.leave()
				if o = d.open(ctx, r); o.err != nil {
					r.err, w = o.err, nil
					return
				}
				w = o.w
			}
		}
		d.try(w, r, way)
	}
	d.withoutReuse(ctx, r)
}

// took keeps what a connection showed.
func (d *doctor) took(r *gridRow, o opening) {
	d.mu.Lock()
	d.x.addSteps(o.steps)
	if d.x.greeting.Code == 0 {
		d.x.greeting = o.greeting
		d.x.server = product.Recognise(o.greeting.Text())
	}
	d.mu.Unlock()
	r.stage = max(r.stage, o.stage)
	if r.bad = o.bad; o.cert != nil && len(o.cert.PeerCertificates) > 0 {
		r.cert = o.cert.PeerCertificates[0]
	}
	if o.w != nil {
		r.local = o.w.pi.Control().Local.Addr()
	}
}

// learn asks, once, what the server is and can.
func (d *doctor) learn(w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.learned {
		return
	}
	d.learned, d.x.asked = true, true
	r, err := w.say("SYST", "")
	if err == nil && r.Code.Class() == ftp.Completion {
		d.x.system = w.pi.Mask(r.Last())
	}
	if !w.broken {
		r, err = w.say("FEAT", "")
	}
	if d.x.unasked = err; err == nil {
		d.x.features, d.x.hasFEAT = ftp.ParseFeatures(r), r.Code.Class() == ftp.Completion
	}
	d.x.server = product.Recognise(d.x.greeting.Text() + "\n" + d.x.system)
}

// addSteps keeps the first measurement of each step.
func (x *exam) addSteps(steps []step) {
	for _, s := range steps {
		if !slices.ContainsFunc(x.steps, func(k step) bool { return k.name == s.name }) {
			x.steps = append(x.steps, s)
		}
	}
	slices.SortStableFunc(x.steps, func(a, b step) int {
		return slices.Index(stepNames, a.name) - slices.Index(stepNames, b.name)
	})
}

// stepNames are the steps in their order.
var stepNames = []string{"connect", "greeting", "TLS", "login", "first listing"}

// listing is the probe of the grid: the directory, its first bytes at most.
func (d *doctor) listing(way int, within time.Duration) errand {
	e := errand{way: way, cmd: ftp.Command{Verb: "LIST"}, most: 64 << 10, within: within}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.x.hasMLSD() && !d.x.checks.mlsdRefused {
		e.cmd.Verb, e.plain = "MLSD", true
	}
	return e
}

func (x *exam) hasMLSD() bool { return x.features.Has("MLST") || x.features.Has("MLSD") }

// try makes one cell.
func (d *doctor) try(w *wire, r *gridRow, way int) {
	within := d.s.opts.Timeout
	key := r.family + ways[way]
	d.mu.Lock()
	if d.slow[key] {
		within /= 4
	}
	d.mu.Unlock()
	c := &r.cells[way]
	e := d.listing(way, within)
	c.outcome = w.run(e)
	var no *ftp.Error
	if e.plain && c.offered && errors.As(c.err, &no) && no.Verb == "MLSD" && (no.Code == 500 || no.Code == 502) {
		d.mu.Lock()
		d.x.checks.mlsdRefused = true
		d.mu.Unlock()
		e.cmd.Verb, e.plain = "LIST", false
		c.outcome = w.run(e)
	}
	if c.offered && isNoReading(c.err) {
		d.byWriting(w, c, e)
	}
	switch {
	case c.state == unread:
	case c.err == nil:
		c.state = works
	case !c.offered && errors.As(c.err, &no) && no.Code.Class() == ftp.PermanentFail:
		c.state = absent
	default:
		c.state = fails
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case c.written:
	case c.state == works:
		d.x.addSteps([]step{{"first listing", c.took}})
		r.resumes = r.resumes || c.tls != nil && c.tls.Resumed
	case c.took >= within:
		d.slow[key] = true
	}
}

// withoutReuse looks whether data connections have to resume the TLS session, where
// they do.
func (d *doctor) withoutReuse(ctx context.Context, r *gridRow) {
	way := r.best()
	if way < 0 || !r.resumes || r.cells[way].written {
		return
	}
	alone := *r
	alone.corner.noReuse = true
	o := d.open(ctx, &alone)
	if o.w == nil {
		return
	}
	defer o.w.leave()
	e := d.listing(way, d.s.opts.Timeout)
	out := o.w.run(e)
	r.unshared, r.without = &out, way
}

// vouch is the error of a certificate that nothing vouches for, of the kind that
// package tls gives.
func vouch(cfg *tls.Config, cs tls.ConnectionState, host string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	if !cfg.InsecureSkipVerify {
		all := x509.NewCertPool()
		for _, c := range cs.PeerCertificates[1:] {
			all.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: all, DNSName: host})
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
	}
	if cfg.VerifyConnection != nil {
		return cfg.VerifyConnection(cs)
	}
	return nil
}

// setting names what the server's admin has to set, as the server calls it; "" if
// that is not known.
func (x *exam) setting(t product.Topic) string {
	if x.server == nil || x.server.Settings[t] == "" {
		return ""
	}
	return x.server.Name + ": " + x.server.Settings[t]
}
