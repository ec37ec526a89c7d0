package client_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

var errEnough = errors.New("enough")

func TestRetrieveAndStore(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = thousand; f.Files["empty"] = "" })
			c := dial(t, f, &client.Options{Mode: mode})
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
			if got, _ := f.File("up"); got != thousand+"more" {
				t.Errorf("stored %d bytes", len(got))
			}
			res, err = c.StoreWith(t.Context(), client.Transfer{Path: "up", Offset: 990}, strings.NewReader("tail"))
			if got, _ := f.File("up"); err != nil || got != thousand[:990]+"tail" {
				t.Errorf("Store at 990: %+v, %v, %d bytes", res, err, len(got))
			}
			if n, err := c.Store(t.Context(), "none", strings.NewReader("")); n != 0 || err != nil {
				t.Errorf("Store of nothing: %d, %v", n, err)
			}
			if _, ok := f.File("none"); !ok {
				t.Error("the empty file was not created")
			}
			var reply *ftp.Error
			if _, err := c.Retrieve(t.Context(), "nope", io.Discard); !errors.As(err, &reply) || !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a missing file: %v", err)
			}
			if f.Count("TYPE") != 1 {
				t.Errorf("commands %q", f.Commands())
			}
		})
	}
}

func TestRetrieveFromOffset(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = thousand })
	c := dial(t, f, nil)
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

// A restart point must not apply to a later transfer.
func TestRestartPointIsTakenBack(t *testing.T) {
	refuse := true
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a"] = thousand
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			if refuse {
				refuse = false
				s.Say("550 not now")
				return
			}
			s.Behave("RETR", arg)
		}
	})
	c := dial(t, f, nil)
	if _, err := c.Command(t.Context(), "REST", "990"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var got bytes.Buffer
		if _, err := c.Retrieve(t.Context(), "a", &got); err == nil && got.String() != thousand {
			t.Errorf("%d bytes", got.Len())
		}
	}
	if !slices.Contains(f.Commands(), "REST 0") {
		t.Errorf("commands %q", f.Commands())
	}
}

func TestASCII(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = "one\r\ntwo\r\n" })
	c := dial(t, f, nil)
	var got bytes.Buffer
	res, err := c.RetrieveWith(t.Context(), client.Transfer{Path: "a", ASCII: true, Size: 8}, &got)
	if err != nil || got.String() != "one\ntwo\n" || res.Verified != "reply" {
		t.Errorf("Retrieve: %q, %+v, %v", got.String(), res, err)
	}
	if _, err := c.StoreWith(t.Context(), client.Transfer{Path: "b", ASCII: true}, strings.NewReader("x\ny\n")); err != nil {
		t.Error(err)
	}
	if text, _ := f.File("b"); text != "x\r\ny\r\n" {
		t.Errorf("stored %q", text)
	}
	if f.Count("TYPE") != 0 || f.Count("SIZE") != 0 {
		t.Errorf("commands %q", f.Commands())
	}
}

func TestStoreUnique(t *testing.T) {
	for first, want := range map[string]string{
		"150 FILE: new.1":   "new.1",
		"125 file: new.2 ":  "new.2",
		"150 Opening, well": "",
	} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.On["STOU"] = func(s *fakeserver.Session, _ string) {
				s.Say(first)
				_, _ = io.Copy(io.Discard, s.Data())
				s.Say("226 done")
			}
		})
		c := dial(t, f, nil)
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

// An upload whose source fails must not look whole to the server.
func TestFailedUploadIsReset(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		f := fakeserver.New(t, nil)
		c := dial(t, f, &client.Options{Mode: mode})
		var local *client.LocalError
		_, err := c.Store(t.Context(), "up", &brokenReader{n: 100, err: errEnough})
		if !errors.As(err, &local) || !errors.Is(err, errEnough) {
			t.Errorf("%v: Store: %v", mode, err)
		}
		if _, err := c.Pwd(t.Context()); err != nil {
			t.Errorf("%v: Pwd: %v", mode, err)
		}
		if text, ok := f.File("up"); ok {
			t.Errorf("%v: the server stored the %d bytes as a whole file", mode, len(text))
		}
	}
}

// fullWriter fails after some bytes, like a full disk.
type fullWriter struct{ left int }

func (w *fullWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, errEnough
	}
	w.left -= len(b)
	return len(b), nil
}

func TestFailedDestination(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = strings.Repeat(thousand, 10000) })
	c := dial(t, f, nil)
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
		stor func(s *fakeserver.Session)
		code ftp.Code
	}{
		{"at once", func(s *fakeserver.Session) { s.Say("553 no") }, 553},
		{"disk full", func(s *fakeserver.Session) {
			s.Say("150 give")
			c := s.Data()
			_, _ = io.ReadFull(c, make([]byte, 10))
			s.Say("552 full")
			_ = c.Close()
		}, 552},
		{"full, data first", func(s *fakeserver.Session) {
			s.Say("150 give")
			c := s.Data()
			_, _ = io.ReadFull(c, make([]byte, 10))
			_ = c.Close()
			s.Say("452 full")
		}, 452},
		{"at the end", func(s *fakeserver.Session) { s.Say("150 give"); _, _ = io.Copy(io.Discard, s.Data()); s.Say("451 no") }, 451},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) { f.On["STOR"] = func(s *fakeserver.Session, _ string) { tt.stor(s) } })
			c := dial(t, f, nil)
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

// No byte is sent before the server says that it accepts the file.
func TestUploadWaitsForTheReply(t *testing.T) {
	early := make(chan int, 1)
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["STOR"] = func(s *fakeserver.Session, _ string) {
			c := s.Data()
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			n, _ := c.Read(make([]byte, 10))
			early <- n
			_ = c.SetReadDeadline(time.Time{})
			s.Say("150 give")
			_, _ = io.Copy(io.Discard, c)
			s.Say("226 got it")
		}
	})
	c := dial(t, f, nil)
	if n, err := c.Store(t.Context(), "up", strings.NewReader(thousand)); n != 1000 || err != nil {
		t.Errorf("Store: %d, %v", n, err)
	}
	if n := <-early; n != 0 {
		t.Errorf("%d bytes were sent before the 150", n)
	}
}
