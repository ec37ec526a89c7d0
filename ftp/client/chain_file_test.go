package client_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
)

// Many files go over one control connection and one data connection, in both directions.
func TestChainOfFiles(t *testing.T) {
	srv := ftptest.NewServer(t, fsroot.NewMem())
	seen := &counting{}
	pool := client.NewPool(srv.Addr, 1, &client.Options{Observer: seen})
	defer pool.Close()
	ch := pool.Chain(t.Context())
	if ch == nil {
		t.Fatal("no chain")
	}
	here, back := afero.NewMemMapFs(), afero.NewMemMapFs()
	files := testutil.ManySmall(400)
	testutil.Grow(t, here, files)
	for i := range 2 {
		if err := srv.FS.MkdirAll([]string{"/x/000", "/x/001"}[i], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	each := func(do func(name, text string) (client.Result, error)) {
		t.Helper()
		var all sync.WaitGroup
		for name, text := range files {
			all.Go(func() {
				res, err := do(name, text)
				if err != nil || res.Bytes != int64(len(text)) || res.Final.Code != 226 {
					t.Errorf("%s: %+v, %v", name, res, err)
				}
			})
		}
		all.Wait()
	}
	each(func(name, _ string) (client.Result, error) {
		if err := here.Chtimes(name, old, old); err != nil {
			return client.Result{}, err
		}
		return ch.Upload(t.Context(), name, name, client.FileOptions{FS: here, KeepTime: true})
	})
	each(func(name, text string) (client.Result, error) {
		return ch.Download(t.Context(), name, name, client.FileOptions{
			FS:     back,
			Listed: ftp.Entry{Type: ftp.FileEntry, Size: int64(len(text)), Modified: old}, KeepTime: true,
		})
	})
	for name, text := range files {
		if got := testutil.Contents(t, back, name); got != text {
			t.Errorf("%s is %q", name, got)
		}
		there, err := srv.FS.Stat(name)
		if err != nil || !there.ModTime().Equal(old) {
			t.Errorf("%s: %v, %v", name, there, err)
		}
		if info, err := back.Stat(name); err != nil || !info.ModTime().Equal(old) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if n := seen.commands["STOR"] + seen.commands["RETR"]; n != 800 || seen.opened > 4 {
		t.Errorf("%d transfers over %d data connections", n, seen.opened)
	}
}

// An upload fails if the server reports another size than was sent, but not if it reports none.
func TestChainComparesSizes(t *testing.T) {
	srv := ftptest.NewServer(t, fsroot.NewMem())
	pool := client.NewPool(srv.Addr, 1, nil)
	defer pool.Close()
	ch := pool.Chain(t.Context())
	here := afero.NewMemMapFs()
	testutil.Grow(t, here, map[string]string{"/f": "text"})
	for name, tt := range map[string]struct {
		fault ftptest.Fault
		want  string
		err   error
	}{
		"same size":  {ftptest.Fault{}, "size and reply", nil},
		"another":    {ftptest.Reply(213, "3"), "", client.ErrNotChained},
		"no number":  {ftptest.Reply(213, "some"), "reply", nil},
		"is refused": {ftptest.Reply(550, "No."), "reply", nil},
		"hangs up":   {ftptest.HangUp(), "reply", nil},
	} {
		srv.Fail("SIZE", tt.fault)
		res, err := ch.Upload(t.Context(), "/f", "/f", client.FileOptions{FS: here})
		if !errors.Is(err, tt.err) || err == nil && res.Verified != tt.want {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

// A file that does not suit a chain is left to the ordinary way, and nothing is changed.
func TestNotChained(t *testing.T) {
	srv := ftptest.NewServer(t, fsroot.NewMem())
	testutil.Grow(t, srv.FS, map[string]string{"/f": "text", "/short": "text"})
	here := afero.NewMemMapFs()
	testutil.Grow(t, here, map[string]string{"/f": "here", "/big": strings.Repeat("x", client.ChainMost+1)})
	if err := here.Mkdir("/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	chain := func(o client.Options) *client.Chain {
		pool := client.NewPool(srv.Addr, 1, &o)
		t.Cleanup(func() { _ = pool.Close() })
		return pool.Chain(t.Context())
	}
	if chain(client.Options{TransferMode: client.StreamMode}) != nil {
		t.Error("got a chain in stream mode")
	}
	if chain(client.Options{User: "nobody", Password: "x"}) != nil {
		t.Error("got a chain although the login is refused")
	}
	ch := chain(client.Options{})
	for name, err := range map[string]error{
		"no size":          errOf(ch.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here})),
		"resume":           errOf(ch.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Resume: true, Listed: listed(4)})),
		"ascii":            errOf(ch.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, ASCII: true, Listed: listed(4)})),
		"large":            errOf(ch.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Listed: listed(client.ChainMost + 1)})),
		"no time":          errOf(ch.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, KeepTime: true, Listed: listed(4)})),
		"another size":     errOf(ch.Download(t.Context(), "/short", "/f", client.FileOptions{FS: here, Listed: listed(5)})),
		"send large":       errOf(ch.Upload(t.Context(), "/big", "/f", client.FileOptions{FS: here})),
		"send a directory": errOf(ch.Upload(t.Context(), "/dir", "/f", client.FileOptions{FS: here})),
		"send the rest":    errOf(ch.Upload(t.Context(), "/f", "/f", client.FileOptions{FS: here, Resume: true})),
	} {
		if !errors.Is(err, client.ErrNotChained) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a, b := testutil.Contents(t, srv.FS, "/f"), testutil.Contents(t, here, "/f"); a != "text" || b != "here" {
		t.Errorf("%q, %q", a, b)
	}
	var no *ftp.Error
	if _, err := ch.Download(t.Context(), "/none", "/none", client.FileOptions{FS: here, Listed: listed(4)}); !errors.As(err, &no) || no.Code != 550 {
		t.Errorf("Download of a missing file: %v, want 550", err)
	}
	var local *client.LocalError
	if _, err := ch.Upload(t.Context(), "/none", "/none", client.FileOptions{FS: here}); !errors.As(err, &local) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Upload of a missing file: %v, want a LocalError", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ch.Download(ended, "/f", "/f", client.FileOptions{FS: here, Listed: listed(4)}); err == nil {
		t.Error("a download after the end of its context returned no error")
	}
	if res, err := ch.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Listed: listed(4)}); err != nil || res.Verified != "size and reply" || testutil.Contents(t, here, "/f") != "text" {
		t.Errorf("Download after that: %+v, %v", res, err)
	}
}

// listed returns the entry of a file of n bytes in a listing.
func listed(n int) ftp.Entry { return ftp.Entry{Type: ftp.FileEntry, Size: int64(n)} }

func errOf(_ client.Result, err error) error { return err }
