package pi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// scripted starts a server that sends its first line as the greeting, and each further line as the
// reply to a command; "" means no reply. A line may hold several replies, and begin with a delay
// such as "2s ".
func scripted(t *testing.T, cfg pi.Config, lines ...string) (*pi.Conn, <-chan string) {
	t.Helper()
	here, there := net.Pipe()
	heard := make(chan string, 100)
	var server sync.WaitGroup
	server.Go(func() {
		defer there.Close()
		in := bufio.NewReader(there)
		for i, line := range lines {
			if i > 0 {
				cmd, err := in.ReadString('\n')
				if err != nil {
					return
				}
				heard <- strings.TrimSpace(cmd)
			}
			if wait, rest, _ := strings.Cut(line, " "); line == "" {
				continue
			} else if d, err := time.ParseDuration(wait); err == nil {
				time.Sleep(d)
				line = rest
			}
			if _, err := io.WriteString(there, line+"\r\n"); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, in) // until the client closes the connection
	})
	c := pi.New(here, "there:21", cfg)
	t.Cleanup(func() {
		_ = c.Close()
		server.Wait()
	})
	return c, heard
}

func TestLogin(t *testing.T) {
	c, heard := scripted(t, pi.Config{}, "220 hello", "331 password", "332 account", "230 in")
	if r, err := c.Greeting(t.Context()); err != nil || r.Code != 220 {
		t.Fatal(r, err)
	}
	if err := c.Login(t.Context(), pi.User{Name: "anna", Password: "secret", Account: "acct"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"USER anna", "PASS secret", "ACCT acct"} {
		if got := <-heard; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if login := c.Machine().Login; login != ftp.LoggedIn {
		t.Errorf("the state of the login is %v", login)
	}
}

func TestLoginRefused(t *testing.T) {
	c, _ := scripted(t, pi.Config{}, "220 hello", "331 password", "530 no, not with secret")
	_, _ = c.Greeting(t.Context())
	err := c.Login(t.Context(), pi.User{Name: "anna", Password: "secret"})
	var no *ftp.Error
	if !errors.As(err, &no) || no.Verb != "PASS" || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if err := c.Login(t.Context(), pi.User{Name: "anna", Password: "sec\nret"}); !errors.Is(err, ftp.ErrLineBreak) || strings.Contains(err.Error(), "sec") {
		t.Error(err)
	}
}

// After a cancel, a watched connection can still be used; one that is not watched is closed.
func TestCancel(t *testing.T) {
	for _, watched := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := scripted(t, pi.Config{}, "220 hello", "2s 211 late", "200 done")
			_, _ = c.Greeting(t.Context())
			if watched {
				c.Watch()
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			time.AfterFunc(time.Second, func() { cancel(enough) })
			if _, err := c.Exchange(ctx, "STAT", ""); !errors.Is(err, enough) {
				t.Error(err)
			}
			if c.Alive() != watched {
				t.Errorf("watched %v: alive %v, %v", watched, c.Alive(), c.Err())
			}
			if !watched {
				return
			}
			if r, err := c.Do(t.Context(), "NOOP", ""); err != nil || r.Code != 200 {
				t.Error(r, err)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	for _, watched := range []bool{true, false} {
		for verb, limit := range map[string]time.Duration{"NOOP": time.Minute, "RNTO": time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				c, _ := scripted(t, pi.Config{Timeout: time.Minute, WorkTimeout: time.Hour}, "220 hello", "")
				_, _ = c.Greeting(t.Context())
				if watched {
					c.Watch()
				}
				start := time.Now()
				_, err := c.Exchange(t.Context(), verb, "x")
				if !errors.Is(err, pi.ErrTimeout) || time.Since(start) != limit || c.Err() == nil {
					t.Errorf("watched %v, %s: %v after %v", watched, verb, err, time.Since(start))
				}
			})
		}
	}
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, pi.Config{}, "220 hello", "")
		_, _ = c.Greeting(t.Context())
		start := time.Now()
		time.AfterFunc(time.Second, func() { c.SetPatience(2 * time.Second) })
		if _, err := c.Exchange(t.Context(), "NOOP", ""); !errors.Is(err, pi.ErrTimeout) || time.Since(start) != 3*time.Second {
			t.Error(err, time.Since(start))
		}
	})
}

