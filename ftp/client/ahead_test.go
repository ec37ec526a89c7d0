package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/peers"
)

// flights counts how often a client turns to the server and has to wait: each write on
// the control connection, and each handshake of a data connection.
type flights struct{ n atomic.Int64 }

// options are those of a client whose flights are counted.
func (f *flights) options(mode ftp.DataMode) *client.Options {
	var first atomic.Bool
	return &client.Options{
		Mode: mode,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if first.CompareAndSwap(false, true) {
				c = flightConn{c, f}
			}
			return c, err
		},
		Observer: ftp.ObserverFunc(func(e ftp.Event) {
			if _, ok := e.What.(ftp.DataOpened); ok {
				f.n.Add(1)
			}
		}),
	}
}

type flightConn struct {
	net.Conn
	f *flights
}

func (c flightConn) Write(b []byte) (int, error) {
	c.f.n.Add(1)
	return c.Conn.Write(b)
}

// small is the content of the i-th of many small files: no two are the same.
func small(i int) string { return fmt.Sprintf("file %d %s", i, strings.Repeat("x", i*7)) }

// plantSmall makes n small files in a directory.
func plantSmall(t *testing.T, fsys afero.Fs, n int) {
	t.Helper()
	for i := range n {
		if err := afero.WriteFile(fsys, fmt.Sprintf("/%d", i), []byte(small(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkSmall reports which of n small files are not whole.
func checkSmall(t *testing.T, fsys afero.Fs, n int) {
	t.Helper()
	for i := range n {
		if b, err := afero.ReadFile(fsys, fmt.Sprintf("/%d", i)); err != nil || string(b) != small(i) {
			t.Errorf("file %d: %q, %v", i, b, err)
		}
	}
}

// getSmall downloads n small files, each with More.
func getSmall(t *testing.T, c *client.Client, dir string, n int) {
	t.Helper()
	mem := fsroot.NewMem()
	for i := range n {
		name := fmt.Sprintf("/%d", i)
		o := client.FileOptions{Size: int64(len(small(i))), More: true}
		if res, err := c.Download(t.Context(), dir+name, mem, name, o); err != nil || res.Verified != "size and reply" {
			t.Fatalf("file %d: %+v, %v", i, res, err)
		}
	}
	checkSmall(t, mem, n)
}

// putSmall uploads n small files, each with More.
func putSmall(t *testing.T, c *client.Client, dir string, n int) {
	t.Helper()
	mem := fsroot.NewMem()
	plantSmall(t, mem, n)
	for i := range n {
		name := fmt.Sprintf("/%d", i)
		if _, err := c.Upload(t.Context(), mem, name, dir+name, client.FileOptions{More: true, KeepTime: true}); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
	}
}

// TestTwoRoundTrips: many small files take two round trips each; an upload takes one more
// for the word to begin, and one for its size and its time together.
func TestTwoRoundTrips(t *testing.T) {
	const files = 50
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			site := fsroot.NewMem()
			plantSmall(t, site, files)
			var down, up flights
			addr := serveHere(t, site, "127.0.0.1")
			for _, tt := range []struct {
				name string
				f    *flights
				run  func(*testing.T, *client.Client, string, int)
				each int64
			}{{"down", &down, getSmall, 2}, {"up", &up, putSmall, 3}} {
				o := tt.f.options(mode)
				o.User, o.Password = "u", "p"
				c, err := client.Dial(t.Context(), addr, o)
				if err != nil {
					t.Fatal(err)
				}
				login := tt.f.n.Load()
				if login > 3 {
					t.Errorf("logging in took %d flights", login)
				}
				tt.run(t, c, "", files)
				// The first file goes in lock-step, and the third waits for what the second shows.
				if n := tt.f.n.Load() - login; n > tt.each*files+4 {
					t.Errorf("%s: %d flights for %d files", tt.name, n, files)
				}
				_ = c.Close()
			}
			checkSmall(t, site, files)
		})
	}
}

// TestAheadAtPeers: all files come over whole, whatever a server thinks of commands that
// come before their turn.
func TestAheadAtPeers(t *testing.T) {
	const files = 100
	for _, name := range peers.Names() {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				s := peers.Start(t, name, root, peers.Options{})
				var f flights
				o := f.options(mode)
				o.User, o.Password = s.User, s.Password
				c, err := client.Dial(t.Context(), s.Addr, o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				dir, err := c.Pwd(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				dir = strings.TrimSuffix(dir, "/")
				began := f.n.Load()
				putSmall(t, c, dir, files)
				up := f.n.Load()
				getSmall(t, c, dir, files)
				t.Logf("flights a file: %.2f up, %.2f down", float64(up-began)/files, float64(f.n.Load()-up)/files)
				if again, err := c.Pwd(t.Context()); err != nil || strings.TrimSuffix(again, "/") != dir {
					t.Errorf("PWD: %q, %v", again, err)
				}
			})
		}
	}
}

// sentAhead has a fake do something of its own with a RETR or STOR that another command
// came with.
func (f *fake) sentAhead(do func(s *session, verb, arg, next, nextArg string)) *atomic.Int64 {
	var times atomic.Int64
	for _, verb := range []string{"RETR", "STOR"} {
		f.on[verb] = func(s *session, arg string) {
			if s.in.Buffered() == 0 {
				s.wellBehaved(verb, arg)
				return
			}
			next, nextArg, _ := s.next()
			times.Add(1)
			do(s, verb, arg, next, nextArg)
		}
	}
	return &times
}

// hold takes the data connection and lets the session agree on another one.
func (s *session) hold() net.Conn {
	conn := s.data()
	s.offset = 0
	return conn
}

// whole sends a file over a data connection that is held.
func (s *session) whole(conn net.Conn, name string) {
	text, _ := s.f.file(name)
	_, _ = conn.Write([]byte(text))
	_ = conn.Close()
}

// half breaks a file off.
func (s *session) half(conn net.Conn, name string) {
	text, _ := s.f.file(name)
	_, _ = conn.Write([]byte(text[:len(text)/2]))
	_ = conn.Close()
}

// forget lets an offer go: who calls is hung up on, and nobody is called.
func (s *session) forget() {
	if ln := s.ln; ln != nil {
		s.ln = nil
		s.f.wg.Go(func() {
			if conn, err := ln.Accept(); err == nil {
				_ = conn.Close()
			}
		})
	}
	s.dropData()
}

// surprises are what servers may do with the offer of the next data connection that is
// asked for behind RETR.
var surprises = []struct {
	name string
	once bool // nothing is sent ahead after that
	do   func(s *session, arg, next, nextArg string)
}{
	{"none", false, func(s *session, arg, next, nextArg string) {
		s.wellBehaved("RETR", arg)
		s.wellBehaved(next, nextArg)
	}},
	{"a second 226", false, func(s *session, arg, next, nextArg string) {
		s.wellBehaved("RETR", arg)
		s.say("226 really")
		s.wellBehaved(next, nextArg)
	}},
	{"its reply before the 150", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.wellBehaved(next, nextArg)
		s.say("150 here it comes")
		s.whole(conn, arg)
		s.say("226 done")
	}},
	{"its reply before the 226", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.wellBehaved(next, nextArg)
		s.whole(conn, arg)
		s.say("226 done")
	}},
	{"refused behind", true, func(s *session, arg, next, _ string) {
		s.wellBehaved("RETR", arg)
		s.say("450 not now: " + next)
	}},
	{"unknown", true, func(s *session, arg, next, _ string) {
		s.wellBehaved("RETR", arg)
		s.say("500 what is " + next)
	}},
	{"refused in between", true, func(s *session, arg, _, _ string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.say("450 a transfer is in progress")
		s.whole(conn, arg)
		s.say("226 done")
	}},
	{"refused instead", true, func(s *session, arg, _, _ string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.half(conn, arg)
		s.say("450 that was too much")
	}},
	{"the transfer ends with 450", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.half(conn, arg)
		s.say("450 not available any more")
		s.wellBehaved(next, nextArg)
	}},
	{"dropped", true, func(s *session, arg, _, _ string) { s.wellBehaved("RETR", arg) }},
	{"the transfer dropped", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.half(conn, arg)
		s.wellBehaved(next, nextArg)
	}},
	{"the transfer dropped behind all its bytes", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.whole(conn, arg)
		s.wellBehaved(next, nextArg)
	}},
	{"the transfer cut", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.half(conn, arg)
		s.say("426 another data connection")
		s.wellBehaved(next, nextArg)
	}},
	{"the transfer cut, and called done", true, func(s *session, arg, next, nextArg string) {
		conn := s.hold()
		s.say("150 here it comes")
		s.half(conn, arg)
		s.say("226 done")
		s.wellBehaved(next, nextArg)
	}},
	{"no data connection", true, func(s *session, _, next, nextArg string) {
		_ = s.hold().Close()
		s.say("425 which one?")
		s.wellBehaved(next, nextArg)
	}},
	{"a reply too many", true, func(s *session, arg, next, nextArg string) {
		s.wellBehaved("RETR", arg)
		s.say("250 and good luck")
		s.wellBehaved(next, nextArg)
	}},
	{"an offer that is not kept", true, func(s *session, arg, next, nextArg string) {
		s.wellBehaved("RETR", arg)
		s.wellBehaved(next, nextArg)
		s.forget()
	}},
}

