//go:build unix

package dtp

import (
	"net/netip"
	"testing"
	"time"

	"miniftp/ftp"
)

// A connection that is older than the lease does not reach it.
func TestEarlyCallerOfASharedPort(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	early := call(t, guest(2), port)
	m, _ := manageFor(t, ms[0].cfg, guest(2))
	_, err := m.Listen()
	check(t, err)
	hungUp(t, early)
	opensTo(t, takeOffer(t, m), call(t, guest(2), port))
}

// Nor does one that has arrived and that the port's goroutine has not seen yet.
func TestEarlyCallerIsStillInTheBacklog(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	sh := ms[0].cfg.Ports.open[port].share
	for i := range 20 {
		m, _ := manageFor(t, ms[0].cfg, guest(2+i))
		listening := make(chan error, 1)
		sh.mu.Lock()
		go func() { _, err := m.Listen(); listening <- err }()
		time.Sleep(time.Millisecond) // now it most likely waits for the lock, and is faster than the port's goroutine
		early := call(t, guest(2+i), port)
		sh.mu.Unlock()
		check(t, within(t, func() error { return <-listening }))
		hungUp(t, early)
	}
}

// A peer whose lease has ended without its connection can't lease the shared port again for a while, and a connection
// that comes late is closed.
func TestLateCaller(t *testing.T) {
	ms, es, port := guests(t, &Config{}, 2)
	ms[1].Close()
	refusedPort(t, ms[1])
	hungUp(t, call(t, guest(1), port))
	refusedPort(t, ms[1])
	again, until := ms[0].cfg.Ports.open[port].share.room(&request{local: home, peer: guest(1)}, time.Now().Add(lateCall+time.Second))
	if again != 1 {
		t.Errorf("no room after lateCall, but at %v", until)
	}
	opensTo(t, takeOffer(t, ms[0]), call(t, guest(0), port))
	if refused := emitted[ftp.StrangerRefused](es[0]); refused != nil {
		t.Errorf("the late caller is no stranger: %v", refused)
	}
	refused(t, port) // the late peer might still call
	_, err := ms[1].Listen()
	check(t, err)
	opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
}

// The number of late peers of a port is bounded: beyond it, nobody can join for a while.
func TestLatePeersAreBounded(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	sh := ms[0].cfg.Ports.open[port].share
	now := time.Now()
	for i := range maxLate {
		sh.late[guest(100+i)] = now.Add(time.Hour)
	}
	m, _ := manageFor(t, ms[0].cfg, guest(2))
	refusedPort(t, m)
	sh.late[guest(100)] = now
	_, err := m.Listen()
	check(t, err)
	if len(sh.late) != maxLate-1 {
		t.Errorf("%d late peers", len(sh.late))
	}
}

// After the time for late calls, a session that waits gets its seat, and only the connection that comes then.
func TestLatePeerWaits(t *testing.T) {
	shorten(t, &lateCall, 200*time.Millisecond)
	ms, _, port := guests(t, &Config{}, 2)
	ms[1].Close()
	late := call(t, guest(1), port)
	turn := ms[1].Queue()
	check(t, within(t, func() error { return turn.Wait(t.Context()) }))
	ms[1].ListenOn(turn)
	hungUp(t, late)
	opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
}

// A peer whose connection has come can lease the shared port again at once, whether the transfer has used it or not.
func TestCalledPeerReturns(t *testing.T) {
	ms, _, port := guests(t, &Config{}, 2)
	for range 3 {
		opensTo(t, takeOffer(t, ms[1]), call(t, guest(1), port))
		_, err := ms[1].Listen()
		check(t, err)
		c := call(t, guest(1), port)
		takeOffer(t, ms[1]).Close()
		hungUp(t, c)
		_, err = ms[1].Listen()
		check(t, err)
	}
}

// Guard.Accept judges the connections of its lease. One that it rejects does not prove that the peer has called.
func TestGuardOfASharedPort(t *testing.T) {
	var want netip.AddrPort
	cfg := &Config{Guard: Guard{Accept: func(_, remote netip.AddrPort) bool { return remote == want }}}
	ms, es, port := guests(t, cfg, 2)
	other, own := call(t, guest(1), port), call(t, guest(1), port)
	want = AddrPort(own.LocalAddr())
	opensTo(t, takeOffer(t, ms[1]), own)
	hungUp(t, other)
	if refused := emitted[ftp.StrangerRefused](es[1]); len(refused) != 1 || refused[0].Remote != AddrPort(other.LocalAddr()) {
		t.Errorf("refused %v", refused)
	}
	_, err := ms[1].Listen()
	check(t, err)
	call(t, guest(1), port)
	ms[1].Close()
	refusedPort(t, ms[1])
}