func TestBatch(t *testing.T) {
	c, heard := scripted(t, pi.Config{}, "220 hello", "", "257 \"/\"\r\n213 5")
	_, _ = c.Greeting(t.Context())
	c.Watch()
	replies, err := c.Batch(t.Context(), ftp.Command{Verb: "PWD"}, ftp.Command{Verb: "SIZE", Arg: "f"})
	if err != nil || len(replies) != 2 || replies[1].Code != 213 {
		t.Error(replies, err)
	}
	if a, b := <-heard, <-heard; a != "PWD" || b != "SIZE f" {
		t.Error(a, b)
	}
	c, _ = scripted(t, pi.Config{}, "220 hello", "", "213 5\r\n257 \"/\"")
	_, _ = c.Greeting(t.Context())
	c.Watch()
	_, err = c.Batch(t.Context(), ftp.Command{Verb: "PWD"}, ftp.Command{Verb: "SIZE", Arg: "f"})
	if !errors.Is(err, pi.ErrOutOfStep) || c.Alive() {
		t.Error(err)
	}
}

func Test421(t *testing.T) {
	c, _ := scripted(t, pi.Config{}, "220 hello", "421 no more")
	_, _ = c.Greeting(t.Context())
	_, err := c.Do(t.Context(), "NOOP", "")
	var no *ftp.Error
	if !errors.As(err, &no) || no.Code != 421 || pi.IsReply(err) || c.Alive() {
		t.Error(err)
	}
	if _, again := c.Do(t.Context(), "NOOP", ""); !errors.As(again, new(*pi.DeadError)) {
		t.Error(again)
	}
}

// Bytes after the 234 that are not encrypted may be from an attacker on the network, and are refused.
func TestEarlyBytes(t *testing.T) {
	c, _ := scripted(t, pi.Config{}, "220 hello", "234 go on\r\n230 you are in")
	_, _ = c.Greeting(t.Context())
	if err := c.AuthTLS(t.Context()); !errors.As(err, new(*pi.TLSError)) || c.Alive() {
		t.Error(err)
	}
}

// A server that does not support ABOR may reply to the transfer at any time, so the connection is
// closed.
func TestAbort(t *testing.T) {
	retr := ftp.Command{Verb: "RETR", Arg: "f"}
	for _, tt := range []struct {
		name, abor, pwd string
		final           ftp.Code
		alive           bool
	}{
		{"RFC 959", "426 broken off\r\n226 done", "257 \"/\"", 426, true},
		{"one reply for both", "226 done", "257 \"/\"", 226, true},
		{"no ABOR", "502 what?", "257 \"/\"", 0, false},
		{"three replies", "426 broken off\r\n225 done\r\n226 done", "257 \"/\"", 426, true},
	} {
		c, _ := scripted(t, pi.Config{}, "220 hello", "150 here", tt.abor, tt.pwd)
		_, _ = c.Greeting(t.Context())
		c.Watch()
		if err := c.Send(retr); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Next(t.Context(), retr); err != nil || r.Code != 150 {
			t.Fatal(r, err)
		}
		final, err := c.Abort(t.Context(), retr, nil)
		if err != nil || final.Code != tt.final || c.Alive() != tt.alive {
			t.Errorf("%s: %v %v, alive %v", tt.name, final, err, c.Alive())
		}
	}
}

// Methods for watched connections have no effect on one that is not watched.
func TestNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, pi.Config{Timeout: time.Second}, "220 hello", "200 fine")
		_, _ = c.Greeting(t.Context())
		w := c.NewWait()
		<-w.C()
		if !w.Over() || c.Replies() != nil {
			t.Errorf("over %v, replies %v", w.Over(), c.Replies())
		}
		if _, err := c.Do(t.Context(), "NOOP", ""); err != nil {
			t.Error(err)
		}
		if err := c.Lost(); !errors.Is(err, pi.ErrClosed) || c.Alive() {
			t.Error(err)
		}
	})
}
