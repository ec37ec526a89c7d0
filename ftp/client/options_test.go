package client_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/fakeserver"
)

func TestEvents(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			var mu sync.Mutex
			var told []string
			var offer ftp.DataOffered
			var done ftp.TransferDone
			watch := ftp.ObserverFunc(func(e ftp.Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.At.IsZero() || e.Control.Side != ftp.UserPI {
					t.Errorf("event %+v", e)
				}
				switch w := e.What.(type) {
				case ftp.ControlOpened:
					told = append(told, "opened")
				case ftp.CommandGiven:
					told = append(told, w.Command.String())
				case ftp.LoggedInAs:
					told = append(told, "in: "+w.User)
				case ftp.DataOffered:
					told = append(told, "offered by "+w.Said)
					offer = w
				case ftp.DataOpened:
					told = append(told, "data "+w.Stance.String())
				case ftp.TransferDone:
					told = append(told, "done")
					done = w
				case ftp.ControlClosed:
					told = append(told, "closed")
					if w.Err != nil {
						t.Errorf("closed by %v", w.Err)
					}
				}
			})
			f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = thousand; f.Feat = nil })
			c := dial(t, f, &client.Options{User: "u", Password: "secret", Mode: mode, Observer: watch})
			if _, err := c.Store(t.Context(), "b", strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			want := []string{"opened", "USER u", "PASS ****", "in: u", "FEAT", "OPTS UTF8 ON", "TYPE I", "EPSV", "offered by 229", "STOR b", "data dials", "done", "QUIT", "closed"}
			if mode == ftp.Active {
				want = []string{"opened", "USER u", "PASS ****", "in: u", "FEAT", "OPTS UTF8 ON", "TYPE I", "EPRT", "offered by EPRT", "STOR b", "data listens", "done", "QUIT", "closed"}
			}
			mu.Lock()
			defer mu.Unlock()
			i, j := slices.Index(told, "STOR b"), slices.IndexFunc(told, func(s string) bool { return strings.HasPrefix(s, "data ") })
			if j >= 0 && j < i { // the data connection opens concurrently with the command
				told[i], told[j] = told[j], told[i]
			}
			for k, s := range told {
				if strings.HasPrefix(s, "EPRT ") {
					told[k] = "EPRT"
				}
			}
			if !slices.Equal(told, want) {
				t.Errorf("events %q\nwant %q", told, want)
			}
			if offer.Mode != mode || offer.Addr.Port() == 0 || offer.Addr.Addr() != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("offer %+v", offer)
			}
			if done.Verb != "STOR" || done.Path != "b" || done.Direction != ftp.Store || done.Bytes != 1 || done.Err != nil || done.Mode != mode {
				t.Errorf("done %+v", done)
			}
		})
	}
}

func TestActiveOptions(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["EPRT"] = fakeserver.Says("501 no")
		f.On["PORT"] = fakeserver.Says("501 no")
	})
	c := dial(t, f, &client.Options{Mode: ftp.Active, ActiveIP: netip.MustParseAddr("192.0.2.7"), ActivePorts: dtp.PortRange{First: 40123, Last: 40999}})
	if _, err := c.Retrieve(t.Context(), "a", io.Discard); err == nil {
		t.Error("Retrieve returned no error")
	}
	got := f.Commands()
	port, err := ftp.ParseHostPort(strings.TrimPrefix(got[len(got)-1], "PORT "))
	if err != nil || port.Addr() != netip.MustParseAddr("192.0.2.7") || port.Port() < 40123 || port.Port() > 40999 {
		t.Errorf("commands %q", got)
	}
	if _, err := client.Dial(t.Context(), f.Addr, &client.Options{ActivePorts: dtp.PortRange{First: 9, Last: 3}}); err == nil {
		t.Error("an empty port range was accepted")
	}
}

// Through a proxy both connections go to the name that Dial was given.
func TestProxyDial(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = thousand; f.On["EPSV"] = fakeserver.Says("500 what?") })
	_, port, _ := net.SplitHostPort(f.Addr)
	var asked []string
	var mu sync.Mutex
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		mu.Lock()
		asked = append(asked, host)
		mu.Unlock()
		if err != nil {
			return nil, err
		}
		c, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return nil, err
		}
		return hidden{c}, nil
	}
	c, err := client.Dial(t.Context(), net.JoinHostPort("only.the.proxy.knows", port), &client.Options{Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Retrieve(t.Context(), "a", io.Discard); n != 1000 || err != nil {
		t.Errorf("Retrieve: %d, %v", n, err)
	}
	if n, err := c.Store(t.Context(), "b", strings.NewReader("x")); n != 1 || err != nil {
		t.Errorf("Store: %d, %v", n, err)
	}
	if want := []string{"only.the.proxy.knows", "only.the.proxy.knows", "only.the.proxy.knows"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q", asked)
	}
}

// hidden is a connection whose addresses are not its own, like that of a proxy.
type hidden struct{ net.Conn }

func (hidden) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "proxy"} }

func (hidden) LocalAddr() net.Addr { return &net.UnixAddr{Name: "proxy"} }

func TestRate(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = thousand })
	c := dial(t, f, &client.Options{Rate: 100_000})
	if n, err := c.Retrieve(t.Context(), "a", io.Discard); n != 1000 || err != nil {
		t.Errorf("Retrieve: %d, %v", n, err)
	}
}
