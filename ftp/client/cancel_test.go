package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

func TestCancelRetrieve(t *testing.T) {
	abort := func(s *fakeserver.Session, c net.Conn) {
		if verb, _, _ := s.Next(); verb != "ABOR" {
			s.Errorf("the server got %q, not ABOR", verb)
		}
		_ = c.Close()
		s.Raw("426 aborted\r\n226 aborted\r\n")
	}
	tests := []struct {
		name string
		retr func(s *fakeserver.Session, cancel func())
	}{
		{"before the 150", func(s *fakeserver.Session, cancel func()) { c := s.Data(); cancel(); abort(s, c) }},
		{"before the data connection", func(s *fakeserver.Session, cancel func()) { s.Say("150 yes"); cancel(); abort(s, fakeserver.Gone()) }},
		{"in the data", func(s *fakeserver.Session, cancel func()) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand[:100])
			cancel()
			abort(s, c)
		}},
		{"before the 226", func(s *fakeserver.Session, cancel func()) {
			s.Say("150 yes")
			c := s.Data()
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
				f := fakeserver.New(t, func(f *fakeserver.Server) {
					f.Files["a"] = thousand
					f.On["RETR"] = func(s *fakeserver.Session, arg string) {
						if ctx.Err() == nil {
							tt.retr(s, func() { cancel(errEnough) })
							return
						}
						s.Behave("RETR", arg)
					}
				})
				c := dial(t, f, &client.Options{Mode: mode})
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

// A source whose Read never returns does not delay the cancel of an upload, and the server does not get a whole file.
func TestCancelUploadWithBlockedSource(t *testing.T) {
	f := fakeserver.New(t, nil)
	c := dial(t, f, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	src, feed := io.Pipe()
	go func() {
		_, _ = feed.Write([]byte(thousand)) // this is sent; then the source blocks
		cancel(errEnough)
	}()
	if _, err := c.Store(ctx, "up", src); !errors.Is(err, errEnough) {
		t.Errorf("Store: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
	if text, ok := f.File("up"); ok {
		t.Errorf("the server stored the %d bytes as a whole file", len(text))
	}
	_ = feed.Close()
}

// The connection to a server that does not answer ABOR is soon given up.
func TestAbortUnanswered(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a"] = thousand
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			cancel(errEnough)
			for {
				if _, _, ok := s.Next(); !ok {
					return
				}
			}
		}
	})
	c := dial(t, f, nil)
	if _, err := c.Retrieve(ctx, "a", io.Discard); !errors.Is(err, errEnough) {
		t.Errorf("Retrieve: %v", err)
	}
	if c.Alive() {
		t.Error("the client is alive, want dead")
	}
}

func TestOpen(t *testing.T) {
	big := strings.Repeat(thousand, 5000)
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"], f.Files["big"] = thousand, big })
	c := dial(t, f, nil)
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
		t.Errorf("a missing file: %v", err)
	}
	r, err := c.Open(t.Context(), "big", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if _, err := c.Pwd(t.Context()); !errors.Is(err, client.ErrBusy) {
		t.Errorf("Pwd while the reader is open: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close half way: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

// The reader of a file that was cut short never returns io.EOF.
func TestOpenShort(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a"] = thousand
		f.On["RETR"] = func(s *fakeserver.Session, _ string) { s.Say("150 yes"); s.Send(thousand[:400]); s.Say("226 done") }
	})
	c := dial(t, f, nil)
	r, err := c.Open(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if len(got) != 400 || !testutil.IsA[*client.TruncatedError](err) {
		t.Errorf("ReadAll: %d bytes, %v", len(got), err)
	}
	if err := r.Close(); !testutil.IsA[*client.TruncatedError](err) {
		t.Errorf("Close: %v", err)
	}
}

// A cancelled reader ends even if the caller does not read.
func TestOpenCancel(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["big"] = strings.Repeat(thousand, 5000) })
	c := dial(t, f, nil)
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

// Close ends a transfer that another goroutine is waiting for.
func TestCloseDuringTransfer(t *testing.T) {
	begun := make(chan struct{})
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a"] = thousand
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, "x")
			close(begun)
			s.Next()
			_ = c.Close()
		}
	})
	c := dial(t, f, nil)
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

func TestCreate(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["b"] = "0123456789" })
	c := dial(t, f, nil)
	for _, it := range []struct {
		name   string
		offset int64
		want   string
	}{{"a", 0, thousand + thousand}, {"b", 4, "0123" + thousand + thousand}} {
		w, err := c.Create(t.Context(), it.name, it.offset)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Pwd(t.Context()); !errors.Is(err, client.ErrBusy) {
			t.Errorf("Pwd while the writer is open: %v", err)
		}
		for range 2 {
			if n, err := io.WriteString(w, thousand); n != 1000 || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if text, _ := f.File(it.name); text != it.want {
			t.Errorf("%s holds %d bytes", it.name, len(text))
		}
	}
}

// If an upload fails, Create, Write or Close returns the error, and the server does not store the file as whole.
func TestCreateFails(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["STOR"] = func(s *fakeserver.Session, arg string) {
			switch arg {
			case "no":
				s.Say("553 no")
			case "full":
				s.Say("150 give")
				_, _ = io.ReadFull(s.Data(), make([]byte, 10))
				s.Say("452 full")
			default:
				s.Take("STOR", arg, "")
			}
		}
	})
	c := dial(t, f, nil)
	if _, err := c.Create(t.Context(), "no", 0); !refusedWithCode(err, 553) {
		t.Errorf("Create: %v", err)
	}
	w, err := c.Create(t.Context(), "full", 0)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = io.WriteString(w, thousand)
	}
	if closed := w.Close(); !refusedWithCode(err, 452) || !refusedWithCode(closed, 452) {
		t.Errorf("Write: %v, Close: %v", err, closed)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if w, err = c.Create(ctx, "cut", 0); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, thousand)
	cancel(errEnough)
	if err := w.Close(); !errors.Is(err, errEnough) {
		t.Errorf("Close: %v", err)
	}
	if _, ok := f.File("cut"); ok {
		t.Error("the server stored part of a cancelled upload as a whole file")
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

func refusedWithCode(err error, code ftp.Code) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == code
}

// TestCancelledDownloadIsReset checks that the server sees a reset rather than the end of the connection. Under TLS,
// ProFTPD ends the session if it writes to a data connection that was closed (EPIPE), but not if it was reset.
func TestCancelledDownloadIsReset(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	ends := make(chan error, 1)
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand[:100])
			_, err := c.Read(make([]byte, 1))
			ends <- err
			s.Next() // ABOR
			_ = c.Close()
			s.Raw("426 aborted\r\n226 aborted\r\n")
		}
	})
	c := dial(t, f, &client.Options{Mode: ftp.Passive})
	if _, err := c.Retrieve(ctx, "a", cancelling{cancel}); !errors.Is(err, errEnough) {
		t.Errorf("Retrieve: %v", err)
	}
	if err := <-ends; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the data connection ended with %v, not with a reset", err)
	}
	if !c.Alive() {
		t.Error("the client is dead")
	}
}
