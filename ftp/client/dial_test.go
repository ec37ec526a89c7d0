package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

func TestLoginSequences(t *testing.T) {
	tests := []struct {
		name string
		set  func(f *fakeserver.Server)
		opts *client.Options
		want []string // commands
		verb string   // of the refused command; "-" if none is refused
		code ftp.Code
	}{
		{"anonymous", nil, nil, []string{"USER anonymous", "PASS anonymous@", "FEAT", "OPTS UTF8 ON"}, "-", 0},
		{"password", nil, &client.Options{User: "alice", Password: " s e "}, []string{"USER alice", "PASS  s e ", "FEAT", "OPTS UTF8 ON"}, "-", 0},
		{
			"no password asked", func(f *fakeserver.Server) { f.On["USER"] = fakeserver.Says("230 in") },
			&client.Options{User: "a", Password: "secret"},
			[]string{"USER a", "FEAT", "OPTS UTF8 ON"},
			"-", 0,
		},
		{
			"account", func(f *fakeserver.Server) {
				f.On["PASS"] = fakeserver.Says("332 account?")
				f.On["ACCT"] = fakeserver.Says("230 in")
			},
			&client.Options{User: "a", Password: "b", Account: "c"},
			[]string{"USER a", "PASS b", "ACCT c", "FEAT", "OPTS UTF8 ON"},
			"-", 0,
		},
		{
			"account, none given", func(f *fakeserver.Server) { f.On["PASS"] = fakeserver.Says("332 account?") },
			&client.Options{User: "a", Password: "b"},
			[]string{"USER a", "PASS b"},
			"PASS", 332,
		},
		{"wrong password", func(f *fakeserver.Server) { f.On["PASS"] = fakeserver.Says("530 no") }, nil, nil, "PASS", 530},
		{"too many", func(f *fakeserver.Server) { f.On["PASS"] = fakeserver.Says("421 too many") }, nil, nil, "PASS", 421},
		{"refused greeting", func(f *fakeserver.Server) { f.Greeting = "530 not you\r\n" }, nil, nil, "", 530},
		{"421 greeting", func(f *fakeserver.Server) { f.Greeting = "421 full\r\n" }, nil, nil, "", 421},
		{"120 first", func(f *fakeserver.Server) { f.Greeting = "120 wait\r\n220 now\r\n" }, nil, nil, "-", 0},
		{"foreign inner line", func(f *fakeserver.Server) {
			f.Greeting = "220-hello\r\n221 not the end\r\n220- nor this\r\n220 end\r\n"
		}, nil, nil, "-", 0},
		{"LF only", func(f *fakeserver.Server) { f.Greeting = "220-hello\n220 end\n" }, nil, nil, "-", 0},
		{"glued", func(f *fakeserver.Server) { f.Greeting = "220-hello\r\n220 end\r\n" }, nil, nil, "-", 0},
		{"no FEAT", func(f *fakeserver.Server) { f.Feat = nil }, nil, []string{"USER anonymous", "PASS anonymous@", "FEAT", "OPTS UTF8 ON"}, "-", 0},
		{"UTF8 refused", func(f *fakeserver.Server) { f.On["OPTS"] = fakeserver.Says("501 no") }, nil, nil, "-", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, tt.set)
			c, err := client.Dial(t.Context(), f.Addr, tt.opts)
			if tt.verb == "-" {
				if err != nil {
					t.Fatalf("Dial: %v", err)
				}
				if !c.Alive() || c.Greeting().Code != 220 {
					t.Errorf("alive %v, greeting %v", c.Alive(), c.Greeting())
				}
				if tt.want != nil && !slices.Equal(f.Commands(), tt.want) {
					t.Errorf("commands %q, want %q", f.Commands(), tt.want)
				}
				_ = c.Close()
				return
			}
			var reply *ftp.Error
			if !errors.As(err, &reply) || reply.Verb != tt.verb || reply.Code != tt.code {
				t.Fatalf("Dial: %v (%+v)", err, reply)
			}
			if tt.want != nil && !slices.Equal(f.Commands(), tt.want) {
				t.Errorf("commands %q, want %q", f.Commands(), tt.want)
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	nobody := testutil.ClosedPort(t).String()
	var connect *client.ConnectError
	if _, err := client.Dial(t.Context(), nobody, nil); !errors.As(err, &connect) || connect.Addr != nobody {
		t.Errorf("no server: %v", err)
	}
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Greeting = "" })
	_, err := client.Dial(t.Context(), f.Addr, &client.Options{Timeout: 50 * time.Millisecond})
	if !errors.As(err, &connect) || !errors.Is(err, client.ErrTimeout) {
		t.Errorf("silent server: %v", err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := client.Dial(ctx, f.Addr, nil); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
	waiting := make(chan struct{})
	slow := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["USER"] = func(s *fakeserver.Session, _ string) { close(waiting); s.Next() }
	})
	ctx, cancel = context.WithCancelCause(t.Context())
	go func() { <-waiting; cancel(cause) }()
	if _, err := client.Dial(ctx, slow.Addr, nil); !errors.Is(err, cause) {
		t.Errorf("cancelled at the login: %v", err)
	}
	hangUp := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["USER"] = func(s *fakeserver.Session, _ string) { _ = s.Conn.Close() }
	})
	var dead *client.DeadError
	if _, err := client.Dial(t.Context(), hangUp.Addr, nil); !errors.As(err, &dead) {
		t.Errorf("closed by the server: %v", err)
	}
}

