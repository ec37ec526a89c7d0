package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

var errEnough = errors.New("enough")

func TestRetrieveAndStore(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFake(t, func(f *fake) { f.files["a"] = thousand; f.files["empty"] = "" })
			c := f.dial(&client.Options{Mode: mode})
			name := filepath.Join(t.TempDir(), "a")
			file, err := os.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			res, err := c.RetrieveWith(t.Context(), client.Transfer{Path: "a"}, file)
			if err != nil || res.Bytes != 1000 || res.Verified != "size and reply" || res.Mode != mode || res.Final.Code != 226 {
				t.Errorf("Retrieve: %+v, %v", res, err)
			}
			_ = file.Close()
			if got, _ := os.ReadFile(name); string(got) != thousand {
				t.Errorf("%d bytes in the file", len(got))
			}
			if n, err := c.Retrieve(t.Context(), "empty", io.Discard); n != 0 || err != nil {
				t.Errorf("the empty file: %d, %v", n, err)
			}
			if n, err := c.Store(t.Context(), "up", strings.NewReader(thousand)); n != 1000 || err != nil {
				t.Errorf("Store: %d, %v", n, err)
			}
			if n, err := c.Append(t.Context(), "up", strings.NewReader("more")); n != 4 || err != nil {
				t.Errorf("Append: %d, %v", n, err)
			}
			if got, _ := f.file("up"); got != thousand+"more" {
				t.Errorf("stored %d bytes", len(got))
			}
			res, err = c.StoreWith(t.Context(), client.Transfer{Path: "up", Offset: 990}, strings.NewReader("tail"))
			if got, _ := f.file("up"); err != nil || got != thousand[:990]+"tail" {
				t.Errorf("Store at 990: %+v, %v, %d bytes", res, err, len(got))
			}
			if n, err := c.Store(t.Context(), "none", strings.NewReader("")); n != 0 || err != nil {
				t.Errorf("Store of nothing: %d, %v", n, err)
			}
			if _, ok := f.file("none"); !ok {
				t.Error("the empty file was not made")
			}
			var reply *ftp.Error
			if _, err := c.Retrieve(t.Context(), "nope", io.Discard); !errors.As(err, &reply) || !errors.Is(err, os.ErrNotExist) {
				t.Errorf("what is not there: %v", err)
			}
			if f.count("TYPE") != 1 {
				t.Errorf("commands %q", f.commands())
			}
		})
	}
}

func TestRetrieveFromOffset(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["a"] = thousand })
	c := f.dial(nil)
	var got bytes.Buffer
	var last, total int64
	res, err := c.RetrieveWith(t.Context(), client.Transfer{Path: "a", Offset: 990, Progress: func(d, n int64) { last, total = d, n }}, &got)
	if err != nil || got.String() != thousand[990:] || res.Bytes != 10 {
		t.Errorf("Retrieve: %+v, %v, %q", res, err, got.String())
	}
	if last != 1000 || total != 1000 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
}

// A restart point must not outlive the transfer that it was for.
func TestRestartPointIsTakenBack(t *testing.T) {
	refuse := true
	f := newFake(t, func(f *fake) {
		f.files["a"] = thousand
		f.on["RETR"] = func(s *session, arg string) {
			if refuse {
				refuse = false
				s.say("550 not now")
				return
			}
			s.wellBehaved("RETR", arg)
		}
	})
	c := f.dial(nil)
	if _, err := c.Command(t.Context(), "REST", "990"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var got bytes.Buffer
		if _, err := c.Retrieve(t.Context(), "a", &got); err == nil && got.String() != thousand {
			t.Errorf("%d bytes", got.Len())
		}
	}
	if !slices.Contains(f.commands(), "REST 0") {
		t.Errorf("commands %q", f.commands())
	}
}

func TestASCII(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["a"] = "one\r\ntwo\r\n" })
	c := f.dial(nil)
	var got bytes.Buffer
	res, err := c.RetrieveWith(t.Context(), client.Transfer{Path: "a", ASCII: true, Size: 8}, &got)
	if err != nil || got.String() != "one\ntwo\n" || res.Verified != "reply" {
		t.Errorf("Retrieve: %q, %+v, %v", got.String(), res, err)
	}
	if _, err := c.StoreWith(t.Context(), client.Transfer{Path: "b", ASCII: true}, strings.NewReader("x\ny\n")); err != nil {
		t.Error(err)
	}
	if text, _ := f.file("b"); text != "x\r\ny\r\n" {
		t.Errorf("stored %q", text)
	}
	if f.count("TYPE") != 0 || f.count("SIZE") != 0 {
		t.Errorf("commands %q", f.commands())
	}
}

