package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// flights counts how often a client has to wait for the server: at each write on the control connection, and at each
// data connection.
type flights struct{ n atomic.Int64 }

// options returns Options that count the flights of a client.
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

// small returns the content of the i-th of many small files. No two are the same.
func small(i int) string { return fmt.Sprintf("file %d %s", i, strings.Repeat("x", i*7)) }

// plantSmall creates n small files in a directory.
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

// getSmall downloads n small files.
func getSmall(t *testing.T, c *client.Client, dir string, n int) {
	t.Helper()
	mem := fsroot.NewMem()
	for i := range n {
		name := fmt.Sprintf("/%d", i)
		o := client.FileOptions{Listed: listed(len(small(i)))}
		if res, err := c.Download(t.Context(), dir+name, name, over(mem, o)); err != nil || res.Verified != "size and reply" {
			t.Fatalf("file %d: %+v, %v", i, res, err)
		}
	}
	checkSmall(t, mem, n)
}

// putSmall uploads n small files.
func putSmall(t *testing.T, c *client.Client, dir string, n int) {
	t.Helper()
	mem := fsroot.NewMem()
	plantSmall(t, mem, n)
	for i := range n {
		name := fmt.Sprintf("/%d", i)
		if _, err := c.Upload(t.Context(), name, dir+name, client.FileOptions{FS: mem, KeepTime: true}); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
	}
}

// TestRoundTrips checks that downloading a small file takes three round trips with our server, which accepts several
// commands in one write. An upload takes four: one more for the 150, and one for SIZE and MFMT together.
func TestRoundTrips(t *testing.T) {
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
			}{{"down", &down, getSmall, 3}, {"up", &up, putSmall, 4}} {
				o := tt.f.options(mode)
				o.User, o.Password = "u", "p"
				c, err := client.Dial(t.Context(), addr, o)
				if err != nil {
					t.Fatal(err)
				}
				login := tt.f.n.Load()
				if login > 4 {
					t.Errorf("the login took %d flights, want at most 4", login)
				}
				tt.run(t, c, "", files)
				if n := tt.f.n.Load() - login; n > tt.each*files+4 {
					t.Errorf("%s: %d flights for %d files", tt.name, n, files)
				}
				_ = c.Close()
			}
			checkSmall(t, site, files)
		})
	}
}

// TestRoundTripsToBatchers counts the flights to the servers in the table of batchers: for a download whose size is
// known but not its time, for the upload of a new file, and for Stat.
func TestRoundTripsToBatchers(t *testing.T) {
	const files = 20
	for _, name := range []string{"vsftpd", "proftpd", "pure-ftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := peers.Start(t, name, t.TempDir(), peers.Options{})
			var f flights
			o := f.options(ftp.Passive)
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
			count := func(what string, most int64, run func()) {
				t.Helper()
				before := f.n.Load()
				run()
				if n := f.n.Load() - before; n > most {
					t.Errorf("%s: %d flights, want at most %d", what, n, most)
				}
			}
			count("putting", 4*files, func() { putSmall(t, c, dir, files) })
			mem := fsroot.NewMem()
			count("getting", 3*files, func() {
				for i := range files {
					name := fmt.Sprintf("/%d", i)
					o := client.FileOptions{Listed: listed(len(small(i))), KeepTime: true}
					if res, err := c.Download(t.Context(), dir+name, name, over(mem, o)); err != nil || res.Verified != "size and reply" {
						t.Fatalf("file %d: %+v, %v", i, res, err)
					}
				}
			})
			checkSmall(t, mem, files)
			there, err := c.ModTime(t.Context(), dir+"/1")
			if err != nil {
				t.Fatal(err)
			}
			if info, err := mem.Stat("/1"); err != nil || !info.ModTime().Equal(there) {
				t.Errorf("the copy's time: %v, %v, want %v", info.ModTime(), err, there)
			}
			count("Stat of a directory", 1, func() {
				if e, err := c.Stat(t.Context(), dir+"/"); err != nil || !e.IsDir() {
					t.Errorf("Stat: %+v, %v", e, err)
				}
			})
			count("Stat of a file", 1, func() {
				if e, err := c.Stat(t.Context(), dir+"/1"); err != nil || e.Type != ftp.FileEntry || !e.Modified.Equal(there) {
					t.Errorf("Stat: %+v, %v", e, err)
				}
			})
		})
	}
}

// together counts the writes of a client that contain more than one command.
type together struct{ n atomic.Int64 }

func (w *together) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	return writeCounter{c, w}, err
}

type writeCounter struct {
	net.Conn
	w *together
}

func (c writeCounter) Write(b []byte) (int, error) {
	if bytes.Count(b, []byte("\r\n")) > 1 {
		c.w.n.Add(1)
	}
	return c.Conn.Write(b)
}