// TestAheadSurprises: whatever comes of what was sent ahead, every file is right in the
// end, no reply is taken for another one's, and it is not tried again.
func TestAheadSurprises(t *testing.T) {
	const files = 8
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		for _, tt := range surprises {
			t.Run(mode.String()+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				var times *atomic.Int64
				f := newFake(t, func(f *fake) {
					for i := range files {
						f.files[fmt.Sprintf("/%d", i)] = small(i)
					}
					times = f.sentAhead(func(s *session, verb, arg, next, nextArg string) {
						if verb != "RETR" {
							t.Errorf("%s %s came behind %s", next, nextArg, verb)
						}
						tt.do(s, arg, next, nextArg)
					})
				})
				c := f.dial(&client.Options{Mode: mode, Timeout: 4 * time.Second})
				getSmall(t, c, "", files)
				if n, err := c.Size(t.Context(), "/3"); err != nil || n != int64(len(small(3))) {
					t.Errorf("SIZE: %d, %v", n, err)
				}
				if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
					t.Errorf("PWD: %q, %v", dir, err)
				}
				if n := times.Load(); tt.once && n != 1 || !tt.once && n < files/2 {
					t.Errorf("it was tried %d times", n)
				}
			})
		}
	}
}

// TestAheadAnd421: a server that says goodbye behind a file does not undo it, and the
// connections that a Pool makes later know better.
func TestAheadAnd421(t *testing.T) {
	const files = 6
	var times *atomic.Int64
	f := newFake(t, func(f *fake) {
		for i := range files {
			f.files[fmt.Sprintf("/%d", i)] = small(i)
		}
		times = f.sentAhead(func(s *session, verb, arg, _, _ string) {
			s.wellBehaved(verb, arg)
			s.say("421 that is too fast for me")
			_ = s.conn.Close()
		})
	})
	p := client.NewPool(f.addr, nil, 1)
	t.Cleanup(func() { _ = p.Close() })
	mem := fsroot.NewMem()
	for i := range files {
		name := fmt.Sprintf("/%d", i)
		get := func() error {
			return p.Do(t.Context(), func(c *client.Client) error {
				_, err := c.Download(t.Context(), name, mem, name, client.FileOptions{Size: int64(len(small(i))), More: true})
				return err
			})
		}
		err := get()
		var dead *client.DeadError
		if errors.As(err, &dead) { // found dead only when it was used again
			err = get()
		}
		if err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
	}
	checkSmall(t, mem, files)
	if n := times.Load(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}

// TestAheadCancelled: a transfer that is cancelled while something is ahead leaves a
// Client in which each reply still answers its own command.
func TestAheadCancelled(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := newFake(t, func(f *fake) {
				for i := range 4 {
					f.files[fmt.Sprintf("/%d", i)] = small(i)
				}
				f.sentAhead(func(s *session, _, arg, next, nextArg string) {
					conn := s.hold()
					s.say("150 here it comes")
					cancel()
					if abor, _, _ := s.next(); abor != "ABOR" {
						t.Errorf("%s, not ABOR", abor)
					}
					s.half(conn, arg)
					s.say("426 broken off")
					s.wellBehaved(next, nextArg)
					s.say("226 ABOR done")
				})
			})
			c := f.dial(&client.Options{Mode: mode})
			mem := fsroot.NewMem()
			var err error
			for i := range 4 {
				o := client.FileOptions{Size: int64(len(small(i))), More: true}
				name := fmt.Sprintf("/%d", i)
				if _, err = c.Download(ctx, name, mem, name, o); err != nil {
					break
				}
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
				t.Errorf("PWD: %q, %v", dir, err)
			}
			if n, err := c.Size(t.Context(), "/3"); err != nil || n != int64(len(small(3))) {
				t.Errorf("SIZE: %d, %v", n, err)
			}
		})
	}
}

