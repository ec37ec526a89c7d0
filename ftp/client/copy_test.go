package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// party is a server that takes part in copies, on a loopback address of its own if
// there are several. The client calls from a third one: a data connection between two
// parties is one with another host to both.
type party struct {
	addr, user, password string
	tls                  *tls.Config // nil: clear
	fs                   afero.Fs
	timeout              time.Duration
}

// dial logs in, from 127.0.0.3.
func (p *party) dial(t *testing.T, change ...func(*client.Options)) *client.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
	o := client.Options{User: p.user, Password: p.password, Dial: d.DialContext, TLSConfig: p.tls, Timeout: p.timeout}
	if p.tls != nil {
		o.TLS = client.ExplicitTLS
	}
	for _, f := range change {
		f(&o)
	}
	c, err := client.Dial(t.Context(), p.addr, &o)
	var none *client.ConnectError
	if errors.As(err, &none) {
		t.Skipf("no second loopback address: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ours starts our own server at a loopback address.
func ours(t *testing.T, host string, fxp bool, change ...func(*server.Options)) *party {
	t.Helper()
	p := &party{user: "u", password: "p", fs: fsroot.NewMem()}
	o := server.Options{
		Auth: server.Static{"u": {Password: "p", Account: server.Account{FS: p.fs, Perm: server.ReadWrite, FXP: fxp}}},
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&o)
	}
	srv, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Skip("no such address here:", err)
	}
	p.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return p
}

// oursTLS is ours with TLS required, and sessions that have to be resumed.
func oursTLS(t *testing.T, host string, fxp bool, change ...func(*server.Options)) *party {
	t.Helper()
	cert, roots := certificate(t)
	p := ours(t, host, fxp, append(change, func(o *server.Options) {
		o.TLS, o.TLSRequired, o.SessionReuse = &tls.Config{Certificates: []tls.Certificate{cert}}, true, dtp.ReuseRequire
	})...)
	p.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	return p
}

