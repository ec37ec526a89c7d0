package dtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

func TestTakeExactlyOnce(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	none := func() {
		t.Helper()
		if o, err := m.Take(); o != nil || !errors.Is(err, ErrNoOffer) || m.Offered() {
			t.Errorf("took %v, %v without an offer", o, err)
		}
	}
	none()
	o, _ := listening(t, m)
	defer o.Close()
	none()
	_, err := m.Listen()
	check(t, err)
	m.Close()
	none()
	check(t, m.Dial(netip.AddrPortFrom(home, 4000)))
	if !m.Offered() {
		t.Error("no offer after Dial")
	}
	o, err = m.Take()
	if err != nil || o.Addr().Port() != 4000 || o.Mode() != ftp.Active {
		t.Errorf("took %+v, %v", o, err)
	}
	none()
	o.Close() // nothing was dialed yet
	m.Close()
	m.Close()
}

// A new offer replaces the last one, whatever their kinds. After a refused offer there is none.
func TestNewOfferReplacesTheLast(t *testing.T) {
	to := netip.AddrPortFrom(home, 4000)
	for _, tc := range []struct {
		name string
		next func(*Manager) error
		want ftp.Stance
	}{
		{"listen", func(m *Manager) error { _, err := m.Listen(); return err }, ftp.Listens},
		{"dial", func(m *Manager) error { return m.Dial(to) }, ftp.Dials},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, _ := manage(t, &Config{Side: ftp.ServerPI})
			old, err := m.Listen()
			check(t, err)
			waiting := call(t, home, old)
			check(t, tc.next(m))
			hungUp(t, waiting)
			o, err := m.Take()
			check(t, err)
			defer o.Close()
			if o.stance != tc.want || o.Addr() == old {
				t.Errorf("took %v %v after %v", o.stance, o.Addr(), old)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		m, _ := manage(t, &Config{Side: ftp.ServerPI})
		_, err := m.Listen()
		check(t, err)
		if m.Dial(netip.AddrPortFrom(home, 21)) == nil || m.Offered() {
			t.Error("the offer before the refused one is still valid")
		}
	})
}

// Each side listens in one mode and dials in the other.
func TestModes(t *testing.T) {
	for _, tc := range []struct {
		side           ftp.Side
		listens, dials ftp.DataMode
	}{{ftp.ServerPI, ftp.Passive, ftp.Active}, {ftp.UserPI, ftp.Active, ftp.Passive}} {
		m, e := manage(t, &Config{Side: tc.side})
		o, addr := listening(t, m)
		check(t, m.Dial(addr))
		d, err := m.Take()
		check(t, err)
		if o.Mode() != tc.listens || d.Mode() != tc.dials {
			t.Errorf("%v: listens %v, dials %v", tc.side, o.Mode(), d.Mode())
		}
		dialed := open(t, d)
		accepted := open(t, o)
		if dialed.Mode != tc.dials || dialed.Stance != ftp.Dials || accepted.Mode != tc.listens || accepted.Stance != ftp.Listens {
			t.Errorf("%v: %+v, %+v", tc.side, dialed, accepted)
		}
		for i, opened := range emitted[ftp.DataOpened](e) {
			c := []*Conn{dialed, accepted}[i]
			if opened.Mode != c.Mode || opened.Stance != c.Stance || opened.Local != AddrPort(c.LocalAddr()) || opened.Remote != AddrPort(c.RemoteAddr()) {
				t.Errorf("%v: emitted %+v", tc.side, opened)
			}
		}
	}
}

func TestNobodyComes(t *testing.T) {
	ports := ranged(t, 1)
	m, e := manage(t, &Config{Side: ftp.ServerPI, Ports: ports, Timeout: time.Millisecond})
	o, addr := listening(t, m)
	_, err := o.Open(context.Background())
	var oe *OpenError
	if !errors.As(err, &oe) || !errors.Is(err, ErrNobodyCame) || oe.Addr != addr || oe.Stance != ftp.Listens || oe.Mode != ftp.Passive {
		t.Errorf("%#v: %v", err, err)
	}
	if failed := emitted[ftp.DataFailed](e); len(failed) != 1 || failed[0].Addr != addr || !errors.Is(failed[0].Err, ErrNobodyCame) {
		t.Errorf("emitted %+v", failed)
	}
	// The port can be used again.
	m.cfg.Timeout = patience
	o, addr = listening(t, m)
	call(t, home, addr)
	open(t, o)
}

