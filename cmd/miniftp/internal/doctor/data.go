package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// goAheadAnyway is how long a TLS handshake on a data connection waits for the server's 150 reply. Some
// servers send it only after the handshake.
const goAheadAnyway = 2 * time.Second

// The columns of the grid are the ways to announce the address of a data connection.
const (
	byEPSV = iota
	byPASV
	byEPRT
	byPORT
)

var ways = [...]string{"EPSV", "PASV", "EPRT", "PORT"}

func isActive(way int) bool { return way >= byEPRT }

// trial describes one transfer that doctor makes.
type trial struct {
	way    int
	cmd    ftp.Command
	offset int64
	source io.Reader // for an upload, else nil
	most   int       // the maximum number of bytes to receive
	within time.Duration
	noType bool // do not send TYPE, which MLSD does not need
}

// outcome is the result of a trial.
type outcome struct {
	announced netip.AddrPort // the address in the 227 or 229 reply, or in our EPRT or PORT
	text      []byte
	enough    bool // the transfer was stopped after the maximum number of bytes
	opened    bool // the data connection was established
	cutShort  bool // TLS ended without close_notify
	tls       *ftp.TLS
	reply     ftp.Reply
	offered   bool // the server accepted the command for the way
	took      time.Duration
	err       error
}

// run makes the transfer. After most failures w is marked as broken, and the caller must use a new one.
func (w *wire) run(t trial) (o outcome) {
	start := time.Now()
	defer func() { o.took = time.Since(start) }()
	if w.typ != ftp.Image && !t.noType {
		if _, o.err = w.do("TYPE", "I"); o.err != nil {
			return o
		}
		w.typ = ftp.Image
	}
	data := w.dataManager(t.within)
	defer data.Close()
	if o.announced, o.err = w.offer(data, t.way); o.err != nil {
		return o
	}
	o.offered = true
	if t.offset > 0 {
		if _, o.err = w.do("REST", fmt.Sprint(t.offset)); o.err != nil {
			return o
		}
	}
	opener, err := data.Take()
	if err != nil {
		o.err = err
		return o
	}
	w.transfer(t, opener, &o)
	w.pi.Tell(ftp.TransferDone{Verb: t.cmd.Verb, Path: t.cmd.Arg, Mode: opener.Mode(), Offset: t.offset, Bytes: int64(len(o.text)), Took: o.took, Err: o.err})
	return o
}

func (w *wire) dataManager(within time.Duration) *dtp.Manager {
	cfg := &dtp.Config{Side: ftp.UserPI, Ports: w.s.ports, Timeout: within}
	if dial := w.s.opts.Dial; dial != nil { // through a proxy, which connects to the host by name
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if to, err := netip.ParseAddrPort(address); err == nil && (to.Addr() == w.pi.Control().Remote.Addr() || !w.pi.Control().Remote.IsValid()) {
				address = net.JoinHostPort(w.s.host, fmt.Sprint(to.Port()))
			}
			return dial(ctx, network, address)
		}
	}
	m := dtp.NewManager(cfg, w.pi.Control().Local, w.pi.Peer(), w.pi.Tell)
	if w.pi.Security() != nil {
		m.Protect(w.pi.Security())
	}
	return m
}

// offer negotiates a data connection with the server by the given way, without falling back to another.
// It returns the announced address.
func (w *wire) offer(data *dtp.Manager, way int) (netip.AddrPort, error) {
	verb := ways[way]
	if isActive(way) {
		addr, err := data.Listen()
		if err != nil {
			return addr, &client.LocalError{Err: err}
		}
		if ip := w.s.opts.ActiveIP; ip.IsValid() {
			addr = netip.AddrPortFrom(ip.Unmap(), addr.Port())
		}
		arg := ftp.FormatEPRT(addr)
		if way == byPORT {
			arg = ftp.FormatHostPort(addr)
		}
		if _, err = w.do(verb, arg); err == nil {
			w.pi.Tell(ftp.DataOffered{Mode: ftp.Active, Stance: ftp.Listens, Addr: addr, Said: verb})
		}
		return addr, err
	}
	r, err := w.do(verb, "")
	if err != nil {
		return netip.AddrPort{}, err
	}
	said := "227"
	addr, bad := ftp.Parse227(r.Text())
	if port, err := ftp.Parse229(r.Text()); r.Code == 229 && err == nil { // some servers answer PASV with a 229, too
		addr, said, bad = netip.AddrPortFrom(w.pi.Control().Remote.Addr(), port), "229", nil
	}
	if bad != nil {
		return addr, &noAddress{verb, r}
	}
	w.pi.Tell(ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Addr: addr, Said: said})
	return addr, data.Dial(addr)
}