func (p *party) write(t *testing.T, name, text string) {
	t.Helper()
	if err := afero.WriteFile(p.fs, name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// has checks that a file is there with that text, or, for "", that it is not.
func (p *party) has(t *testing.T, name, text string) {
	t.Helper()
	b, err := afero.ReadFile(p.fs, name)
	if text == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if string(b) != text {
		t.Errorf("%s is %d bytes, %v; want %d", name, len(b), err, len(text))
	}
}

// alone checks that there is nothing but these names.
func (p *party) alone(t *testing.T, names string) {
	t.Helper()
	list, err := afero.ReadDir(p.fs, "/")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, fi := range list {
		all = append(all, fi.Name())
	}
	if got := strings.Join(all, " "); got != names {
		t.Errorf("there is %q, want %q", got, names)
	}
}

// usable checks that a Client is at rest after what it was used for.
func usable(t *testing.T, all ...*client.Client) {
	t.Helper()
	for _, c := range all {
		if _, err := c.Command(t.Context(), "NOOP", ""); err != nil {
			t.Errorf("the connection is not usable: %v", err)
			continue
		}
		if _, err := c.Store(t.Context(), "/probe", strings.NewReader("probe")); err != nil {
			t.Errorf("Store after a copy: %v", err)
		}
		if err := c.Delete(t.Context(), "/probe"); err != nil {
			t.Errorf("Delete after a copy: %v", err)
		}
	}
}

// TestCopy copies between two of our servers, in the clear and under TLS, each way
// that makes one of them the TLS client; and through this program.
func TestCopy(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	body := string(noise(3 << 20))
	at := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	check := func(t *testing.T, a, b *party, ca, cb *client.Client, name string, f func() (client.CopyResult, error)) {
		t.Helper()
		res, err := f()
		if err != nil || res.Bytes != int64(len(body)) || res.Verified != "sizes and replies" {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		b.has(t, name, body)
		if fi, err := b.fs.Stat(name); err == nil && !fi.ModTime().Equal(at) {
			t.Errorf("%s: its time is %v", name, fi.ModTime())
		}
		usable(t, ca, cb)
		a.alone(t, "f")
	}
	for _, secure := range []bool{false, true} {
		a, b := ours(t, "127.0.0.1", true), ours(t, "127.0.0.2", true)
		if secure {
			a, b = oursTLS(t, "127.0.0.1", true), oursTLS(t, "127.0.0.2", true)
		}
		a.write(t, "f", body)
		if err := a.fs.Chtimes("f", at, at); err != nil {
			t.Fatal(err)
		}
		o := client.CopyOptions{KeepTime: true}
		for _, less := range []string{"", "CPSV", "CPSV SSCN", "CPSV -SSCN"} {
			if !secure && less != "" {
				break
			}
			ca, cb := a.dial(t), b.dial(t)
			for name := range strings.FieldsSeq(less) { // without these another way is taken
				if name != "-SSCN" {
					delete(ca.Features(), name)
				}
				if name != "SSCN" {
					delete(cb.Features(), strings.TrimPrefix(name, "-"))
				}
			}
			for _, name := range []string{"copy", "copy"} { // new, and in the place of the first
				check(t, a, b, ca, cb, name, func() (client.CopyResult, error) {
					return client.Copy(t.Context(), ca, "f", cb, name, o)
				})
			}
			b.alone(t, "copy")
			if err := b.fs.Remove("copy"); err != nil {
				t.Fatal(err)
			}
		}
		ca, cb := a.dial(t), b.dial(t)
		check(t, a, b, ca, cb, "through", func() (client.CopyResult, error) {
			return client.CopyThrough(t.Context(), ca, "f", cb, "through", o)
		})
	}
}

// The other way round comes next: a source that can't listen dials.
func TestCopyTheOtherWayRound(t *testing.T) {
	var asked atomic.Int32
	a := newFake(t, func(f *fake) {
		f.files["/f"] = "content"
		refuse := func(s *session, _ string) { asked.Add(1); s.say("502 no") }
		f.on["EPSV"], f.on["PASV"] = refuse, refuse
	})
	b := ours(t, "127.0.0.1", true)
	ca, cb := a.dial(nil), b.dial(t)
	res, err := client.Copy(t.Context(), ca, "/f", cb, "/copy", client.CopyOptions{})
	if err != nil || res.SourceListens || res.Bytes != 7 || asked.Load() != 2 {
		t.Errorf("%+v, %v; it was asked %d times to listen", res, err, asked.Load())
	}
	b.has(t, "/copy", "content")
}

// What forbids a copy is said with the server and its reply, nothing is changed, and
// both connections go on.
func TestCopyIsForbidden(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, tc := range []struct {
		name     string
		from, to bool // FXP
		want     []string
	}{
		{"by both", false, false, []string{"the destination", "refuses PORT", "the source", "fxp"}},
		{"by the source", false, true, []string{"the source", "refuses PORT: 504", "was not taken"}},
		{"by the destination", true, false, []string{"the destination", "refuses PORT: 504", "was not taken"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a, b := ours(t, "127.0.0.1", tc.from), ours(t, "127.0.0.2", tc.to)
			a.write(t, "f", "content")
			b.write(t, "old", "what was there")
			a.timeout, b.timeout = 2*time.Second, 2*time.Second // so long a server is waited for that does nothing
			ca, cb := a.dial(t), b.dial(t)
			for _, name := range []string{"old", "new"} {
				_, err := client.Copy(t.Context(), ca, "f", cb, name, client.CopyOptions{})
				var no *client.NoWayError
				if !errors.As(err, &no) || len(no.Tried) != 2 {
					t.Fatalf("%v", err)
				}
				for _, word := range tc.want {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q is not in %v", word, err)
					}
				}
				var reply *ftp.Error
				if !errors.As(err, &reply) || reply.Verb != "PORT" || reply.Code != 504 {
					t.Errorf("the reply is %+v", reply)
				}
			}
			usable(t, ca, cb)
			b.has(t, "old", "what was there")
			b.alone(t, "old")
			if _, err := client.CopyThrough(t.Context(), ca, "f", cb, "old", client.CopyOptions{}); err != nil {
				t.Error(err)
			}
			b.has(t, "old", "content")
		})
	}
}

// A 227 that names another host is not relayed (CVE-2026-8328): nobody is called
// there, neither by us nor by the other server. Who trusts it has it relayed.
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
	a := newFake(t, func(f *fake) {
		f.files["/f"] = "content"
		f.on["EPSV"] = func(s *session, _ string) { s.say("502 no") }
		f.on["PASV"] = func(s *session, _ string) { s.say("227 " + ftp.FormatHostPort(lie)) }
		f.on["PORT"] = func(s *session, _ string) { s.say("500 no") }
		f.on["RETR"] = func(s *session, _ string) { s.say("425 nobody came") }
	})
	b := ours(t, "127.0.0.1", true)
	_, err = client.Copy(t.Context(), a.dial(nil), "/f", b.dial(t), "/copy", client.CopyOptions{})
	var host *client.HostError
	if !errors.As(err, &host) || host.Named != lie.Addr() || calls.Load() != 0 {
		t.Errorf("%v; %d calls", err, calls.Load())
	}
	b.alone(t, "")
	_, err = client.Copy(t.Context(), a.dial(&client.Options{TrustPassiveHost: true}), "/f", b.dial(t), "/copy", client.CopyOptions{})
	if errors.As(err, &host) {
		t.Errorf("trusted: %v", err)
	}
	<-called
}

// Cancelling a copy is prompt, leaves nothing behind, and both connections at rest.
func TestCopyCancelled(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, start := range []func(*testing.T, string, bool, ...func(*server.Options)) *party{ours, oursTLS} {
		slow := func(o *server.Options) { o.Rate = 1 << 20 }
		a, b := start(t, "127.0.0.1", true, slow), start(t, "127.0.0.2", true)
		a.write(t, "f", string(noise(64<<20)))
		b.write(t, "old", "what was there")
		begun := make(chan struct{}, 10)
		see := func(o *client.Options) {
			o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
				if r, ok := e.What.(ftp.ReplyGiven); ok && r.Verb == "STOR" && r.Reply.Code == 150 {
					begun <- struct{}{}
				}
			})
		}
		ca, cb := a.dial(t), b.dial(t, see)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if _, err := client.Copy(ctx, ca, "f", cb, "old", client.CopyOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		usable(t, ca, cb)
		b.has(t, "old", "what was there")
		ctx, cancel = context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if _, err := client.CopyThrough(ctx, ca, "f", cb, "new", client.CopyOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("through: %v", err)
		}
		usable(t, ca, cb)
		b.has(t, "new", "")
	}
}