// A dial without an answer ends after the timeout, with an event.
func TestDialTimeout(t *testing.T) {
	for _, tc := range []struct {
		timeout, want time.Duration
	}{{7 * time.Second, 7 * time.Second}, {0, DefaultTimeout}} {
		synctest.Test(t, func(t *testing.T) {
			m := NewManager(&Config{Side: ftp.UserPI, Timeout: tc.timeout, Dial: neverAnswers},
				netip.AddrPort{}, netip.AddrPortFrom(home, 21), nil)
			check(t, m.Dial(netip.AddrPortFrom(home, 4000)))
			o, err := m.Take()
			check(t, err)
			start := time.Now()
			_, err = o.Open(context.Background())
			var oe *OpenError
			if !errors.As(err, &oe) || oe.Addr.Port() != 4000 || !strings.Contains(err.Error(), "no answer within "+tc.want.String()) {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took != tc.want {
				t.Errorf("after %v, want %v", took, tc.want)
			}
		})
	}
}

func neverAnswers(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Config.Dial is called with the address that the Guard has admitted.
func TestOwnDialer(t *testing.T) {
	var asked string
	near, far := net.Pipe()
	defer far.Close()
	m, _ := manage(t, &Config{Side: ftp.UserPI, Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		asked = network + " " + address
		return near, nil
	}})
	check(t, m.Dial(netip.MustParseAddrPort("10.0.0.1:4000")))
	o, err := m.Take()
	check(t, err)
	if c := open(t, o); c.Conn != near || asked != "tcp 127.0.0.1:4000" {
		t.Errorf("Dial was called with %q", asked)
	}
}

func TestRefusedCall(t *testing.T) {
	m, e := manage(t, &Config{Side: ftp.ServerPI})
	addr := testutil.ClosedPort(t)
	check(t, m.Dial(addr))
	o, err := m.Take()
	check(t, err)
	_, err = o.Open(context.Background())
	var oe *OpenError
	if !errors.As(err, &oe) || oe.Addr != addr || oe.Stance != ftp.Dials || oe.Mode != ftp.Active {
		t.Fatalf("%#v: %v", err, err)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || strings.Count(err.Error(), addr.String()) != 1 {
		t.Errorf("%v: want the word refused, and the address once", err)
	}
	if failed := emitted[ftp.DataFailed](e); len(failed) != 1 || failed[0].Addr != addr || failed[0].Stance != ftp.Dials {
		t.Errorf("emitted %+v", failed)
	}
}

var errEnough = errors.New("enough")

// cancelled returns a context that ends with errEnough, at once or when the test ends it.
func cancelled(now bool) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	if now {
		cancel(errEnough)
	}
	return ctx, func() { cancel(errEnough) }
}

// Cancel ends the wait for the data connection, before it and during it, with the
// context's cause. The timeout is far longer than the test's patience.
func TestCancelOpen(t *testing.T) {
	for _, stance := range []ftp.Stance{ftp.Listens, ftp.Dials} {
		for _, before := range []bool{true, false} {
			t.Run(stance.String()+map[bool]string{true: " cancelled before", false: " cancelled meanwhile"}[before], func(t *testing.T) {
				waits := make(chan struct{}, 1)
				m, e := manage(t, &Config{Side: ftp.ServerPI, Timeout: time.Hour, Ports: ranged(t, 1), Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
					waits <- struct{}{}
					return neverAnswers(ctx, n, a)
				}})
				var o *Opener
				if stance == ftp.Listens {
					o, _ = listening(t, m)
					waits <- struct{}{}
				} else {
					check(t, m.Dial(netip.AddrPortFrom(home, 4000)))
					o, _ = m.Take()
				}
				ctx, cancel := cancelled(before)
				defer cancel()
				go func() { <-waits; cancel() }()
				err := within(t, func() error { _, err := o.Open(ctx); return err })
				var oe *OpenError
				if !errors.As(err, &oe) || !errors.Is(err, errEnough) {
					t.Errorf("%v, want an *OpenError for %v", err, errEnough)
				}
				if failed := emitted[ftp.DataFailed](e); len(failed) != 1 || !errors.Is(failed[0].Err, errEnough) {
					t.Errorf("emitted %+v", failed)
				}
				// The lease has ended, and the port has no deadline left.
				o, addr := listening(t, m)
				call(t, home, addr)
				open(t, o)
			})
		}
	}
}

// Run reports that a data connection was never opened.
func TestRunOpens(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI, Timeout: time.Millisecond})
	o, _ := listening(t, m)
	opened := false
	res := Run(context.Background(), o, Job{Source: strings.NewReader("x"), Opened: func(*Conn) error { opened = true; return nil }})
	var oe *OpenError
	if res.Opened || res.Bytes != 0 || !errors.As(res.Err, &oe) || opened {
		t.Errorf("%+v, opened: %v", res, opened)
	}

	m.cfg.Timeout = patience
	o, addr := listening(t, m)
	c := call(t, home, addr)
	var stood *Conn
	res = Run(context.Background(), o, Job{Source: strings.NewReader("x"), Type: ftp.Image, Opened: func(c *Conn) error { stood = c; return nil }})
	if !res.Opened || res.Bytes != 1 || res.Err != nil || stood == nil || stood.Stance != ftp.Listens {
		t.Errorf("%+v on %+v", res, stood)
	}
	wantBytes(t, c, []byte("x"))
}
