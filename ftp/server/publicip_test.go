package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// No session waits for a lookup, one runs at a time, the old answer is used until there is a new one, and
// failures are logged.
func TestPublicIPIsLookedUpInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		opts := Options{Auth: Static{}, PublicIP: "ftp.example.invalid", Log: slog.New(slog.NewTextHandler(&log, nil))}
		s, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		lookups, answers := 0, make(chan string)
		set := s.set.Load()
		set.public[opts.PublicIP].lookup = func(ctx context.Context, host string) (netip.Addr, error) {
			lookups++
			select {
			case a := <-answers:
				return netip.ParseAddr(a)
			case <-ctx.Done():
				return netip.Addr{}, ctx.Err()
			}
		}
		want := func(ip string, n int) {
			t.Helper()
			for range 100 { // as 100 sessions would
				got := s.publicIP(set, opts.PublicIP)
				if ip == "" && got.IsValid() || ip != "" && got.String() != ip {
					t.Fatalf("%v, want %s", got, ip)
				}
			}
			synctest.Wait()
			if lookups != n {
				t.Fatalf("%d lookups, want %d", lookups, n)
			}
		}
		want("", 1)
		answers <- "192.0.2.7"
		synctest.Wait()
		want("192.0.2.7", 1)
		time.Sleep(publicIPAge)
		want("192.0.2.7", 2)
		answers <- "no address"
		synctest.Wait()
		want("192.0.2.7", 2)
		if !strings.Contains(log.String(), "ftp.example.invalid") || !strings.Contains(log.String(), "clients_are_told=192.0.2.7") {
			t.Errorf("the log says %q", log.String())
		}
		time.Sleep(publicIPRetry)
		want("192.0.2.7", 3)
		next, err := newSettings(opts, set) // a reload keeps the known address
		if err != nil || next.public[opts.PublicIP] != set.public[opts.PublicIP] {
			t.Errorf("the reload has lost the address: %v", err)
		}
		_ = s.Close() // ends the running lookup
		want("192.0.2.7", 3)
	})
}

// Clients on this host or its private network get the address that they have connected to.
func TestPublicIPForWhichClients(t *testing.T) {
	srv, err := New(Options{Auth: Static{}, PublicIP: "203.0.113.7"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		remote, local string
		announced     bool
	}{
		{"127.0.0.1", "127.0.0.1", false},
		{"127.0.0.1", "192.0.2.1", false},
		{"192.168.1.5", "192.168.1.2", false},
		{"10.1.2.3", "192.168.1.2", false},
		{"169.254.1.1", "169.254.1.2", false},
		{"192.168.1.5", "203.0.113.9", true}, // the client's private network is another one
		{"198.51.100.1", "192.168.1.2", true},
		{"198.51.100.1", "203.0.113.9", true},
	} {
		set := *srv.set.Load()
		s := &session{srv: srv, set: &set, control: ftp.Control{
			Remote: netip.AddrPortFrom(netip.MustParseAddr(tt.remote), 1024),
			Local:  netip.AddrPortFrom(netip.MustParseAddr(tt.local), 21),
		}}
		if _, announced := s.publicAddr(); announced != tt.announced {
			t.Errorf("%s at %s: %v", tt.remote, tt.local, announced)
		}
		set.PublicIPAlways = true
		if ip, announced := s.publicAddr(); !announced || ip.String() != "203.0.113.7" {
			t.Errorf("%s at %s, always: %v", tt.remote, tt.local, ip)
		}
	}
}

// An address of one family does not listen on the other one.
func TestListenFamilies(t *testing.T) {
	for _, tt := range []struct {
		listen []string
		want   string // network of the first address
	}{
		{[]string{":21"}, "tcp"},
		{[]string{"localhost:21"}, "tcp"},
		{[]string{"0.0.0.0:21"}, "tcp4"},
		{[]string{"192.0.2.1:21"}, "tcp4"},
		{[]string{"[::ffff:0.0.0.0]:21"}, "tcp4"},
		{[]string{"[::]:21"}, "tcp"},
		{[]string{"[::]:21", "0.0.0.0:21"}, "tcp6"},
		{[]string{"[::]:21", "0.0.0.0:22"}, "tcp"},
		{[]string{"[fe80::1%lo]:21"}, "tcp6"},
	} {
		if got := networkOf(tt.listen[0], tt.listen); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.listen, got, tt.want)
		}
	}
	srv, err := New(Options{Auth: Static{}, Listen: []string{fmt.Sprintf("0.0.0.0:%d", testutil.FreePorts(t, 1))}})
	if err != nil {
		t.Fatal(err)
	}
	ls, _, err := srv.ListenAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer ls[0].Close()
	_, port, _ := net.SplitHostPort(ls[0].Addr().String())
	var refused net.Error
	if c, err := net.DialTimeout("tcp", "[::1]:"+port, 5*time.Second); err == nil {
		_ = c.Close()
		t.Error("0.0.0.0 listens on IPv6")
	} else if !errors.As(err, &refused) {
		t.Error(err)
	}
}
