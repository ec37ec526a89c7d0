package server

import (
	"net"
	"testing"
	"time"
)

// deadlines is a connection that records its read deadline and calls during before the deadline is set.
type deadlines struct {
	net.Conn
	at     time.Time
	set    int
	during func()
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	if f := d.during; f != nil {
		d.during = nil
		f()
	}
	d.at = at
	d.set++
	return nil
}

// News at any moment around arm is not missed: either arm tells the owner not to read, or the owner's read ends
// at once.
func TestAlarmMissesNothing(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	for name, when := range map[string]int{"before": 0, "while the deadline is set": 1, "while the owner looks for news": 2, "after arm": 3} {
		t.Run(name, func(t *testing.T) {
			conn := &deadlines{}
			a := alarm{conn: conn}
			news := false
			comes := func(at int) {
				if at == when {
					news = true
					a.wake()
				}
			}
			comes(0)
			conn.during = func() { comes(1) }
			mayRead := a.arm(hour, 0, func() bool {
				seen := news
				comes(2)
				return seen
			})
			comes(3)
			if ends := conn.at.Before(time.Now()); mayRead && !ends {
				t.Error("the owner would read for an hour although there is news")
			}
		})
	}
}

func TestAlarmRings(t *testing.T) {
	conn := &deadlines{}
	a := alarm{conn: conn}
	quiet := func() bool { return false }
	now := time.Now()
	a.arm(now, 0, quiet)
	if !a.rang(now) {
		t.Error("the deadline is mistaken for a wake-up")
	}
	a.arm(now.Add(time.Minute), 0, quiet)
	a.wake()
	if a.rang(now) {
		t.Error("a wake-up is mistaken for the deadline")
	}
	if !conn.at.IsZero() {
		t.Error("the wake-up still ends reads")
	}
	a.arm(now.Add(time.Minute), 0, quiet)
	before := conn.set
	a.arm(now.Add(time.Minute+time.Millisecond), time.Second, quiet)
	if conn.set != before {
		t.Error("the deadline is moved by less than the slack")
	}
	for _, at := range []time.Time{now.Add(time.Second), now.Add(2 * time.Minute), {}} {
		if a.arm(at, time.Second, quiet); !conn.at.Equal(at) {
			t.Errorf("the deadline is %v, want %v", conn.at, at)
		}
	}
	a.forget()
	if a.arm(now.Add(time.Minute), time.Hour, quiet); !conn.at.Equal(now.Add(time.Minute)) {
		t.Error("a forgotten deadline is treated as set")
	}
}
