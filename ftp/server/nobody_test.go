package server_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

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