func TestStoreUnique(t *testing.T) {
	for first, want := range map[string]string{
		"150 FILE: new.1":   "new.1",
		"125 file: new.2 ":  "new.2",
		"150 Opening, well": "",
	} {
		f := newFake(t, func(f *fake) {
			f.on["STOU"] = func(s *session, _ string) {
				s.say(first)
				_, _ = io.Copy(io.Discard, s.data())
				s.say("226 done")
			}
		})
		c := f.dial(nil)
		name, n, err := c.StoreUnique(t.Context(), "", strings.NewReader("abc"))
		if name != want || n != 3 || err != nil {
			t.Errorf("%s: %q, %d, %v", first, name, n, err)
		}
	}
}

// brokenReader fails after some bytes.
type brokenReader struct {
	n   int
	err error
}

func (r *brokenReader) Read(b []byte) (int, error) {
	if r.n == 0 {
		return 0, r.err
	}
	n := min(r.n, len(b))
	r.n -= n
	return n, nil
}

// An upload that fails here must not look whole to the server.
func TestFailedUploadIsReset(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		f := newFake(t, nil)
		c := f.dial(&client.Options{Mode: mode})
		var local *client.LocalError
		_, err := c.Store(t.Context(), "up", &brokenReader{n: 100, err: errEnough})
		if !errors.As(err, &local) || !errors.Is(err, errEnough) {
			t.Errorf("%v: Store: %v", mode, err)
		}
		if _, err := c.Pwd(t.Context()); err != nil {
			t.Errorf("%v: Pwd: %v", mode, err)
		}
		if text, ok := f.file("up"); ok {
			t.Errorf("%v: the server took %d bytes for the file", mode, len(text))
		}
	}
}

// fullWriter takes some bytes, as a full disk does.
type fullWriter struct{ left int }

func (w *fullWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, errEnough
	}
	w.left -= len(b)
	return len(b), nil
}

func TestFailedDestination(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["a"] = strings.Repeat(thousand, 10000) })
	c := f.dial(nil)
	var local *client.LocalError
	if _, err := c.Retrieve(t.Context(), "a", &fullWriter{left: 500}); !errors.As(err, &local) || !errors.Is(err, errEnough) {
		t.Errorf("Retrieve: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

func TestRefusedUpload(t *testing.T) {
	tests := []struct {
		name string
		stor func(s *session)
		code ftp.Code
	}{
		{"at once", func(s *session) { s.say("553 no") }, 553},
		{"disk full", func(s *session) {
			s.say("150 give")
			c := s.data()
			_, _ = io.ReadFull(c, make([]byte, 10))
			s.say("552 full")
			_ = c.Close()
		}, 552},
		{"full, data first", func(s *session) {
			s.say("150 give")
			c := s.data()
			_, _ = io.ReadFull(c, make([]byte, 10))
			_ = c.Close()
			s.say("452 full")
		}, 452},
		{"at the end", func(s *session) { s.say("150 give"); _, _ = io.Copy(io.Discard, s.data()); s.say("451 no") }, 451},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(f *fake) { f.on["STOR"] = func(s *session, _ string) { tt.stor(s) } })
			c := f.dial(nil)
			var reply *ftp.Error
			_, err := c.Store(t.Context(), "up", &brokenReader{n: 1 << 24, err: io.EOF})
			if !errors.As(err, &reply) || reply.Code != tt.code || reply.Verb != "STOR" {
				t.Errorf("Store: %v", err)
			}
			if _, err := c.Pwd(t.Context()); err != nil {
				t.Errorf("Pwd: %v", err)
			}
		})
	}
}

// No byte goes out before the server said that it will take it.
func TestUploadWaitsForTheReply(t *testing.T) {
	early := make(chan int, 1)
	f := newFake(t, func(f *fake) {
		f.on["STOR"] = func(s *session, _ string) {
			c := s.data()
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			n, _ := c.Read(make([]byte, 10))
			early <- n
			_ = c.SetReadDeadline(time.Time{})
			s.say("150 give")
			_, _ = io.Copy(io.Discard, c)
			s.say("226 got it")
		}
	})
	c := f.dial(nil)
	if n, err := c.Store(t.Context(), "up", strings.NewReader(thousand)); n != 1000 || err != nil {
		t.Errorf("Store: %d, %v", n, err)
	}
	if n := <-early; n != 0 {
		t.Errorf("%d bytes came before the 150", n)
	}
}

