//go:build unix

package dtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/ftp"
)

// waits starts the wait of m for a port and returns when it is in the queue.
func waits(ctx context.Context, t testing.TB, m *Manager) (*Turn, <-chan error) {
	t.Helper()
	refusedPort(t, m)
	ports := m.cfg.Ports
	before := ports.Usage().Waiting
	turn, done := m.Queue(), make(chan error, 1)
	go func() { done <- turn.Wait(ctx) }()
	within(t, func() bool {
		for ports.Usage().Waiting == before {
			time.Sleep(time.Millisecond)
		}
		return true
	})
	return turn, done
}

// Sessions of one address take turns, first come, first served, and nobody takes the turn of another.
func TestSessionsOfOneAddressTakeTurns(t *testing.T) {
	const n = 20
	ms, _, port := guests(t, &Config{}, 1)
	var turns []*Turn
	var dones []<-chan error
	var waiting []*Manager
	for range n {
		m, _ := manageFor(t, ms[0].cfg, guest(0))
		turn, done := waits(t.Context(), t, m)
		turns, dones, waiting = append(turns, turn), append(dones, done), append(waiting, m)
	}
	m := ms[0]
	for i := range n {
		if i%2 == 0 {
			opensTo(t, takeOffer(t, m), call(t, guest(0), port))
		} else {
			m.Close() // the port is closed
		}
		refusedPort(t, m) // the port is for those who wait
		check(t, within(t, func() error { return <-dones[i] }))
		for j := i + 1; j < n; j++ {
			if len(dones[j]) > 0 {
				t.Fatalf("%d was served before its turn", j)
			}
		}
		m = waiting[i]
		if addr := m.ListenOn(turns[i]); addr != port {
			t.Errorf("leased %v", addr)
		}
	}
}

// While sessions of one address wait, those of others still share the port.
func TestWaitersDoNotDelayOtherAddresses(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 1)
	m, _ := manageFor(t, ms[0].cfg, guest(0))
	turn, done := waits(t.Context(), t, m)
	other, _ := manageFor(t, ms[0].cfg, guest(1))
	_, err := other.Listen()
	check(t, err)
	opensTo(t, takeOffer(t, other), call(t, guest(1), port))
	opensTo(t, takeOffer(t, ms[0]), call(t, guest(0), port)) // ends the share, or leaves a seat
	check(t, within(t, func() error { return <-done }))
	turn.Close()
}

// A seat that is left goes to the next session of the same address, while others still use the port.
func TestSeatIsPassedOn(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	m, _ := manageFor(t, ms[0].cfg, guest(1))
	turn, done := waits(t.Context(), t, m)
	opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
	check(t, within(t, func() error { return <-done }))
	m.ListenOn(turn)
	opensTo(t, takeOffer(t, m), call(t, guest(1), port))
}

// A lease that can't be shared waits for a port of its own, and is not passed over.
func TestLoneLeaseWaits(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	lone, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ms[0].cfg.Ports, Guard: Guard{AcceptAnyHost: true}}, guest(2))
	turn, done := waits(t.Context(), t, lone)
	opensTo(t, takeOffer(t, ms[0]), call(t, guest(0), port))
	opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
	refusedPort(t, ms[0])
	check(t, within(t, func() error { return <-done }))
	lone.ListenOn(turn)
	refusedPort(t, ms[0])
	opensTo(t, takeOffer(t, lone), call(t, stranger, port))
}

// Ports that become free at once are all used, whichever waiter is the faster one.
func TestTwoPortsForTwoWaiters(t *testing.T) {
	cfg := &Config{Side: ftp.ServerPI, Ports: ranged(t, 2), Guard: Guard{AcceptAnyHost: true}}
	has := [2]*Manager{}
	for i := range has {
		has[i], _ = manageFor(t, cfg, guest(0))
		_, err := has[i].Listen()
		check(t, err)
	}
	for range 200 {
		var waiting [2]*Manager
		var turns [2]*Turn
		var dones [2]<-chan error
		for i := range has {
			waiting[i] = mustManage(t, has[i])
			waiting[i].guard = cfg.Guard
			turns[i], dones[i] = waits(t.Context(), t, waiting[i])
		}
		var all sync.WaitGroup
		for _, m := range has {
			all.Go(m.Close)
		}
		for i, done := range dones {
			check(t, within(t, func() error { return <-done }))
			waiting[i].ListenOn(turns[i])
		}
		all.Wait()
		has = waiting
	}
}

