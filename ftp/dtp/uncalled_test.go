package dtp

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"miniftp/ftp"
)

// use opens a data connection, so that the port stays open for the next one.
func use(t *testing.T, m *Manager) netip.AddrPort {
	t.Helper()
	o, addr := listening(t, m)
	call(t, home, addr)
	check(t, open(t, o).Close())
	return addr
}

// refused checks that connections to addr are refused.
func refused(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	if c, err := net.Dial("tcp", addr.String()); err == nil {
		_ = c.Close()
		t.Errorf("connected to %v", addr)
	}
}

// A port that was announced and not used is closed. A connection that is still on its way could
// otherwise be mistaken for that of the next lease.
func TestUncalledPortCloses(t *testing.T) {
	drains(t)
	for name, end := range map[string]func(m *Manager){
		"the offer is withdrawn":    func(m *Manager) { m.Close() },
		"another offer replaces it": func(m *Manager) { check(t, m.Dial(netip.AddrPortFrom(home, 40000))) },
		"the Opener is closed": func(m *Manager) {
			o, err := m.Take()
			check(t, err)
			o.Close()
		},
		"the wait is cancelled": func(m *Manager) {
			o, err := m.Take()
			check(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := o.Open(ctx); err == nil {
				t.Error("Open returned a connection")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := manage(t, &Config{Side: ftp.ServerPI, Ports: ranged(t, 1)})
			addr, err := m.Listen()
			check(t, err)
			end(m)
			refused(t, addr)
			if again := use(t, m); again != addr {
				t.Errorf("leased %v, want %v", again, addr)
			}
			call(t, home, addr) // a port that was used stays open
		})
	}
}