func TestDialRefusesLineBreaks(t *testing.T) {
	f := fakeserver.New(t, nil)
	for _, o := range []client.Options{{User: "a\r\nDELE x"}, {User: "a", Password: "b\nDELE x"}, {User: "a", Account: "c\x00"}} {
		if _, err := client.Dial(t.Context(), f.Addr, &o); !errors.Is(err, ftp.ErrLineBreak) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if got := f.Commands(); len(got) != 0 {
		t.Errorf("the server got %q", got)
	}
}

// Endless replies of a hostile server do not exhaust the client's memory: it gives up.
func TestEndlessReplies(t *testing.T) {
	for name, chunk := range map[string]string{
		"lines":    strings.Repeat("220-still not the end\r\n", 4096),
		"one line": strings.Repeat("x", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			var sent int
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				for sent < 400<<20 {
					n, err := io.WriteString(conn, chunk)
					sent += n
					if err != nil {
						return
					}
				}
			}()
			_, err = client.Dial(t.Context(), ln.Addr().String(), nil)
			<-done
			if !errors.Is(err, ftp.ErrReplyTooLong) && !errors.Is(err, ftp.ErrLineTooLong) && !errors.Is(err, ftp.ErrSyntax) {
				t.Errorf("Dial: %v", err)
			}
			if sent >= 100<<20 {
				t.Errorf("the client accepted %d bytes", sent)
			}
		})
	}
}

// TestListLoop checks that the Client can be used in the loop over a listing, that the rest of the listing is not
// lost, and that a second listing can run within the first.
func TestListLoop(t *testing.T) {
	const n = 3000
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "-rw-r--r-- 1 a b 5 Jan  1 2020 f%04d\r\n", i)
	}
	list.WriteString("what is this?\r\n")
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Dirs[""] = list.String() })
	c := dial(t, f, nil)
	seen, odd, inner := 0, 0, 0
	for e, err := range c.List(t.Context(), "") {
		if err != nil {
			odd++
			continue
		}
		if e.Name != fmt.Sprintf("f%04d", seen) {
			t.Fatalf("got %s as entry %d", e.Name, seen)
		}
		if seen++; seen != 10 {
			continue
		}
		if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
			t.Errorf("Pwd in the loop: %q, %v", dir, err)
		}
		for range c.List(t.Context(), "") {
			if inner++; inner == 5 {
				break
			}
		}
	}
	if seen != n || odd != 1 || inner != 5 {
		t.Errorf("%d entries, %d errors, %d entries of the inner listing", seen, odd, inner)
	}
	if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
		t.Errorf("Pwd after it: %q, %v", dir, err)
	}
}

