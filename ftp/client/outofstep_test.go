package client_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

// TestReplyMustFit checks that a reply which can't belong to its command ends the connection, because later replies
// can't be matched either. Unusual but possible replies do not.
func TestReplyMustFit(t *testing.T) {
	for _, tt := range []struct {
		verb, reply string
		fits        bool
	}{
		{"SIZE", "226 transfer complete", false},
		{"SIZE", "250 done", false},
		{"SIZE", "257 \"/\"", false},
		{"SIZE", "213 1", true},
		{"SIZE", "550 no", true},
		{"SIZE", "200 whatever", true},
		{"CWD", "226 closing", false},
		{"CWD", "229 (|||5|)", false},
		{"CWD", "200 ok", true},
		{"NOOP", "226 done", false},
		{"NOOP", "225 aborted", false},
		{"NOOP", "250 ok", true},
		{"NOOP", "500 what?", true},
		{"DELE", "213 20240102030405", false},
		{"DELE", "257 \"/\"", false},
		{"DELE", "202 ok", true},
		{"MDTM", "226 done", false},
		{"RNFR", "250 done", false},
		{"RNFR", "350 to?", true},
		{"MLST", "226 done", false},
		{"SITE", "229 (|||5|)", false},
		{"SITE", "211 help", true},
		{"RETR", "213 5", false},
		{"RETR", "257 \"/\"", false},
		{"RETR", "229 (|||5|)", false},
		{"RETR", "350 what?", true},
		{"STOR", "213 5", false},
		{"LIST", "257 \"/\"", false},
	} {
		t.Run(tt.verb+" "+tt.reply[:3], func(t *testing.T) {
			t.Parallel()
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"] = "x"
				f.Feat = append(f.Feat, "MLST")
				f.On[tt.verb] = func(s *fakeserver.Session, _ string) { s.Say(tt.reply) }
			})
			c := dial(t, f, nil)
			ctx := t.Context()
			call := map[string]func() error{
				"SIZE": func() error { _, err := c.Size(ctx, "/f"); return err },
				"CWD":  func() error { return c.ChangeDir(ctx, "/") },
				"DELE": func() error { return c.Delete(ctx, "/f") },
				"MDTM": func() error { _, err := c.ModTime(ctx, "/f"); return err },
				"RNFR": func() error { return c.Rename(ctx, "/f", "/g") },
				"MLST": func() error { _, err := c.Stat(ctx, "/f"); return err },
				"RETR": func() error { _, err := c.Retrieve(ctx, "/f", io.Discard); return err },
				"STOR": func() error { _, err := c.Store(ctx, "/f", strings.NewReader("y")); return err },
				"LIST": func() error { _, errs := collect(t, c, "/"); return errors.Join(errs...) },
			}[tt.verb]
			if call == nil {
				call = func() error { _, err := c.Command(ctx, tt.verb, ""); return err }
			}
			if tt.verb == "LIST" {
				f.Feat = nil
				c = dial(t, f, nil)
			}
			err := call()
			if errors.Is(err, client.ErrOutOfStep) == tt.fits || c.Alive() != tt.fits {
				t.Errorf("%v, alive: %v", err, c.Alive())
			}
			if !tt.fits && !client.Temporary(err) {
				t.Errorf("the error is not temporary: %v", err)
			}
		})
	}
}

// abortAnd makes a fake server send part of a file, wait for ABOR and then do what the test says.
func abortAnd(f *fakeserver.Server, then func(s *fakeserver.Session)) {
	f.On["RETR"] = func(s *fakeserver.Session, arg string) {
		s.Say("150 here it comes")
		conn := s.Data()
		text, _ := s.Server.File(arg)
		_, _ = io.WriteString(conn, text[:1000])
		verb, _, _ := s.Next()
		_ = conn.Close()
		if verb == "ABOR" {
			then(s)
		}
	}
}

// TestRepliesToABOR checks that later replies answer their own commands, however many replies a server sends for a
// transfer and its ABOR. If the Client can't know, it is dead.
func TestRepliesToABOR(t *testing.T) {
	for _, tt := range []struct {
		name  string
		then  func(s *fakeserver.Session)
		alive bool
	}{
		{"two", func(s *fakeserver.Session) { s.Say("426 aborted"); s.Say("226 done") }, true},
		{"one", func(s *fakeserver.Session) { s.Say("226 aborted") }, true},
		{"two good ones", func(s *fakeserver.Session) { s.Say("226 sent"); s.Say("225 nothing to abort") }, true},
		{"the third late", func(s *fakeserver.Session) {
			s.Say("426 aborted")
			s.Say("226 closing")
			if verb, _, _ := s.Next(); verb != "PWD" { // the client sends PWD to find out where the replies are
				s.Errorf("got %s, want PWD", verb)
			}
			s.Say("225 ABOR command successful")
			s.Behave("PWD", "")
		}, true},
		{"unknown, after the transfer's", func(s *fakeserver.Session) { s.Say("426 broken"); s.Say("500 ABOR?") }, true},
		{"unknown, and the transfer's is to come", func(s *fakeserver.Session) { s.Say("502 ABOR?") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"] = strings.Repeat("x", 1<<20)
				f.Files["/a"], f.Files["/b"] = "1", "22"
				abortAnd(f, tt.then)
			})
			c := dial(t, f, nil)
			r, err := c.Open(t.Context(), "/f", 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.ReadFull(r, make([]byte, 10))
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if c.Alive() != tt.alive {
				t.Fatalf("alive: %v", c.Alive())
			}
			for path, want := range map[string]int64{"/a": 1, "/b": 2} {
				if n, err := c.Size(t.Context(), path); tt.alive && (err != nil || n != want) {
					t.Errorf("SIZE %s: %d, %v", path, n, err)
				}
			}
		})
	}
}

