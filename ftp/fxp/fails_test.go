package fxp_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/party"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
)

// If the source can't listen, it dials: that way is tried next.
func TestCopyTheOtherWayRound(t *testing.T) {
	var asked atomic.Int32
	a := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "content"
		refuse := func(s *fakeserver.Session, _ string) { asked.Add(1); s.Say("502 no") }
		f.On["EPSV"], f.On["PASV"] = refuse, refuse
	})
	b := party.Ours(t, "127.0.0.1", true)
	ca, cb := dial(t, a, nil), b.Dial(t)
	res, err := party.Between(t.Context(), ca, "/f", cb, "/copy", fxp.Plan{})
	if err != nil || res.SourceListens || res.Bytes != 7 || asked.Load() != 2 {
		t.Errorf("%+v, %v; it was asked %d times to listen", res, err, asked.Load())
	}
	b.Has(t, "/copy", "content")
}

// A 227 that names another host is not passed on (CVE-2026-8328): neither we nor the other server connects to that
// host. With TrustPassiveHost it is passed on.
func TestCopyWithALyingServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	defer ln.Close()
	var calls atomic.Int32
	called := make(chan struct{}, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_ = c.Close()
			called <- struct{}{}
		}
	}()
	lie := netip.MustParseAddrPort(ln.Addr().String())
	a := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "content"
		f.On["EPSV"] = func(s *fakeserver.Session, _ string) { s.Say("502 no") }
		f.On["PASV"] = func(s *fakeserver.Session, _ string) { s.Say("227 " + ftp.FormatHostPort(lie)) }
		f.On["PORT"] = func(s *fakeserver.Session, _ string) { s.Say("500 no") }
		f.On["RETR"] = func(s *fakeserver.Session, _ string) { s.Say("425 nobody came") }
	})
	b := party.Ours(t, "127.0.0.1", true)
	_, err = party.Between(t.Context(), dial(t, a, nil), "/f", b.Dial(t), "/copy", fxp.Plan{})
	var host *fxp.HostError
	if !errors.As(err, &host) || host.Named != lie.Addr() || calls.Load() != 0 {
		t.Errorf("%v; %d calls", err, calls.Load())
	}
	b.Alone(t, "")
	_, err = party.Between(t.Context(), dial(t, a, &client.Options{TrustPassiveHost: true}), "/f", b.Dial(t), "/copy", fxp.Plan{})
	if errors.As(err, &host) {
		t.Errorf("trusted: %v", err)
	}
	<-called
}

// An error names the server where it occurred. The destination has no file after it.
func TestCopyFails(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	b := party.Ours(t, "127.0.0.1", true)
	b.Write(t, "old", "what was there")
	for name, tc := range map[string]struct {
		change func(f *fakeserver.Server)
		path   string
		want   string
		source bool
	}{
		"not there":  {func(*fakeserver.Server) {}, "/none", "refused SIZE: 550", true},
		"no listing": {func(f *fakeserver.Server) { f.Feat = []string{"EPSV"} }, "/none", "refused RETR: 550", true},
		"short": {func(f *fakeserver.Server) {
			f.On["RETR"] = func(s *fakeserver.Session, _ string) { s.Say("150 here"); s.Send("con"); s.Say("226 done") }
		}, "/f", "cut short: 3 of 7 bytes", false},
		"broken": {func(f *fakeserver.Server) {
			f.On["RETR"] = func(s *fakeserver.Session, _ string) { s.Say("150 here"); s.Send("con"); s.Say("451 the disk") }
		}, "/f", "refused RETR: 451", true},
		"hung up": {func(f *fakeserver.Server) {
			f.On["RETR"] = func(s *fakeserver.Session, _ string) { s.Say("150 here"); s.Send("con"); _ = s.Conn.Close() }
		}, "/f", "the control connection is gone", true},
	} {
		for _, dest := range []string{"old", "new"} {
			a := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"] = "content"
				tc.change(f)
			})
			ca, cb := dial(t, a, nil), b.Dial(t)
			_, err := party.Between(t.Context(), ca, tc.path, cb, dest, fxp.Plan{})
			var one *fxp.Error
			if !errors.As(err, &one) || one.Source != tc.source || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", name, err)
			}
			party.Usable(t, cb)
			b.Has(t, "old", "what was there")
			b.Alone(t, "old")
		}
	}
	c := b.Dial(t)
	if _, err := party.Between(t.Context(), c, "old", c, "new", fxp.Plan{}); err == nil {
		t.Error("a copy over one connection returned no error")
	}
	party.Usable(t, c)
	s := party.OursTLS(t, "127.0.0.1", true)
	_, err := party.Between(t.Context(), c, "old", s.Dial(t), "new", fxp.Plan{})
	if !testutil.IsA[*fxp.NoWayError](err) || !testutil.IsA[*client.TLSError](err) {
		t.Errorf("only one of two with TLS: %v", err)
	}
	if _, err := party.Through(t.Context(), c, "old", s.Dial(t), "new", fxp.Plan{}); err != nil {
		t.Errorf("only one of two with TLS, through: %v", err)
	}
	s.Has(t, "new", "what was there")
	plain := party.OursTLS(t, "127.0.0.1", false)
	_, err = party.Between(t.Context(), plain.Dial(t), "old", plain.Dial(t), "new", fxp.Plan{})
	if !testutil.IsA[*fxp.NoWayError](err) || !strings.Contains(err.Error(), "SSCN") {
		t.Errorf("neither can be the TLS client: %v", err)
	}
}

// TestCopyOfAShrunkenFile checks that a later try does not copy less than the first one found.
func TestCopyOfAShrunkenFile(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, through := range []bool{true, false} {
		a := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Files["/f"] = "all of the text"
			f.On["RETR"] = func(s *fakeserver.Session, arg string) {
				if s.Server.Count("RETR") == 1 {
					s.Server.SetFile("/f", "all")
					s.Say("451 not now")
					return
				}
				s.Behave("RETR", arg)
			}
		})
		b := fakeserver.New(t, fakeserver.Storing)
		again := client.Retry{Times: 1, Wait: func(int) time.Duration { return 0 }}
		from, to := client.NewPool(a.Addr, 1, nil), client.NewPool(b.Addr, 1, nil)
		_, err := fxp.Copy(t.Context(), fxp.Plan{
			From: fxp.File{Pool: from, Path: "/f"}, To: fxp.File{Pool: to, Path: "/f"}, Through: through, Retry: again,
		})
		_, _ = from.Close(), to.Close()
		if !testutil.IsA[*client.TruncatedError](err) || len(b.Names()) != 0 {
			t.Errorf("through %v: %v, %q", through, err, b.Names())
		}
	}
}

// TestCopyKeepsOldFile checks that a copy leaves the old file or the new one, whatever the destination refuses.
func TestCopyKeepsOldFile(t *testing.T) {
	for _, through := range []bool{true, false} {
		t.Run(fmt.Sprint("through ", through), func(t *testing.T) {
			transfertest.OldFileStays(t, func(f *fakeserver.Server, text string) error {
				src := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/f"] = text })
				from, to := client.NewPool(src.Addr, 1, nil), client.NewPool(f.Addr, 1, nil)
				defer from.Close()
				defer to.Close()
				_, err := fxp.Copy(t.Context(), fxp.Plan{
					From: fxp.File{Pool: from, Path: "/f"}, To: fxp.File{Pool: to, Path: "/d/f"}, Through: through,
				})
				return err
			})
		})
	}
}
