package dtp

import (
	"context"
	"testing"

	"miniftp/ftp"
)

// BenchmarkPassive opens and closes a passive data connection: on a port of its own, which may be any or one of a range,
// and on the only port of a range, which another session has leased, too.
func BenchmarkPassive(b *testing.B) {
	for _, bb := range []struct {
		name string
		n    uint16
		with bool // another session
	}{{"any port", 0, false}, {"range", 20, false}, {"shared", 1, true}} {
		b.Run(bb.name, func(b *testing.B) {
			ports, err := NewPorts(PortRange{})
			check(b, err)
			if bb.n > 0 {
				ports = ranged(b, bb.n)
			}
			cfg := &Config{Side: ftp.ServerPI, Ports: ports}
			m, _ := manage(b, cfg)
			if bb.with {
				other, _ := manage(b, cfg)
				other.peer = stranger
				_, err := other.Listen()
				check(b, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				addr, err := m.Listen()
				check(b, err)
				c, err := dialFrom(home, addr)
				check(b, err)
				o, err := m.Take()
				check(b, err)
				conn, err := o.Open(context.Background())
				check(b, err)
				_, _ = conn.Close(), c.Close()
			}
		})
	}
}
