package server_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// If a client does not call, the log says what was announced to it and what to set, once per network and cause.
func TestNobodyCame(t *testing.T) {
	first := testutil.FreePorts(t, 3)
	inRange := func(o *server.Options) { o.PassivePorts = dtp.PortRange{First: first, Last: first + 2} }
	none := func(*server.Options) {}
	for _, tt := range []struct {
		name, client, verb string
		change             func(*server.Options)
		reply, log         string
	}{
		{"private", "203.0.113.9", "PASV", none, "that address is private", "set public-ip"},
		{"any port", "203.0.113.9", "EPSV", none, "a firewall may be in between", "set passive-ports"},
		{"range", "203.0.113.9", "EPSV", inRange, "a firewall may be in between", fmt.Sprintf("the ports %d to %d", first, first+2)},
		{"near", "127.0.0.1", "EPSV", none, "a firewall may be in between", "on this host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, oneFile(t, "x"), loopbackProxy, tt.change, func(o *server.Options) { o.DataTimeout = 20 * time.Millisecond })
			for range 3 {
				c := throughProxy(t, s, []byte("PROXY TCP4 "+tt.client+" 10.0.0.2 4000 21\r\n"))
				c.want(220)
				c.cmd("USER rw", 331)
				c.cmd("PASS rw", 230)
				c.cmd(tt.verb)
				if r := c.cmd("RETR f", 425); !strings.Contains(r.Text(), tt.reply) {
					t.Errorf("the reply is %q", r.Text())
				}
				c.cmd("QUIT", 221)
			}
			log := s.log.String()
			if strings.Count(log, "a client did not call the passive port") != 1 || !strings.Contains(log, tt.log) || !strings.Contains(log, "announced=") {
				t.Errorf("the log is %s", log)
			}
		})
	}
}

// A client in the local network that is told the public address of a router.
func TestNobodyCameToPublicAddress(t *testing.T) {
	s := serve(t, oneFile(t, "x"), func(o *server.Options) {
		o.PublicIPFor = []server.PublicIPRule{{Network: netip.MustParsePrefix("127.0.0.0/8"), Host: "192.0.2.1"}}
		o.DataTimeout = 20 * time.Millisecond
	})
	c := s.login(t, "rw")
	c.cmd("PASV", 227)
	if r := c.cmd("RETR f", 425); !strings.Contains(r.Text(), "may not lead you there") || !strings.Contains(s.log.String(), "as-dialed") {
		t.Errorf("%q; %s", r.Text(), s.log)
	}
}

// Many clients call the port before they send the command for the transfer. If they can't reach it they hang up, and the log
// says why as if the command had come. A client that has called, or that says QUIT, has not failed.
func TestClientGivesUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	for _, tt := range []struct {
		name   string
		leaves func(c *ctl, port uint16)
		logged bool
	}{
		{"hangs up", func(c *ctl, _ uint16) { _ = c.Close() }, true},
		{"calls and hangs up", func(c *ctl, port uint16) { _ = c.call(port).Close(); _ = c.Close() }, false},
		{"quits", func(c *ctl, _ uint16) { c.cmd("QUIT", 221) }, false},
	} {
		for _, sharing := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " sharing=", sharing), func(t *testing.T) {
				first := testutil.FreePorts(t, 1)
				failed := make(chan ftp.DataFailed, 9)
				ended := make(chan struct{}, 9)
				s := serve(t, oneFile(t, "x"), func(o *server.Options) {
					o.PassivePorts = dtp.PortRange{First: first, Last: first}
					o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
						switch h := e.What.(type) {
						case ftp.DataFailed:
							failed <- h
						case ftp.ControlClosed:
							ended <- struct{}{}
						}
					})
				})
				if sharing { // the session of another address makes the port a shared one
					other := s.loginFrom(t, netip.MustParseAddr("127.0.0.2"))
					other.cmd("EPSV", 229)
				}
				c := s.login(t, "rw")
				c.cmd("EPSV", 229)
				tt.leaves(c, first)
				<-ended
				want := 0
				if tt.logged {
					want = 1
				}
				if n := strings.Count(s.log.String(), "a client did not call the passive port"); n != want || len(failed) != want {
					t.Errorf("%d lines and %d events, want %d: %s", n, len(failed), want, s.log)
				}
				if want > 0 && !errors.Is((<-failed).Err, dtp.ErrNobodyCame) {
					t.Error("the event has another error")
				}
			})
		}
	}
}
