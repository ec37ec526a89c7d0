package client_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// answersNOOP returns a handler for RETR that expects two NOOPs during the transfer. each answers one of them, after
// runs after the final reply.
func answersNOOP(each func(s *fakeserver.Session), after func(s *fakeserver.Session, noops int)) func(s *fakeserver.Session, arg string) {
	return func(s *fakeserver.Session, _ string) {
		s.Say("150 here it comes")
		data := s.Data()
		for range 2 {
			if verb, _, _ := s.Next(); verb != "NOOP" {
				s.Errorf("got %s during a transfer, want NOOP", verb)
			}
			each(s)
		}
		_, _ = io.WriteString(data, thousand)
		_ = data.Close()
		s.Say("226 done")
		after(s, 2)
	}
}

// Servers answer NOOPs during a transfer at once, later, by a refusal, or never. No other command may get their
// replies.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	nothing := func(*fakeserver.Session) {}
	for name, retr := range map[string]func(*fakeserver.Session, string){
		"at once":   answersNOOP(func(s *fakeserver.Session) { s.Say("200 ok") }, func(*fakeserver.Session, int) {}),
		"unknown":   answersNOOP(func(s *fakeserver.Session) { s.Say("502 what?") }, func(*fakeserver.Session, int) {}),
		"never":     answersNOOP(nothing, func(*fakeserver.Session, int) {}),
		"one later": answersNOOP(nothing, func(s *fakeserver.Session, _ int) { s.Say("200 ok") }),
		"later": answersNOOP(nothing, func(s *fakeserver.Session, n int) {
			for range n {
				s.Say("200 ok")
			}
		}),
		"as 250, later": answersNOOP(nothing, func(s *fakeserver.Session, n int) {
			for range n {
				s.Say("250 ok")
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["a"], f.On["RETR"] = thousand, retr
			})
			c := dial(t, f, &client.Options{KeepAlive: time.Millisecond})
			for i := range 2 {
				n, err := c.Retrieve(t.Context(), "a", io.Discard)
				if n != 1000 || err != nil {
					t.Fatalf("%d bytes, %v", n, err)
				}
				if dir, err := c.Pwd(t.Context()); dir != "/" || err != nil {
					t.Errorf("Pwd: %q, %v", dir, err)
				}
				if n, err := c.Size(t.Context(), "a"); n != 1000 || err != nil {
					t.Errorf("Size: %d, %v", n, err)
				}
				if i == 0 && (name == "never" || name == "one later") { // the client sends no more of them
					f.On["RETR"] = nil
				}
			}
		})
	}
}

// After a cancelled transfer with NOOPs, replies and commands still match.
func TestKeepAliveCancelled(t *testing.T) {
	for _, late := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Files["a"] = thousand
			f.On["RETR"] = func(s *fakeserver.Session, _ string) {
				s.Say("150 here it comes")
				data := s.Data()
				noops := 0
				for {
					verb, _, ok := s.Next()
					if !ok {
						return
					}
					if verb == "ABOR" {
						break
					}
					if noops++; !late {
						s.Say("200 ok")
					}
					if noops == 2 {
						cancel(errEnough)
					}
				}
				_ = data.Close()
				s.Say("426 stopped")
				for range noops {
					if late {
						s.Say("200 ok")
					}
				}
				s.Say("226 as you like")
			}
		})
		c := dial(t, f, &client.Options{KeepAlive: time.Millisecond})
		if _, err := c.Retrieve(ctx, "a", io.Discard); !errors.Is(err, errEnough) {
			t.Errorf("late %v: %v", late, err)
		}
		if n, err := c.Size(t.Context(), "a"); n != 1000 || err != nil {
			t.Errorf("late %v: Size: %d, %v", late, n, err)
		}
	}
}

// latin1 is the Charset ISO 8859-1.
type latin1 struct{}

func (latin1) Encode(s string) (string, error) {
	var b []byte
	for _, r := range s {
		if r > 0xff {
			return "", errors.New("no such letter")
		}
		b = append(b, byte(r))
	}
	return string(b), nil
}

func (latin1) Decode(s string) string {
	var b []rune
	for i := range len(s) {
		b = append(b, rune(s[i]))
	}
	return string(b)
}

// Names in commands, replies and listings are encoded in the server's charset.
func TestCharset(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["caf\xe9"] = thousand
		f.Dirs["\xe9t\xe9"] = "-rw-r--r-- 1 p q 4 Jan 02 2024 caf\xe9\r\n"
		f.On["DELE"] = func(s *fakeserver.Session, _ string) { s.Say("550 o\xf9?") }
	})
	c := dial(t, f, &client.Options{Charset: latin1{}})
	if n := f.Count("OPTS"); n != 0 {
		t.Error("the client asked for UTF-8")
	}
	if n, err := c.Size(t.Context(), "café"); n != 1000 || err != nil {
		t.Errorf("Size: %d, %v", n, err)
	}
	entries, errs := collect(t, c, "été")
	if len(entries) != 1 || len(errs) != 0 || entries[0].Name != "café" {
		t.Errorf("%v %v", entries, errs)
	}
	if err := c.Delete(t.Context(), "€"); err == nil || f.Count("DELE") != 0 || !c.Alive() {
		t.Errorf("a name that can't be encoded: %v", err)
	}
	var no *ftp.Error
	if err := c.Delete(t.Context(), "nope"); !errors.As(err, &no) || no.Text() != "où?" {
		t.Errorf("the reply was not decoded: %v", err)
	}
}