// When a waiter has got a port of its own, waiters of other addresses join it, also if some that can't come before them.
func TestWaitersJoin(t *testing.T) {
	cfg := &Config{Side: ftp.ServerPI, Ports: ranged(t, 1)}
	lone, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: cfg.Ports, Guard: Guard{AcceptAnyHost: true}}, guest(9))
	_, err := lone.Listen()
	check(t, err)
	a, _ := manageFor(t, cfg, guest(0))
	b, _ := manageFor(t, cfg, guest(1))
	first, firstDone := waits(t.Context(), t, a)
	second, secondDone := waits(t.Context(), t, mustManage(t, a))
	ctx, cancel := context.WithCancel(t.Context())
	other, _ := manageFor(t, lone.cfg, guest(8))
	_, otherDone := waits(ctx, t, other)
	third, thirdDone := waits(t.Context(), t, b)
	time.Sleep(20 * time.Millisecond) // now all have most likely tried in vain, and only a wake-up helps
	lone.Close()
	check(t, within(t, func() error { return <-firstDone }))
	check(t, within(t, func() error { return <-thirdDone }))
	if len(secondDone) > 0 {
		t.Error("two sessions of one address have the port")
	}
	cancel()
	within(t, func() error { return <-otherDone })
	first.Close()
	third.Close()
	check(t, within(t, func() error { return <-secondDone }))
	second.Close()
}

// If the first session of a late peer gives up, the next one learns when it can have a seat.
func TestNextOfALatePeer(t *testing.T) {
	shorten(t, &lateCall, time.Second)
	ms, _, _ := guests(t, &Config{}, 2)
	lone, _ := manageFor(t, &Config{Side: ftp.ServerPI, Ports: ms[0].cfg.Ports, Guard: Guard{AcceptAnyHost: true}}, guest(9))
	ctx, cancel := context.WithCancel(t.Context())
	_, loneDone := waits(ctx, t, lone)
	ctx1, cancel1 := context.WithCancel(t.Context())
	_, first := waits(ctx1, t, mustManage(t, ms[1]))
	turn, second := waits(t.Context(), t, mustManage(t, ms[1]))
	ms[1].Close()
	cancel1()
	within(t, func() error { return <-first })
	check(t, within(t, func() error { return <-second }))
	turn.Close()
	cancel()
	within(t, func() error { return <-loneDone })
}

// The wait ends with its context, or after portWait. It leaves nothing in the queue, and the next in it is not forgotten.
func TestWaitEnds(t *testing.T) {
	shorten(t, &portWait, 300*time.Millisecond)
	ms, _, port := guests(t, &Config{}, 1)
	var used *PortsError
	if err := ms[0].Queue().Wait(t.Context()); !errors.As(err, &used) || used.Waited != portWait {
		t.Errorf("%v, want a *PortsError after %v", err, portWait)
	}
	portWait = patience
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, first := waits(ctx, t, mustManage(t, ms[0]))
	turn, second := waits(t.Context(), t, mustManage(t, ms[0]))
	cancel(why)
	if err := within(t, func() error { return <-first }); !errors.Is(err, why) {
		t.Error(err)
	}
	opensTo(t, takeOffer(t, ms[0]), call(t, guest(0), port))
	check(t, within(t, func() error { return <-second }))
	if u := ms[0].cfg.Ports.Usage(); u.Waiting != 0 || u.Leases != 1 {
		t.Errorf("%+v", u)
	}
	turn.Close()
	if u := ms[0].cfg.Ports.Usage(); u != (PortsUsage{Size: 1}) {
		t.Errorf("%+v", u)
	}
}

// mustManage returns another Manager for the peer of m.
func mustManage(t testing.TB, m *Manager) *Manager {
	t.Helper()
	other, _ := manageFor(t, m.cfg, m.peer)
	return other
}