// TestStalledWithoutABOR checks that a stalled transfer is reported as stalled and temporary, whatever a server that
// does not support ABOR replies.
func TestStalledWithoutABOR(t *testing.T) {
	t.Parallel()
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = strings.Repeat("x", 1<<20)
		abortAnd(f, func(s *fakeserver.Session) { s.Say("500 ABOR not understood") })
	})
	c := dial(t, f, &client.Options{Timeout: 3 * time.Second})
	_, err := c.Retrieve(t.Context(), "/f", io.Discard)
	var cut *client.TruncatedError
	if !errors.As(err, &cut) || strings.Contains(err.Error(), "ABOR") || !client.Temporary(err) {
		t.Errorf("%T %v", err, err)
	}
}

// TestNOOPAnswered250 checks that a 250 in reply to NOOP does not end a transfer.
func TestNOOPAnswered250(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "half of it and the rest"
		f.On["STOR"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 give")
			data := s.Data()
			if verb, _, _ := s.Next(); verb == "NOOP" {
				s.Say("250 NOOP ok")
			}
			b, _ := io.ReadAll(data)
			_ = data.Close()
			s.Server.SetFile(arg, string(b))
			s.Say("226 got it")
		}
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 here it comes")
			data := s.Data()
			text, _ := s.Server.File(arg)
			_, _ = io.WriteString(data, text[:4])
			if verb, _, _ := s.Next(); verb == "NOOP" {
				s.Say("250 NOOP ok")
			}
			_, _ = io.WriteString(data, text[4:])
			_ = data.Close()
			s.Say("451 the disk is broken")
		}
	})
	c := dial(t, f, &client.Options{KeepAlive: 30 * time.Millisecond, Timeout: 5 * time.Second})
	pr, pw := io.Pipe()
	go func() {
		for f.Count("NOOP") == 0 {
			_, _ = io.WriteString(pw, strings.Repeat("y", 1000))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		_, _ = io.WriteString(pw, "the end")
		_ = pw.Close()
	}()
	n, err := c.Store(t.Context(), "/g", pr)
	if got, _ := f.File("/g"); err != nil || n != int64(len(got)) || !strings.HasSuffix(got, "the end") {
		t.Errorf("Store: %d sent, %d stored, %v", n, len(got), err)
	}
	var no *ftp.Error
	if _, err := c.Retrieve(t.Context(), "/f", io.Discard); !errors.As(err, &no) || no.Code != 451 {
		t.Errorf("Retrieve: %v", err)
	}
	if n, err := c.Size(t.Context(), "/f"); err != nil || n != 23 {
		t.Errorf("SIZE: %d, %v", n, err)
	}
}

// TestTransferAnswered3xx checks that a 3xx reply to a transfer is an error with the server's text. A 332 is answered
// by ACCT if an account is known.
func TestTransferAnswered3xx(t *testing.T) {
	for _, tt := range []struct {
		reply, account string
		works          bool
	}{{"332 need account", "", false}, {"332 need account", "acme", true}, {"350 go on", "acme", false}, {"331 who?", "", false}} {
		t.Run(tt.reply[:3]+tt.account, func(t *testing.T) {
			t.Parallel()
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["/f"], f.Dirs["/d"] = "x", "type=file;size=1; f\r\n"
				f.Feat = append(f.Feat, "MLST")
				for _, verb := range []string{"RETR", "STOR", "MLSD", "DELE"} {
					asked := false
					f.On[verb] = func(s *fakeserver.Session, arg string) {
						if !asked || !tt.works {
							asked = true
							s.Say(tt.reply)
							return
						}
						s.Behave(verb, arg)
					}
				}
				f.On["ACCT"] = func(s *fakeserver.Session, _ string) { s.Say("230 thank you") }
			})
			c := dial(t, f, &client.Options{Account: tt.account, Timeout: 5 * time.Second})
			ctx := t.Context()
			for name, call := range map[string]func() error{
				"RETR": func() error { _, err := c.Retrieve(ctx, "/f", io.Discard); return err },
				"STOR": func() error { _, err := c.Store(ctx, "/g", io.MultiReader(strings.NewReader("y"))); return err },
				"MLSD": func() error { _, errs := collect(t, c, "/d"); return errors.Join(errs...) },
			} {
				err := call()
				var no *ftp.Error
				if (err == nil) != tt.works || err != nil && (!errors.As(err, &no) || !strings.HasPrefix(tt.reply, fmt.Sprint(no.Code))) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if tt.reply[:3] == "332" {
				if err := c.Delete(ctx, "/f"); (err == nil) != tt.works {
					t.Errorf("DELE: %v", err)
				}
			}
		})
	}
}