// TestUploadRenamed: a file gets its name only when its size is right; the server is asked
// for that, told the time and asked to rename in one go.
func TestUploadRenamed(t *testing.T) {
	mem := fsroot.NewMem()
	plantSmall(t, mem, 2)
	for _, tt := range []struct {
		name, verb string
		reply      string // in place of the good one
		want       error
		commands   string
	}{
		{name: "good", commands: "STOR /part SIZE MFMT RNFR RNTO"},
		{name: "no size", verb: "SIZE", reply: "500 no", commands: "STOR /part SIZE MFMT RNFR RNTO"},
		{name: "too short", verb: "SIZE", reply: "213 3", want: &client.TruncatedError{}, commands: "STOR /part SIZE MFMT RNFR"},
		{name: "no time", verb: "MFMT", reply: "500 no", commands: "STOR /part SIZE MFMT RNFR MFMT MDTM SITE RNFR RNTO"},
		{name: "no rename", verb: "RNFR", reply: "550 no", want: &ftp.Error{}, commands: "STOR /part SIZE MFMT RNFR SIZE"},
		{name: "not that name", verb: "RNTO", reply: "553 no", want: &ftp.Error{}, commands: "STOR /part SIZE MFMT RNFR RNTO"},
		{name: "out of step", verb: "SIZE", reply: "229 what?", commands: "STOR /part SIZE MFMT RNFR PWD SIZE MFMT RNFR RNTO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(f *fake) {
				f.feat = append(f.feat, "MFMT")
				if tt.verb != "" {
					f.on[tt.verb] = func(s *session, _ string) { s.say(tt.reply) }
				}
			})
			c := f.dial(nil)
			o := client.Renamed(client.FileOptions{KeepTime: true}, "/whole")
			_, err := c.Upload(t.Context(), mem, "/1", "/part", o)
			if (err == nil) != (tt.want == nil) || err != nil && fmt.Sprintf("%T", err) != fmt.Sprintf("%T", tt.want) {
				t.Errorf("Upload: %T %v, want %T", err, err, tt.want)
			}
			var sent []string
			for _, line := range f.commands() {
				verb, _, _ := strings.Cut(line, " ")
				if verb == "STOR" {
					sent = []string{line}
				} else if sent != nil {
					sent = append(sent, verb)
				}
			}
			if got := strings.Join(sent, " "); got != tt.commands {
				t.Errorf("sent %q, want %q", got, tt.commands)
			}
			if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
				t.Errorf("PWD: %q, %v", dir, err)
			}
		})
	}
}