func TestCancelRetrieve(t *testing.T) {
	abort := func(s *session, c net.Conn) {
		if verb, _, _ := s.next(); verb != "ABOR" {
			s.f.t.Errorf("the server got %q, not ABOR", verb)
		}
		_ = c.Close()
		s.raw("426 aborted\r\n226 aborted\r\n")
	}
	tests := []struct {
		name string
		retr func(s *session, cancel func())
	}{
		{"before the 150", func(s *session, cancel func()) { c := s.data(); cancel(); abort(s, c) }},
		{"before the data connection", func(s *session, cancel func()) { s.say("150 yes"); cancel(); abort(s, s.conn2()) }},
		{"in the data", func(s *session, cancel func()) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, thousand[:100])
			cancel()
			abort(s, c)
		}},
		{"before the 226", func(s *session, cancel func()) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, thousand)
			_ = c.Close()
			cancel()
			abort(s, c)
		}},
	}
	for _, tt := range tests {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(tt.name+"/"+mode.String(), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				f := newFake(t, func(f *fake) {
					f.files["a"] = thousand
					f.on["RETR"] = func(s *session, arg string) {
						if ctx.Err() == nil {
							tt.retr(s, func() { cancel(errEnough) })
							return
						}
						s.wellBehaved("RETR", arg)
					}
				})
				c := f.dial(&client.Options{Mode: mode})
				if _, err := c.Retrieve(ctx, "a", io.Discard); !errors.Is(err, errEnough) {
					t.Errorf("Retrieve: %v", err)
				}
				if !c.Alive() {
					t.Fatal("the client is dead")
				}
				if n, err := c.Retrieve(t.Context(), "a", io.Discard); n != 1000 || err != nil {
					t.Errorf("the next: %d, %v", n, err)
				}
			})
		}
	}
}

// conn2 stands for a data connection that was never made.
func (s *session) conn2() net.Conn { return closerConn{closedListener{}} }

type closedListener struct{}

func (closedListener) Accept() (net.Conn, error) { return nil, io.EOF }
func (closedListener) Close() error              { return nil }
func (closedListener) Addr() net.Addr            { return nil }

