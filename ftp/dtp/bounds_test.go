package dtp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
)

// tokens returns a limiter that allows n bytes and no more.
func tokens(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(1e-9), n) }

// A rate is charged for the bytes that moved. In the kernel's loop, a small upload or a file of
// unknown size is shorter than the chunk that was requested; the rest must not be charged.
func TestRateChargesWhatMoved(t *testing.T) {
	const files, size, budget = 60, 1000, 1 << 20
	for name, job := range map[string]func() Job{
		"upload":                   func() Job { return Job{Sink: tempFile(t, nil)} },
		"download":                 func() Job { return Job{Source: tempFile(t, random(size)), Size: size} },
		"download of unknown size": func() Job { return Job{Source: tempFile(t, random(size))} },
	} {
		t.Run(name, func(t *testing.T) {
			r := tokens(budget)
			for range files {
				ours, theirs := pair(t)
				j := job()
				j.Type, j.Rates = ftp.Image, []*rate.Limiter{nil, r}
				done := run(t.Context(), ours, j)
				if j.Sink != nil {
					_, err := theirs.Write(random(size))
					check(t, err)
					check(t, theirs.CloseWrite())
				} else {
					wantBytes(t, theirs, random(size))
				}
				if res := <-done; res.Err != nil || res.Bytes != size {
					t.Fatalf("%+v", res)
				}
			}
			if got := budget - r.Tokens(); got < files*size-1 || got > files*size+1 {
				t.Errorf("%d bytes were charged as %.0f", files*size, got)
			}
		})
	}
}

// The bytes of an interrupted transfer are charged as well.
func TestRateChargesInterruptedTransfers(t *testing.T) {
	const size, budget = 1000, 1 << 20
	r := tokens(budget)
	ours, theirs := pair(t)
	done := run(t.Context(), ours, Job{Sink: tempFile(t, nil), Type: ftp.Image, Rates: []*rate.Limiter{r}, Stall: 50 * time.Millisecond})
	_, err := theirs.Write(random(size))
	check(t, err)
	if res := <-done; !errors.Is(res.Err, ErrStalled) {
		t.Fatalf("%+v", res)
	}
	if got := budget - r.Tokens(); got < size-1 || got > size+1 {
		t.Errorf("%d bytes were charged as %.0f", size, got)
	}
}

// When a range is used up, the oldest offer is revoked if it was not used for long enough.
// Its owner gets an error, and can no longer change anything about the port.
func TestOffersAreRevoked(t *testing.T) {
	noLeaks(t)
	ports := ranged(t, 2)
	var ms []*Manager
	var addrs []netip.AddrPort
	for range 2 {
		m, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports})
		addr, err := m.Listen()
		check(t, err)
		ms, addrs = append(ms, m), append(addrs, addr)
	}
	patient, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports, Timeout: time.Hour})
	var used *PortsError
	if _, err := patient.Listen(); !errors.As(err, &used) {
		t.Fatalf("%v, want a *PortsError: the offers are not that old", err)
	}
	hasty, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports, Timeout: 1})
	addr, err := hasty.Listen()
	if err != nil || addr != addrs[0] {
		t.Fatalf("%v, %v; want the oldest offer's %v", addr, err, addrs[0])
	}
	if _, err := ms[0].Take(); !errors.Is(err, ErrOfferRevoked) {
		t.Errorf("the revoked offer: %v", err)
	}
	ms[0].Close()
	call(t, home, addr) // the port was not closed

	o, err := ms[1].Take() // an offer that was taken is not revoked
	check(t, err)
	defer o.Close()
	another, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ports, Timeout: 1})
	if got, err := another.Listen(); err != nil || got != addrs[0] {
		t.Errorf("%v, %v; want the offer of hasty, because the older one was taken", got, err)
	}
	hasty.Close() // its offer was revoked as well, so this must not release the port
	if n := ports.count; n != 0 {
		t.Errorf("%d ports are idle while both are leased", n)
	}
}

// The number of idle listeners is bounded over all local addresses, and unused ones are closed.
func TestIdleListenersAreBounded(t *testing.T) {
	drains(t)
	noLeaks(t)
	ports, err := NewPorts(PortRange{})
	check(t, err)
	defer ports.Close()
	for i := range 3 * maxIdle {
		l, err := ports.lease(exclusive(netip.AddrFrom4([4]byte{127, 0, 2, byte(i + 1)})), nil)
		if err != nil {
			t.Skipf("only Linux has all of 127.0.0.0/8: %v", err)
		}
		l.giveBack()
	}
	if ports.count != maxIdle || len(ports.idle) > maxIdle+1 {
		t.Errorf("%d listeners of %d addresses are idle, want %d", ports.count, len(ports.idle), maxIdle)
	}
	ports.sweep()
	l, err := ports.lease(exclusive(home), nil)
	check(t, err)
	l.giveBack()
	ports.sweep()
	if ports.count != 1 || len(ports.idle[home]) != 1 {
		t.Errorf("%d idle after two sweeps, want the one that was used between them", ports.count)
	}
	ports.sweep()
	if ports.count != 0 || len(ports.idle) != 0 {
		t.Errorf("%d idle after another sweep", ports.count)
	}
}

// The bytes that a client sends after the end of a file in block mode are kept in little memory
// while its session is idle. They are the beginning of the next file.
func TestBlockModeHoldsLittle(t *testing.T) {
	ours, theirs := pair(t)
	conn := &Conn{Conn: ours}
	first := append([]byte{0, 0, 1, 'x'}, endOfFile, 0, 1, 'y')
	second := append([]byte{0, 0xff, 0xff}, random(0xffff)...)
	second = append(append(second, endOfFile, 0x80, 0), random(0x8000)...)
	go func() { _, _ = theirs.Write(append(first, second...)) }()
	var got bytes.Buffer
	res := RunOn(t.Context(), conn, Job{Sink: &got, Type: ftp.Image, Mode: ftp.Block})
	if res.Err != nil || got.String() != "xy" || res.Kept == nil {
		t.Fatalf("%+v, %q", res, got.String())
	}
	m := &Manager{kept: res.Kept}
	m.Shrink()
	if u := conn.ahead; u.buf == nil || cap(*u.buf) > 2*aheadMost || u.to-u.from > aheadMost {
		t.Fatalf("%d bytes are held in %d", u.to-u.from, cap(*u.buf))
	}
	got.Reset()
	res = RunOn(t.Context(), conn, Job{Sink: &got, Type: ftp.Image, Mode: ftp.Block})
	if want := append(random(0xffff), random(0x8000)...); res.Err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%+v: %d bytes of %d, or wrong ones", res, got.Len(), len(want))
	}
	if conn.ahead.buf != nil {
		t.Error("memory is kept without bytes in it")
	}
	check(t, ours.Close())
}

// AddrPort keeps the zone of an address.
func TestZone(t *testing.T) {
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Skip(err)
	}
	want := netip.MustParseAddrPort("[fe80::1%" + lo.Name + "]:21")
	if got := AddrPort(net.TCPAddrFromAddrPort(want)); got != want {
		t.Errorf("AddrPort: %v, want %v", got, want)
	}
}