// A Client that is closed in the loop over a listing does not read the rest of it.
func TestCloseInListLoop(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["LIST"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here")
			conn := s.Data()
			_, _ = io.WriteString(conn, "-rw-r--r-- 1 a b 5 Jan  1 2020 x\r\n")
			_, _ = io.Copy(io.Discard, s.In) // never ends the listing
			_ = conn.Close()
		}
	})
	c := dial(t, f, nil)
	ended := false
	for _, err := range c.List(t.Context(), "") {
		if err == nil {
			_ = c.Close()
		}
		ended = err != nil
	}
	if !ended {
		t.Error("the listing ended without an error")
	}
}

func TestDead(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["NOOP"] = func(s *fakeserver.Session, _ string) { s.Raw("200 ok\r\n421 going down\r\n"); _ = s.Conn.Close() }
	})
	c := dial(t, f, nil)
	if _, err := c.Command(t.Context(), "noop", ""); err != nil {
		t.Fatal(err)
	}
	for c.Alive() {
		// The client notices the 421 without sending a command.
	}
	for range 2 {
		_, err := c.Pwd(t.Context())
		var dead *client.DeadError
		var reply *ftp.Error
		if !errors.As(err, &dead) || !errors.As(err, &reply) || reply.Code != 421 {
			t.Errorf("Pwd: %v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	f := fakeserver.New(t, nil)
	c := dial(t, f, nil)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if f.Count("QUIT") != 1 {
		t.Errorf("commands %q", f.Commands())
	}
	if _, err := c.Pwd(t.Context()); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Pwd: %v", err)
	}
}

func TestCommand(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["STAT"] = fakeserver.Says("211-a\r\n b\r\n211 c")
		f.On["HELP"] = fakeserver.Says("502 no")
	})
	c := dial(t, f, nil)
	r, err := c.Command(t.Context(), "stat", "")
	if err != nil || r.Text() != "a\n b\nc" {
		t.Errorf("STAT: %v, %v", r, err)
	}
	var reply *ftp.Error
	if _, err := c.Command(t.Context(), "HELP", ""); !errors.As(err, &reply) || reply.Code != 502 || reply.Verb != "HELP" {
		t.Errorf("HELP: %v", err)
	}
	for _, verb := range []string{"RETR", "list", "PASV", "PORT", "MODE", "AUTH"} {
		if _, err := c.Command(t.Context(), verb, "x"); err == nil {
			t.Errorf("%s was not rejected", verb)
		}
	}
	if _, err := c.Command(t.Context(), "NOOP", "\r\nDELE x"); !errors.Is(err, ftp.ErrLineBreak) {
		t.Errorf("line break: %v", err)
	}
	if f.Count("DELE")+f.Count("RETR")+f.Count("PASV") != 0 || !c.Alive() {
		t.Errorf("commands %q", f.Commands())
	}
}

// The reply to a cancelled command is not mistaken for that of the next one.
func TestCancelledCommand(t *testing.T) {
	came, goOn := make(chan struct{}), make(chan struct{})
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["NOOP"] = func(s *fakeserver.Session, _ string) { close(came); <-goOn; s.Say("200 late") }
	})
	c := dial(t, f, nil)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-came; cancel(cause); close(goOn) }()
	if _, err := c.Command(ctx, "NOOP", ""); err != nil && !errors.Is(err, cause) {
		t.Errorf("NOOP: %v", err)
	}
	if dir, err := c.Pwd(t.Context()); err != nil || dir != "/" {
		t.Errorf("Pwd: %q, %v", dir, err)
	}
}

// earlyDeadline is a context whose deadline a dialer notices slightly before the context ends.
type earlyDeadline struct {
	context.Context
	at time.Time
}

func (c earlyDeadline) Deadline() (time.Time, bool) { return c.at, true }

// If the caller's own deadline ends a dial, Dial returns the cause of the context, also if the dialer notices the
// deadline first. It is not reported as the Timeout of the Options.
func TestDialDeadlineOfCaller(t *testing.T) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	o := &client.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		time.AfterFunc(20*time.Millisecond, func() { cancel(enough) })
		return nil, os.ErrDeadlineExceeded
	}}
	_, err := client.Dial(earlyDeadline{ctx, time.Now()}, "127.0.0.1:1", o)
	if !errors.Is(err, enough) || errors.Is(err, client.ErrTimeout) {
		t.Errorf("got %v, want %v", err, enough)
	}
}