// noAddress is the error for a positive reply to EPSV or PASV that holds no address.
type noAddress struct {
	verb  string
	reply ftp.Reply
}

func (e *noAddress) Error() string {
	return fmt.Sprintf("the reply to %s holds no address: %v", e.verb, e.reply)
}

// transfer sends the command and, at the same time, runs the data connection in another goroutine.
func (w *wire) transfer(t trial, opener *dtp.Opener, o *outcome) {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	goAhead := make(chan struct{})
	sink := &bounded{most: t.most}
	job := dtp.Job{Type: ftp.Image, Stall: w.wait, Opened: w.opened(ctx, goAhead, t.source != nil)}
	if t.source != nil {
		job.Source, job.Reset = t.source, true
	} else {
		job.Sink = sink
	}
	w.secured.Store(nil)
	w.setPatience(2 * w.wait) // longer than the timeout of the data connection, which is to end first
	defer w.setPatience(0)
	results := make(chan dtp.Result, 1)
	go func() {
		res := dtp.Run(ctx, opener, job)
		if w.setPatience(w.wait); res.Err != nil {
			w.setPatience(w.brief())
		}
		results <- res
	}()
	err := w.lost(w.pi.Send(t.cmd))
	for begun := false; err == nil; {
		o.reply, err = w.pi.Next(w.ctx, t.cmd)
		err = w.lost(err)
		if class := o.reply.Code.Class(); err == nil && class >= ftp.TransientFail {
			err = &ftp.Error{Verb: t.cmd.Verb, Reply: o.reply}
		} else if err == nil && !begun {
			begun = true
			close(goAhead)
		}
		if o.reply.Code.Class() == ftp.Completion {
			break
		}
	}
	if err != nil {
		cancel(err)
	}
	res := <-results
	o.opened, o.cutShort, o.text, o.tls = res.Opened, res.CutShort, bytes.Clone(sink.Bytes()), w.secured.Load()
	o.judge(res.Err, err)
	// After a refusal it is certain which command the next reply answers. After other failures it is not.
	if reply := new(ftp.Error); (o.err != nil || o.enough) && !errors.As(err, &reply) {
		w.broken = true
	}
}

// judge sets o.err to that of the two errors that caused the other one.
func (o *outcome) judge(data, control error) {
	var reply *ftp.Error
	switch {
	case errors.Is(data, errEnough):
		o.enough = true
	case errors.As(control, &reply) && reply.Code != 421:
		o.err = control // the reply canceled the data connection, or says why it ended
		if open := new(dtp.OpenError); errors.As(data, &open) && !errors.As(open.Err, new(*ftp.Error)) {
			o.err = data // the data connection failed first, which caused the reply
		}
	case data != nil && !errors.Is(data, control):
		o.err = data
	default:
		o.err = control
	}
}

// opened returns a function that waits for the server's 150 before a TLS handshake or an upload.
func (w *wire) opened(ctx context.Context, goAhead chan struct{}, upload bool) func(*dtp.Conn) error {
	return func(*dtp.Conn) error {
		if w.pi.Security() == nil && !upload {
			return nil
		}
		var impatient <-chan time.Time
		if !upload {
			impatient = time.After(goAheadAnyway)
		}
		select {
		case <-goAhead:
		case <-impatient:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return nil
	}
}

// bounded is a buffer that accepts at most a given number of bytes.
type bounded struct {
	bytes.Buffer
	most int
}

var errEnough = errors.New("enough data was received")

func (b *bounded) Write(p []byte) (int, error) {
	if free := b.most - b.Len(); len(p) > free {
		n, _ := b.Buffer.Write(p[:free])
		return n, errEnough
	}
	return b.Buffer.Write(p)
}
