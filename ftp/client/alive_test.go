package client_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
)

// answersNOOP is a RETR during which two NOOPs have to come. each is what the server
// does with one of them, after what it says when the file is over.
func answersNOOP(each func(s *session), after func(s *session, noops int)) func(s *session, arg string) {
	return func(s *session, _ string) {
		s.say("150 here it comes")
		data := s.data()
		for range 2 {
			if verb, _, _ := s.next(); verb != "NOOP" {
				s.f.t.Errorf("%s came in a transfer", verb)
			}
			each(s)
		}
		_, _ = io.WriteString(data, thousand)
		_ = data.Close()
		s.say("226 done")
		after(s, 2)
	}
}

// NOOPs that keep the control connection alive are answered at once, later, with a no,
// or never: no other command gets their replies.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	nothing := func(*session) {}
	for name, retr := range map[string]func(*session, string){
		"at once":   answersNOOP(func(s *session) { s.say("200 ok") }, func(*session, int) {}),
		"unknown":   answersNOOP(func(s *session) { s.say("502 what?") }, func(*session, int) {}),
		"never":     answersNOOP(nothing, func(*session, int) {}),
		"one later": answersNOOP(nothing, func(s *session, _ int) { s.say("200 ok") }),
		"later": answersNOOP(nothing, func(s *session, n int) {
			for range n {
				s.say("200 ok")
			}
		}),
		"as 250, later": answersNOOP(nothing, func(s *session, n int) {
			for range n {
				s.say("250 ok")
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(f *fake) {
				f.files["a"], f.on["RETR"] = thousand, retr
			})
			c := f.dial(&client.Options{KeepAlive: time.Millisecond})
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
				if i == 0 && (name == "never" || name == "one later") { // no more of them
					f.on["RETR"] = nil
				}
			}
		})
	}
}

// Cancelled, it is in step afterwards, too.
func TestKeepAliveCancelled(t *testing.T) {
	for _, late := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := newFake(t, func(f *fake) {
			f.files["a"] = thousand
			f.on["RETR"] = func(s *session, _ string) {
				s.say("150 here it comes")
				data := s.data()
				noops := 0
				for {
					verb, _, ok := s.next()
					if !ok {
						return
					}
					if verb == "ABOR" {
						break
					}
					if noops++; !late {
						s.say("200 ok")
					}
					if noops == 2 {
						cancel(errEnough)
					}
				}
				_ = data.Close()
				s.say("426 stopped")
				for range noops {
					if late {
						s.say("200 ok")
					}
				}
				s.say("226 as you like")
			}
		})
		c := f.dial(&client.Options{KeepAlive: time.Millisecond})
		if _, err := c.Retrieve(ctx, "a", io.Discard); !errors.Is(err, errEnough) {
			t.Errorf("late %v: %v", late, err)
		}
		if n, err := c.Size(t.Context(), "a"); n != 1000 || err != nil {
			t.Errorf("late %v: Size: %d, %v", late, n, err)
		}
	}
}

// latin1 is a Charset.
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

// Every name, in commands, replies and listings, is in the server's charset.
func TestCharset(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.files["caf\xe9"] = thousand
		f.dirs["\xe9t\xe9"] = "-rw-r--r-- 1 p q 4 Jan 02 2024 caf\xe9\r\n"
		f.on["DELE"] = func(s *session, _ string) { s.say("550 o\xf9?") }
	})
	c := f.dial(&client.Options{Charset: latin1{}})
	if n := f.count("OPTS"); n != 0 {
		t.Error("UTF-8 is asked for")
	}
	if n, err := c.Size(t.Context(), "café"); n != 1000 || err != nil {
		t.Errorf("Size: %d, %v", n, err)
	}
	entries, errs := collect(t, c, "été")
	if len(entries) != 1 || len(errs) != 0 || entries[0].Name != "café" {
		t.Errorf("%v %v", entries, errs)
	}
	if err := c.Delete(t.Context(), "€"); err == nil || f.count("DELE") != 0 || !c.Alive() {
		t.Errorf("what can't be expressed: %v", err)
	}
	var no *ftp.Error
	if err := c.Delete(t.Context(), "nope"); !errors.As(err, &no) || no.Text() != "où?" {
		t.Errorf("a reply is not decoded: %v", err)
	}
}