// A source that never ends its Read does not hold a cancelled upload up, and the
// server does not get a whole file.
func TestCancelUploadWithBlockedSource(t *testing.T) {
	f := newFake(t, nil)
	c := f.dial(nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	src, feed := io.Pipe()
	go func() {
		_, _ = feed.Write([]byte(thousand)) // sent, and then the source blocks
		cancel(errEnough)
	}()
	if _, err := c.Store(ctx, "up", src); !errors.Is(err, errEnough) {
		t.Errorf("Store: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
	if text, ok := f.file("up"); ok {
		t.Errorf("the server took %d bytes for the file", len(text))
	}
	_ = feed.Close()
}

// A server that does not answer ABOR is given up, soon.
func TestAbortUnanswered(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	f := newFake(t, func(f *fake) {
		f.files["a"] = thousand
		f.on["RETR"] = func(s *session, _ string) {
			s.say("150 yes")
			cancel(errEnough)
			for {
				if _, _, ok := s.next(); !ok {
					return
				}
			}
		}
	})
	c := f.dial(nil)
	if _, err := c.Retrieve(ctx, "a", io.Discard); !errors.Is(err, errEnough) {
		t.Errorf("Retrieve: %v", err)
	}
	if c.Alive() {
		t.Error("the client is alive")
	}
}

func TestOpen(t *testing.T) {
	big := strings.Repeat(thousand, 5000)
	f := newFake(t, func(f *fake) { f.files["a"], f.files["big"] = thousand, big })
	c := f.dial(nil)
	for range 3 {
		r, err := c.Open(t.Context(), "a", 10)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != thousand[10:] || err != nil {
			t.Errorf("ReadAll: %d bytes, %v", len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := c.Open(t.Context(), "nope", 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	r, err := c.Open(t.Context(), "big", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if _, err := c.Pwd(t.Context()); !errors.Is(err, client.ErrBusy) {
		t.Errorf("Pwd beside it: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close half way: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

// A short file never ends in io.EOF.
func TestOpenShort(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.files["a"] = thousand
		f.on["RETR"] = func(s *session, _ string) { s.say("150 yes"); s.send(thousand[:400]); s.say("226 done") }
	})
	c := f.dial(nil)
	r, err := c.Open(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if len(got) != 400 || !isA[*client.TruncatedError](err) {
		t.Errorf("ReadAll: %d bytes, %v", len(got), err)
	}
	if err := r.Close(); !isA[*client.TruncatedError](err) {
		t.Errorf("Close: %v", err)
	}
}

// A cancelled reader that nobody reads from ends all the same.
func TestOpenCancel(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["big"] = strings.Repeat(thousand, 5000) })
	c := f.dial(nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := c.Open(ctx, "big", 0)
	if err != nil {
		t.Fatal(err)
	}
	cancel(errEnough)
	if _, err := io.ReadAll(r); !errors.Is(err, errEnough) {
		t.Errorf("ReadAll: %v", err)
	}
	if err := r.Close(); !errors.Is(err, errEnough) {
		t.Errorf("Close: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

// Close ends a transfer that another goroutine waits for.
func TestCloseDuringTransfer(t *testing.T) {
	begun := make(chan struct{})
	f := newFake(t, func(f *fake) {
		f.files["a"] = thousand
		f.on["RETR"] = func(s *session, _ string) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, "x")
			close(begun)
			s.next()
			_ = c.Close()
		}
	})
	c := f.dial(nil)
	done := make(chan error)
	go func() { _, err := c.Retrieve(t.Context(), "a", io.Discard); done <- err }()
	<-begun
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, client.ErrClosed) {
		t.Errorf("Retrieve: %v", err)
	}
}

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
			f := newFake(t, func(f *fake) { f.files["a"] = thousand; f.feat = nil })
			c := f.dial(&client.Options{User: "u", Password: "secret", Mode: mode, Observer: watch})
			if _, err := c.Store(t.Context(), "b", strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			want := []string{"opened", "USER u", "PASS ****", "in: u", "FEAT", "TYPE I", "EPSV", "offered by 229", "STOR b", "data dials", "done", "QUIT", "closed"}
			if mode == ftp.Active {
				want = []string{"opened", "USER u", "PASS ****", "in: u", "FEAT", "TYPE I", "EPRT", "offered by EPRT", "STOR b", "data listens", "done", "QUIT", "closed"}
			}
			mu.Lock()
			defer mu.Unlock()
			i, j := slices.Index(told, "STOR b"), slices.IndexFunc(told, func(s string) bool { return strings.HasPrefix(s, "data ") })
			if j >= 0 && j < i { // the data connection comes about beside the command
				told[i], told[j] = told[j], told[i]
			}
			for k, s := range told {
				if strings.HasPrefix(s, "EPRT ") {
					told[k] = "EPRT"
				}
			}
			if !slices.Equal(told, want) {
				t.Errorf("told %q\nwant %q", told, want)
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
	f := newFake(t, func(f *fake) { f.on["EPRT"] = says("501 no"); f.on["PORT"] = says("501 no") })
	c := f.dial(&client.Options{Mode: ftp.Active, ActiveIP: netip.MustParseAddr("192.0.2.7"), ActivePorts: [2]uint16{40123, 40999}})
	if _, err := c.Retrieve(t.Context(), "a", io.Discard); err == nil {
		t.Error("Retrieve went through")
	}
	got := f.commands()
	port, err := ftp.ParseHostPort(strings.TrimPrefix(got[len(got)-1], "PORT "))
	if err != nil || port.Addr() != netip.MustParseAddr("192.0.2.7") || port.Port() < 40123 || port.Port() > 40999 {
		t.Errorf("commands %q", got)
	}
	if _, err := client.Dial(t.Context(), f.addr, &client.Options{ActivePorts: [2]uint16{9, 3}}); err == nil {
		t.Error("an empty port range was taken")
	}
}

// Through a proxy both connections go to the name that Dial was given.
func TestProxyDial(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["a"] = thousand; f.on["EPSV"] = says("500 what?") })
	_, port, _ := net.SplitHostPort(f.addr)
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

// hidden is a connection whose addresses are not its own, as a proxy's.
type hidden struct{ net.Conn }

func (hidden) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "proxy"} }
func (hidden) LocalAddr() net.Addr  { return &net.UnixAddr{Name: "proxy"} }

func TestRate(t *testing.T) {
	f := newFake(t, func(f *fake) { f.files["a"] = thousand })
	c := f.dial(&client.Options{Rate: 100_000})
	if n, err := c.Retrieve(t.Context(), "a", io.Discard); n != 1000 || err != nil {
		t.Errorf("Retrieve: %d, %v", n, err)
	}
}