// The queue is bounded.
func TestQueueIsBounded(t *testing.T) {
	ms, _, _ := guests(t, &Config{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range maxWaiting {
		all.Go(func() { _ = ms[0].Queue().Wait(ctx) })
	}
	within(t, func() bool {
		for ms[0].cfg.Ports.Usage().Waiting < maxWaiting {
			time.Sleep(time.Millisecond)
		}
		return true
	})
	var used *PortsError
	if err := ms[0].Queue().Wait(ctx); !errors.As(err, &used) || used.Waited != 0 {
		t.Error(err)
	}
	cancel()
	all.Wait()
}

// Many sessions of few addresses use few ports in every possible way at once: they offer, wait, call early or not at all,
// cancel, and strangers call, too. No session ever gets the connection of another, each gets its own, and in the end
// nothing is left.
func TestPortsModel(t *testing.T) {
	manyAddresses(t)
	for _, n := range []uint16{1, 3} {
		t.Run(fmt.Sprintf("%d ports", n), func(t *testing.T) {
			noLeaks(t)
			shorten(t, &lateCall, 20*time.Millisecond)
			shorten(t, &portWait, time.Minute)
			m := &model{t: t, cfg: &Config{Side: ftp.ServerPI, Ports: ranged(t, n), Timeout: time.Minute}}
			var all sync.WaitGroup
			for i := range 40 {
				r := rand.New(rand.NewPCG(uint64(i), uint64(n)))
				all.Go(func() {
					for range 50 {
						m.session(r, guest(i%8), i%13 == 0)
					}
				})
			}
			all.Wait()
			if u := m.cfg.Ports.Usage(); u != (PortsUsage{Size: int(n)}) {
				t.Errorf("left: %+v", u)
			}
			if m.opened.Load() < 500 || m.shared.Load() < 100 {
				t.Errorf("only %d connections and %d shared leases", m.opened.Load(), m.shared.Load())
			}
			m.cfg.Ports.Close()
		})
	}
}

// model is what the sessions of TestPortsModel have in common.
type model struct {
	t              *testing.T
	cfg            *Config
	ids            atomic.Uint32
	opened, shared atomic.Int32
}

// session is one session with one lease.
func (m *model) session(r *rand.Rand, peer netip.Addr, lone bool) {
	mgr := NewManager(m.cfg, netip.AddrPortFrom(home, 2121), netip.AddrPortFrom(peer, 4000), nil)
	mgr.Admit(Guard{AcceptAnyHost: lone})
	defer mgr.Close()
	port, ok := m.offer(mgr, r)
	if !ok {
		return
	}
	if mgr.next.ln.isShared() {
		m.shared.Add(1)
	}
	kind := r.IntN(6)
	if kind == 0 { // nobody calls
		return
	}
	if kind == 1 && !lone {
		if c, err := dialFrom(stranger, port); err == nil {
			defer c.Close()
		}
	}
	if kind == 2 { // the client calls, and there is no transfer
		if c, err := dialFrom(peer, port); err == nil {
			_ = c.Close()
		}
		return
	}
	id := binary.BigEndian.AppendUint32(nil, m.ids.Add(1))
	client := make(chan error, 1)
	go func() {
		c, err := dialFrom(peer, port)
		if err == nil {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if _, err = c.Write(id); err == nil {
				_, err = io.ReadAll(c)
			}
		}
		client <- err
	}()
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(500)) * time.Microsecond)
	}
	o, err := mgr.Take()
	if err == nil {
		err = m.open(o, id)
	}
	if err = errors.Join(err, <-client); err != nil {
		m.t.Errorf("%v: %v", peer, err)
	}
}

// open opens the data connection and checks whose it is.
func (m *model) open(o *Opener, id []byte) error {
	c, err := o.Open(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	m.opened.Add(1)
	got := make([]byte, len(id))
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, id) {
		return fmt.Errorf("session %x got the connection of %x", id, got)
	}
	return nil
}

// offer makes an offer, after a wait if needed. Some waits are cancelled.
func (m *model) offer(mgr *Manager, r *rand.Rand) (netip.AddrPort, bool) {
	port, err := mgr.Listen()
	if err == nil {
		return port, true
	}
	var used *PortsError
	if !errors.As(err, &used) {
		m.t.Error(err)
		return port, false
	}
	turn := mgr.Queue()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if r.IntN(6) == 0 {
		time.AfterFunc(time.Duration(r.IntN(int(20*time.Millisecond))), cancel)
	}
	if err = turn.Wait(ctx); err != nil {
		if ctx.Err() == nil {
			m.t.Errorf("not served: %v", err)
		}
		return port, false
	}
	return mgr.ListenOn(turn), true
}
