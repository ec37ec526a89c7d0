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
