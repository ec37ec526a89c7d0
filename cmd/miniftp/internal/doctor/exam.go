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

// exam holds the results of an examination, for rules.go to judge and for show.go and json.go to print.
//
// While probes of several rows run, doctor.mu guards all fields that are not part of a row. A row belongs
// to the goroutine that probes it.
type exam struct {
	url      string // without a password
	host     string
	port     string
	scheme   string // of the URL; ftpes if --tls is given
	isFile   bool   // the URL names a file
	path     string // of the URL
	secret   bool   // the login has a real password, not that of anonymous
	greeting ftp.Reply
	system   string // the reply to SYST
	features ftp.Features
	hasFEAT  bool
	asked    bool             // FEAT was sent, which needs a login
	featErr  error            // why FEAT got no reply
	server   *product.Product // nil if it is unknown
	steps    []step
	rows     []*gridRow
	checks   checks
	trusting bool // --insecure
}

// gridRow is one line of the grid: an address family with a protection (clear, TLS 1.2 or TLS 1.3).
type gridRow struct {
	family  string // "IPv4", "IPv6", or "proxy"
	addr    netip.Addr
	spec    connSpec
	stage   stage // how far a connection got
	err     error // why nothing could be tried
	bad     error // why the certificate is not trusted, nil if it is
	cert    *x509.Certificate
	local   netip.Addr // our end of the control connection
	cells   [len(ways)]gridCell
	resumes bool     // data connections resume the TLS session of the control connection
	noReuse *outcome // of a transfer that does not resume the TLS session; nil if not tried
}

// gridCell is one way of a row.
type gridCell struct {
	state   cellState
	written bool // tried by an upload, not a listing
	outcome
}

type cellState uint8

const (
	untried cellState = iota
	absent            // the server does not support it, or it does not apply
	unread            // the account may not read, and uploads were not tried
	works
	fails
)

// protection returns the text for the first column of a row.
func (r *gridRow) protection() string {
	if r.spec.mode == client.NoTLS {
		return "clear"
	}
	return tls.VersionName(r.spec.version)
}

// best returns the first way that works, or -1.
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
	learned bool            // SYST and FEAT have been sent
	slow    map[string]bool // by family and way: a trial has timed out, so the next one gets less time
}

// examine fills in d.x. It returns an error only if the host can't be looked up or ctx has ended.
func (d *doctor) examine(ctx context.Context) error {
	if err := d.plan(ctx); err != nil {
		return err
	}
	whole, cancel := context.WithTimeout(ctx, 12*d.s.opts.Timeout)
	defer cancel()
	d.findDir(whole)
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
	for _, r := range d.x.rows { // again, one at a time, because some servers allow only one connection
		if d.most > 1 && isTurnedAway(r.err) {
			d.probe(whole, r)
		}
	}
	if r, way := d.x.bestWay(); r != nil {
		d.check(whole, r, way)
	}
	return context.Cause(ctx)
}

// open opens a control connection for r. If the server answers 421, open tries again, because the server
// may not have noticed yet that the previous connection has ended.
func (d *doctor) open(ctx context.Context, r *gridRow) connResult {
	for try := 0; ; try++ {
		o := d.s.open(ctx, r.spec)
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

// isTurnedAway reports whether the server refuses further connections for now. A 530 may also mean that,
// but it may mean a wrong password as well, which must not be tried often.
func isTurnedAway(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 421 && !refusesClear(err)
}

// probe tries all ways of a row. It opens a new connection only if the previous one is broken.
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
			d.record(r, o)
			if o.err != nil {
				if ctx.Err() == nil || first {
					r.err = o.err
				}
				return
			}
			w = o.w
			if d.learn(w); w.broken { // a late reply would be mistaken for that to the next command
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

// record stores what a connection has shown about the server and the row.
func (d *doctor) record(r *gridRow, o connResult) {
	d.mu.Lock()
	d.x.addSteps(o.steps)
	if d.x.greeting.Code == 0 {
		d.x.greeting = o.greeting
		d.x.server = product.Recognise(o.greeting.Text())
	}
	d.mu.Unlock()
	r.stage = max(r.stage, o.stage)
	if r.bad = o.bad; o.tls != nil && len(o.tls.PeerCertificates) > 0 {
		r.cert = o.tls.PeerCertificates[0]
	}
	if o.w != nil {
		r.local = o.w.pi.Control().Local.Addr()
	}
}

// learn sends SYST and FEAT, once per examination.
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
	if d.x.featErr = err; err == nil {
		d.x.features, d.x.hasFEAT = ftp.ParseFeatures(r), r.Code.Class() == ftp.Completion
	}
	d.x.server = product.Recognise(d.x.greeting.Text() + "\n" + d.x.system)
}

// addSteps adds the steps that have not been measured before.
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

// stepNames holds the names of the steps in order.
var stepNames = []string{"connect", "greeting", "TLS", "login", "first listing"}

// listing returns the trial for a cell of the grid: it lists the directory and reads at most 64 KiB of the
// listing.
func (d *doctor) listing(way int, within time.Duration) trial {
	t := trial{way: way, cmd: ftp.Command{Verb: "LIST"}, most: 64 << 10, within: within}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.x.hasMLSD() && !d.x.checks.mlsdRefused {
		t.cmd.Verb, t.noType = "MLSD", true
	}
	return t
}

func (x *exam) hasMLSD() bool { return x.features.Has("MLST") || x.features.Has("MLSD") }

// try tries one way, and records the result in its cell.
func (d *doctor) try(w *wire, r *gridRow, way int) {
	within := d.s.opts.Timeout
	key := r.family + ways[way]
	d.mu.Lock()
	if d.slow[key] {
		within /= 4
	}
	d.mu.Unlock()
	c := &r.cells[way]
	t := d.listing(way, within)
	c.outcome = w.run(t)
	var no *ftp.Error
	if t.noType && c.offered && errors.As(c.err, &no) && no.Verb == "MLSD" && (no.Code == 500 || no.Code == 502) {
		d.mu.Lock()
		d.x.checks.mlsdRefused = true
		d.mu.Unlock()
		t.cmd.Verb, t.noType = "LIST", false
		c.outcome = w.run(t)
	}
	if c.offered && isReadRefused(c.err) {
		d.byWriting(w, c, t)
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

// withoutReuse finds out whether data connections must resume the TLS session. It does nothing if they
// don't resume it at all.
func (d *doctor) withoutReuse(ctx context.Context, r *gridRow) {
	way := r.best()
	if way < 0 || !r.resumes || r.cells[way].written {
		return
	}
	fresh := *r
	fresh.spec.noReuse = true
	o := d.open(ctx, &fresh)
	if o.w == nil {
		return
	}
	defer o.w.leave()
	t := d.listing(way, d.s.opts.Timeout)
	out := o.w.run(t)
	r.noReuse = &out
}

// verifyCert returns the error that package tls would return if it verified the certificates of cs with cfg,
// or nil if they are trusted.
func verifyCert(cfg *tls.Config, cs tls.ConnectionState, host string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the server sent no certificate")
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

// setting returns the name of the server product and of its setting for a topic, as "ProFTPD: PassivePorts", or
// "" if either is unknown.
func (x *exam) setting(t product.Topic) string {
	if x.server == nil || x.server.Settings[t] == "" {
		return ""
	}
	return x.server.Name + ": " + x.server.Settings[t]
}