// TestOneCommandAtATime: a server that drops what comes in one piece with another command
// is asked again, and one that is known for that is never sent two.
func TestOneCommandAtATime(t *testing.T) {
	for _, tt := range []struct {
		name, greeting string
		most           int64 // pieces with more than one command
	}{{"found out", "220 ready\r\n", 1}, {"known", "220 Microsoft FTP Service\r\n", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var together atomic.Int64
			f := newFake(t, func(f *fake) {
				f.greeting = tt.greeting
				f.files["/0"], f.files["/1"] = small(0), small(1)
				for _, verb := range []string{"FEAT", "OPTS", "TYPE", "SIZE", "MDTM", "EPSV", "RETR"} {
					f.on[verb] = func(s *session, arg string) {
						if n := s.in.Buffered(); n > 0 {
							together.Add(1)
							_, _ = s.in.Discard(n)
						}
						s.wellBehaved(verb, arg)
					}
				}
			})
			c := f.dial(nil)
			mem := fsroot.NewMem()
			for _, name := range []string{"/0", "/1"} {
				if _, err := c.Download(t.Context(), name, mem, name, client.FileOptions{KeepTime: true, More: true}); err != nil {
					t.Fatal(err)
				}
			}
			checkSmall(t, mem, 2)
			if n := together.Load(); n != tt.most {
				t.Errorf("%d times several commands came together, want %d", n, tt.most)
			}
			if !c.Features().Has("SIZE") {
				t.Error("FEAT was lost")
			}
		})
	}
}