// What goes wrong at one end is told with that end; what came of it there is no file.
func TestCopyFails(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	b := ours(t, "127.0.0.1", true)
	b.write(t, "old", "what was there")
	for name, tc := range map[string]struct {
		change func(f *fake)
		path   string
		want   string
		source bool
	}{
		"not there":  {func(*fake) {}, "/none", "refuses SIZE: 550", true},
		"no listing": {func(f *fake) { f.feat = []string{"EPSV"} }, "/none", "refuses RETR: 550", true},
		"short": {func(f *fake) {
			f.on["RETR"] = func(s *session, _ string) { s.say("150 here"); s.send("con"); s.say("226 done") }
		}, "/f", "cut short: 3 of 7 bytes", false},
		"broken": {func(f *fake) {
			f.on["RETR"] = func(s *session, _ string) { s.say("150 here"); s.send("con"); s.say("451 the disk") }
		}, "/f", "refuses RETR: 451", true},
		"hung up": {func(f *fake) {
			f.on["RETR"] = func(s *session, _ string) { s.say("150 here"); s.send("con"); _ = s.conn.Close() }
		}, "/f", "the control connection is gone", true},
	} {
		for _, dest := range []string{"old", "new"} {
			a := newFake(t, func(f *fake) {
				f.files["/f"] = "content"
				tc.change(f)
			})
			ca, cb := a.dial(nil), b.dial(t)
			_, err := client.Copy(t.Context(), ca, tc.path, cb, dest, client.CopyOptions{})
			var one *client.CopyError
			if !errors.As(err, &one) || one.Source != tc.source || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", name, err)
			}
			usable(t, cb)
			b.has(t, "old", "what was there")
			b.alone(t, "old")
		}
	}
	c := b.dial(t)
	if _, err := client.Copy(t.Context(), c, "old", c, "new", client.CopyOptions{}); err == nil {
		t.Error("one connection is not two")
	}
	usable(t, c)
	s := oursTLS(t, "127.0.0.1", true)
	_, err := client.Copy(t.Context(), c, "old", s.dial(t), "new", client.CopyOptions{})
	if !isA[*client.NoWayError](err) || !isA[*client.TLSError](err) {
		t.Errorf("only one of two with TLS: %v", err)
	}
	if _, err := client.CopyThrough(t.Context(), c, "old", s.dial(t), "new", client.CopyOptions{}); err != nil {
		t.Errorf("only one of two with TLS, through: %v", err)
	}
	s.has(t, "new", "what was there")
	plain := oursTLS(t, "127.0.0.1", false)
	_, err = client.Copy(t.Context(), plain.dial(t), "old", plain.dial(t), "new", client.CopyOptions{})
	if !isA[*client.NoWayError](err) || !strings.Contains(err.Error(), "SSCN") {
		t.Errorf("neither can be the TLS client: %v", err)
	}
}

// A file that is copied onto itself is still there.
func TestCopyOntoItself(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["/a"] = thousand })
	from, to := f.dial(nil), f.dial(nil)
	for _, dest := range []string{"/a", "a", "/x/../a", "//a"} {
		for _, copyBy := range []func(context.Context, *client.Client, string, *client.Client, string, client.CopyOptions) (client.CopyResult, error){client.Copy, client.CopyThrough} {
			if _, err := copyBy(t.Context(), from, "/a", to, dest, client.CopyOptions{}); !errors.Is(err, client.ErrSameFile) {
				t.Errorf("%s: %v", dest, err)
			}
		}
	}
	if text, _ := f.file("/a"); text != thousand || f.count("STOR") != 0 {
		t.Error("it was written")
	}
}
