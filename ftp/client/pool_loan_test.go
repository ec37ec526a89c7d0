package client_test

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// oneAtATime makes a fake server refuse every login but the first while closed is set.
func oneAtATime(f *fakeserver.Server, closed *atomic.Bool) {
	var n atomic.Int32
	f.On["USER"] = func(s *fakeserver.Session, _ string) {
		if n.Add(1) > 1 && closed.Load() {
			s.Say("421 busy, try again in a second")
			return
		}
		s.Say("331 password?")
	}
}

// TestPoolGrowsAgain checks that a server that refused a connection is asked again after a while.
func TestPoolGrowsAgain(t *testing.T) {
	t.Parallel()
	before := client.ShrinkFor(200 * time.Millisecond)
	defer client.ShrinkFor(before)
	var closed atomic.Bool
	closed.Store(true)
	f := fakeserver.New(t, func(f *fakeserver.Server) { oneAtATime(f, &closed) })
	p := client.NewPool(f.Addr, 4, nil)
	t.Cleanup(func() { _ = p.Close() })
	a, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		b, err := p.Get(t.Context())
		if err == nil {
			p.Put(b)
		}
		got <- err
	}()
	for p.Size() != 1 {
		time.Sleep(time.Millisecond)
	}
	closed.Store(false)
	select { // while the first connection is still in use
	case err = <-got:
	case <-time.After(10 * time.Second):
		t.Fatal("no second connection was opened")
	}
	if err != nil || p.Size() != 4 {
		t.Errorf("size %d, %v", p.Size(), err)
	}
	p.Put(a)
}

// TestPutTwice checks that a connection which is put back twice is lent only once, and that the former borrower can't
// use it any more.
func TestPutTwice(t *testing.T) {
	f := fakeserver.New(t, nil)
	p := client.NewPool(f.Addr, 2, nil)
	t.Cleanup(func() { _ = p.Close() })
	get := func() *client.Client {
		t.Helper()
		c, err := p.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := get()
	p.Put(c)
	p.Put(c)
	x := get()
	p.Put(c) // while another caller has it
	y := get()
	if n := f.Count("USER"); n != 2 {
		t.Errorf("two connections are in use, but %d were made", n)
	}
	if _, err := c.Pwd(t.Context()); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Put: %v", err)
	}
	for _, c := range []*client.Client{x, y} {
		if _, err := c.Pwd(t.Context()); err != nil {
			t.Error(err)
		}
		p.Put(c)
	}
}

// TestFsCopyOnShrunkenPool checks a copy within one Fs whose reader has the only connection that the server allows:
// it fails instead of waiting forever.
func TestFsCopyOnShrunkenPool(t *testing.T) {
	var closed atomic.Bool
	closed.Store(true)
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		oneAtATime(f, &closed)
		f.Files["/f"] = strings.Repeat("x", 1<<20)
	})
	p := client.NewPool(f.Addr, 4, nil)
	t.Cleanup(func() { _ = p.Close() })
	fsys, err := ftpfs.New(t.Context(), p, "/")
	if err != nil {
		t.Fatal(err)
	}
	fsys.Wait = 200 * time.Millisecond
	r, err := fsys.Open("/f")
	if err != nil {
		t.Fatal(err)
	}
	w, err := fsys.Create("/g")
	if err == nil {
		if _, err = r.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if _, err = w.Write([]byte("x")); err == nil {
			err = w.Close()
		} else {
			_ = w.Close()
		}
	}
	if !errors.Is(err, client.ErrNoneFree) {
		t.Errorf("got %v", err)
	}
	_ = r.Close()
}

// TestWorkTimeout checks that a server may be silent for longer than Timeout while it processes a file, and that no
// upload is sent again because of that.
func TestWorkTimeout(t *testing.T) {
	testutil.Long(t)
	const timeout = 200 * time.Millisecond
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = append(f.Feat, "HASH SHA-256*")
		f.On["STOR"] = func(s *fakeserver.Session, arg string) {
			s.Say("150 give")
			data := s.Data()
			b, _ := io.ReadAll(data)
			_ = data.Close()
			time.Sleep(2 * timeout) // as a virus scan would
			s.Server.SetFile(arg, string(b))
			s.Say("226 got it")
		}
		f.On["HASH"] = func(s *fakeserver.Session, _ string) {
			time.Sleep(2 * timeout)
			s.Say("213 SHA-256 0-1 " + strings.Repeat("0", 64) + " f")
		}
		f.On["SIZE"] = func(s *fakeserver.Session, _ string) { time.Sleep(2 * timeout) }
	})
	c := dial(t, f, &client.Options{Timeout: timeout})
	if _, err := c.Store(t.Context(), "/f", strings.NewReader("x")); err != nil {
		t.Errorf("Store: %v", err)
	}
	if _, _, err := c.Hash(t.Context(), "/f", ""); err != nil {
		t.Errorf("Hash: %v", err)
	}
	if _, err := c.Size(t.Context(), "/f"); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("Size: %v", err)
	}
	c = dial(t, f, &client.Options{Timeout: timeout, WorkTimeout: timeout})
	if _, err := c.Store(t.Context(), "/f", strings.NewReader("x")); !errors.Is(err, client.ErrUnconfirmed) {
		t.Errorf("Store with a short WorkTimeout: %v", err)
	}
}

// TestPoolOfActivePorts checks that a Pool has no more connections than ports for their data.
func TestPoolOfActivePorts(t *testing.T) {
	fsys := afero.NewMemMapFs()
	if err := afero.WriteFile(fsys, "/f", testutil.Noise(100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, fsys)
	first := testutil.FreePorts(t, 2)
	o := &client.Options{Mode: ftp.Active, ActivePorts: dtp.PortRange{First: first, Last: first + 1}}
	p := client.NewPool(srv.Addr, 8, o)
	t.Cleanup(func() { _ = p.Close() })
	err := many(40, func(int) error {
		return p.Do(t.Context(), func(c *client.Client) error {
			_, err := c.Retrieve(t.Context(), "/f", io.Discard)
			return err
		})
	})
	if err != nil || p.Size() != 2 {
		t.Errorf("size %d, %v", p.Size(), err)
	}
	o.Mode = ftp.Passive
	if n := client.NewPool(srv.Addr, 8, o).Size(); n != 8 {
		t.Errorf("passive: size %d", n)
	}
}