// TestBatchers checks the servers that get several commands in one write: the client sends every such combination,
// for hundreds of files in both directions, and each reply must answer its own command. A server that is not in the
// table gets one command at a time.
func TestBatchers(t *testing.T) {
	t.Parallel()
	files := 100
	if testutil.Soaking {
		files = 300
	}
	for _, name := range peers.Names() {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				s := peers.Start(t, name, t.TempDir(), peers.Options{})
				var w together
				o := &client.Options{Mode: mode, User: s.User, Password: s.Password}
				if mode == ftp.Passive { // a custom dialer would hide the sockets from the kernel
					o.Dial = w.dial
				}
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
				putSmall(t, c, dir, files)
				getSmall(t, c, dir, files)
				mem := fsroot.NewMem()
				for i := range files {
					name := fmt.Sprintf("/%d", i)
					res, err := c.Download(t.Context(), dir+name, name, client.FileOptions{FS: mem, KeepTime: true})
					if err != nil || res.Verified != "size and reply" {
						t.Fatalf("file %d: %+v, %v", i, res, err)
					}
					if e, err := c.Stat(t.Context(), dir+name); err != nil || e.Type != ftp.FileEntry || e.Size != int64(len(small(i))) {
						t.Fatalf("file %d: Stat: %+v, %v", i, e, err)
					}
				}
				if e, err := c.Stat(t.Context(), dir+"/"); err != nil || !e.IsDir() {
					t.Errorf("Stat of a directory: %+v, %v", e, err)
				}
				if e, err := c.Stat(t.Context(), dir+"/none"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Stat of nothing: %+v, %v", e, err)
				}
				checkSmall(t, mem, files)
				if again, err := c.Pwd(t.Context()); err != nil || strings.TrimSuffix(again, "/") != dir {
					t.Errorf("PWD: %q, %v", again, err)
				}
				if n, known := w.n.Load(), name != "pyftpdlib"; mode == ftp.Passive && (n > int64(files)) != known {
					t.Errorf("%d writes of several commands", n)
				}
			})
		}
	}
}

// TestOneCommandAtATime checks that only servers in the table get several commands in one write. A server that only
// has the greeting of such a one, and loses all commands but the first, gets one at a time on the next connection of
// the Pool.
func TestOneCommandAtATime(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, tt := range []struct {
		name, greeting string
		most           int64 // writes with more than one command
	}{{"unknown", "220 ready\r\n", 0}, {"liar", "220 (vsFTPd 3.0.5)\r\n", 1}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var pieces atomic.Int64
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Greeting = tt.greeting
				f.Files["/0"], f.Files["/1"] = small(0), small(1)
				for _, verb := range []string{"FEAT", "OPTS", "TYPE", "SIZE", "MDTM", "CWD", "EPSV", "RETR"} {
					f.On[verb] = func(s *fakeserver.Session, arg string) {
						if n := s.In.Buffered(); n > 0 {
							pieces.Add(1)
							_, _ = s.In.Discard(n)
						}
						s.Behave(verb, arg)
					}
				}
			})
			p := client.NewPool(f.Addr, 1, &client.Options{Timeout: time.Second})
			t.Cleanup(func() { _ = p.Close() })
			mem := fsroot.NewMem()
			retry := client.Retry{Times: 1, Wait: func(int) time.Duration { return 0 }}
			for _, name := range []string{"/0", "/1"} {
				err := retry.Do(t.Context(), func(int) error {
					return p.Do(t.Context(), func(c *client.Client) error {
						o := client.FileOptions{KeepTime: true}
						if name == "/1" {
							o.Listed = listed(len(small(1)))
						}
						if _, err := c.Download(t.Context(), name, name, over(mem, o)); err != nil {
							return err
						}
						e, err := c.Stat(t.Context(), name)
						if err == nil && e.Type != ftp.FileEntry {
							t.Errorf("Stat: %+v", e)
						}
						return err
					})
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			checkSmall(t, mem, 2)
			if n := pieces.Load(); n != tt.most {
				t.Errorf("%d writes had several commands, want %d", n, tt.most)
			}
		})
	}
}

// TestUploadRenamed checks that a file is renamed only if its size is right. SIZE, MFMT and RNFR are sent together.
func TestUploadRenamed(t *testing.T) {
	mem := fsroot.NewMem()
	plantSmall(t, mem, 2)
	for _, tt := range []struct {
		name, verb string
		reply      string // instead of the usual one
		want       error
		commands   string
	}{
		{name: "good", commands: "STOR /part SIZE MFMT RNFR RNTO"},
		{name: "no size", verb: "SIZE", reply: "500 no", commands: "STOR /part SIZE MFMT RNFR RNTO"},
		{name: "too short", verb: "SIZE", reply: "213 3", want: &client.TruncatedError{}, commands: "STOR /part SIZE MFMT RNFR"},
		{name: "no time", verb: "MFMT", reply: "500 no", commands: "STOR /part SIZE MFMT RNFR MFMT MDTM SITE RNFR RNTO"},
		{name: "no rename", verb: "RNFR", reply: "550 no", want: &ftp.Error{}, commands: "STOR /part SIZE MFMT RNFR SIZE"},
		{name: "not that name", verb: "RNTO", reply: "553 no", want: &ftp.Error{}, commands: "STOR /part SIZE MFMT RNFR RNTO"},
		{name: "out of step", verb: "SIZE", reply: "229 what?", want: &client.DeadError{}, commands: "STOR /part SIZE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = append(f.Feat, "MFMT")
				if tt.verb != "" {
					f.On[tt.verb] = func(s *fakeserver.Session, _ string) { s.Say(tt.reply) }
				}
			})
			c := dial(t, f, nil)
			o := client.Renamed(client.FileOptions{KeepTime: true}, "/whole")
			_, err := c.Upload(t.Context(), "/1", "/part", over(mem, o))
			if (err == nil) != (tt.want == nil) || err != nil && fmt.Sprintf("%T", err) != fmt.Sprintf("%T", tt.want) {
				t.Errorf("Upload: %T %v, want %T", err, err, tt.want)
			}
			var sent []string
			for _, line := range f.Commands() {
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
			if errors.Is(err, client.ErrOutOfStep) {
				return
			}
			if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
				t.Errorf("PWD: %q, %v", dir, err)
			}
		})
	}
}
