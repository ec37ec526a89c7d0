package ftpfs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/ftptest"
)

// busyFs returns a tree with n files that are being read by idle readers.
func busyFs(t *testing.T, size, reserve, readers int) (*ftpfs.Fs, []afero.File) {
	t.Helper()
	files := fsroot.NewMem()
	put(t, files, "/big", strings.Repeat("x", 4<<20))
	srv := ftptest.NewServer(t, files)
	p := client.NewPool(srv.Addr, size, nil)
	t.Cleanup(func() { _ = p.Close() })
	f, err := ftpfs.New(t.Context(), p, "/")
	if err != nil {
		t.Fatal(err)
	}
	f.Reserve = reserve
	var open []afero.File
	for range readers {
		r, err := f.Open("/big")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() }) // runs before the Pool is closed
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	f.Wait = 200 * time.Millisecond
	return f, open
}

// Idle readers leave connections to other operations. One more reader waits, but not forever, until another one is
// closed.
func TestFsReserve(t *testing.T) {
	t.Parallel()
	f, open := busyFs(t, 4, 1, 3)
	if _, err := f.Stat("/big"); err != nil {
		t.Error(err)
	}
	late, err := f.Open("/big")
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if _, err := late.Read(make([]byte, 10)); !errors.Is(err, client.ErrNoneFree) {
		t.Errorf("one reader too many: %v", err)
	}
	if err := afero.WriteFile(f, "/new", []byte("x"), 0o644); !errors.Is(err, client.ErrNoneFree) {
		t.Errorf("a writer too many: %v", err)
	}
	_ = open[0].Close()
	if n, err := io.ReadFull(late, make([]byte, 10)); err != nil || n != 10 {
		t.Errorf("%d, %v after another one was closed", n, err)
	}
}

// If all connections are in use, an operation waits no longer than Wait.
func TestFsWait(t *testing.T) {
	f, open := busyFs(t, 2, 0, 2)
	if _, err := f.Stat("/big"); !errors.Is(err, client.ErrNoneFree) {
		t.Error(err)
	}
	_ = open[0].Close()
	if _, err := f.Stat("/big"); err != nil {
		t.Error(err)
	}
}

// Wait limits the wait for a connection that is in use, not the dialing of a new one.
func TestFsWaitsForSlowDial(t *testing.T) {
	files := fsroot.NewMem()
	put(t, files, "/f", "x")
	srv := ftptest.NewServer(t, files)
	o := &client.Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		time.Sleep(50 * time.Millisecond)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	p := client.NewPool(srv.Addr, 2, o)
	t.Cleanup(func() { _ = p.Close() })
	f, err := ftpfs.New(t.Context(), p, "/")
	if err != nil {
		t.Fatal(err)
	}
	f.Wait = 10 * time.Millisecond
	r, err := f.Open("/f")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := f.Stat("/f"); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if _, err := f.Stat("/f"); err != nil { // over a second connection
		t.Error(err)
	}
}

// Quit ends waits, and nothing else.
func TestFsQuit(t *testing.T) {
	f, open := busyFs(t, 2, 1, 1)
	ctx, quit := context.WithCancel(t.Context())
	f.Quit, f.Wait = ctx, time.Hour
	late, err := f.Open("/big")
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	time.AfterFunc(20*time.Millisecond, quit)
	if _, err := late.Read(make([]byte, 10)); err == nil || errors.Is(err, client.ErrNoneFree) {
		t.Error(err)
	}
	if n, err := io.Copy(io.Discard, open[0]); err != nil || n != 4<<20-10 {
		t.Errorf("%d bytes, %v after Quit", n, err)
	}
}
