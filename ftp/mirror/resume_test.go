package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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
	"miniftp/ftp/mirror"
)

// TestMirrorResumes checks that each try continues where the last one stopped, whichever way it failed, and so
// does another run.
func TestMirrorResumes(t *testing.T) {
	big := string(testutil.Noise(1_000_000))
	for _, up := range []bool{false, true} {
		t.Run(fmt.Sprintf("up %v", up), func(t *testing.T) {
			site, here := fsroot.NewMem(), fsroot.NewMem()
			srv := ftptest.NewServer(t, site)
			tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
			dst, src, verb, text := mirror.Tree{FS: here, Root: "/"}, tree, "RETR", testutil.Shape
			if up {
				dst, src, verb = tree, dst, "STOR"
				testutil.Grow(t, here, map[string]string{"/big": big})
			} else {
				testutil.Grow(t, site, map[string]string{"/x/big": big})
			}
			srv.Fail(verb, ftptest.CutAfter(300_000))
			o := mirror.Plan{}
			if _, err := mirror.Run(t.Context(), planned(src, dst, o)); err == nil {
				t.Fatal("a cut transfer returned no error")
			}
			o.Retry = soon
			_, err := mirror.Run(t.Context(), planned(src, dst, o))
			if err != nil {
				t.Fatal(err)
			}
			testutil.SameShape(t, text(t, here, "/"), map[string]string{"big": big})
			testutil.SameShape(t, text(t, site, "/x"), map[string]string{"big": big})
			// A part of a file that has changed since is not continued.
			other := strings.Repeat("other", 250_000)
			from := here
			if !up {
				from = site
			}
			name := map[bool]string{true: "/big", false: "/x/big"}[up]
			o.Retry = client.Retry{}
			testutil.Plant(t, from, name, other, time.Now().Add(time.Hour))
			if _, err := mirror.Run(t.Context(), planned(src, dst, o)); err == nil {
				t.Fatal("a cut transfer returned no error")
			}
			third := strings.Repeat("third", 250_000)
			testutil.Plant(t, from, name, third, time.Now().Add(2*time.Hour))
			srv.Heal()
			mustMirror(t, dst, src, mirror.Plan{Delete: true})
			testutil.SameShape(t, text(t, here, "/"), map[string]string{"big": third})
			if got := text(t, site, "/x")["big"]; got != third {
				t.Errorf("the server has %d bytes, want the third version", len(got))
			}
		})
	}
}

// TestMirrorBytesAgain checks that bytes that arrived are not sent again if every data connection is cut, in
// either direction.
func TestMirrorBytesAgain(t *testing.T) {
	const size, cut = 1_000_000, 300_000
	for _, verb := range []string{"RETR", "STOR"} {
		site, here := fsroot.NewMem(), fsroot.NewMem()
		srv := ftptest.NewServer(t, site)
		var mu sync.Mutex
		var got int64 // bytes received by the client
		seen := ftp.ObserverFunc(func(e ftp.Event) {
			mu.Lock()
			defer mu.Unlock()
			if d, ok := e.What.(ftp.TransferDone); ok && d.Verb == "RETR" {
				got += d.Bytes
			}
		})
		tree, _ := remoteTree(t, srv.Addr, &client.Options{Observer: seen}, 1, "/x")
		srv.Fail(verb, ftptest.CutAfter(cut))
		dst, src := mirror.Tree{FS: here, Root: "/"}, tree
		if verb == "STOR" {
			dst, src = tree, dst
			testutil.Grow(t, here, map[string]string{"/big": string(testutil.Noise(size))})
		} else {
			testutil.Grow(t, site, map[string]string{"/x/big": string(testutil.Noise(size))})
		}
		if _, err := mirror.Run(t.Context(), mirror.Plan{From: src, To: dst, Retry: soon}); err != nil {
			t.Fatal(err)
		}
		arrived := got
		if verb == "STOR" {
			arrived = moved(srv, verb)
		}
		if arrived != size {
			t.Errorf("%s: %d bytes arrived, %d are in the file", verb, arrived, size)
		}
	}
}

// TestMirrorCancel checks that a mirror ends soon after its context, and leaves a part that the next run continues.
func TestMirrorCancel(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	big := string(testutil.Noise(3_000_000))
	testutil.Grow(t, site, map[string]string{"/x/big": big, "/x/z": "z"})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
	srv.Fail("RETR", ftptest.StallAfter(1_000_000))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	_, err := mirror.Run(ctx, mirror.Plan{
		From: tree, To: mirror.Tree{FS: here, Root: "/"}, Parallel: 2,
		Progress: func(name string, done, _ int64) {
			if name == "big" && done > 100_000 {
				cancel(why)
			}
		},
	})

	if !errors.Is(err, why) {
		t.Fatalf("got %v, want the cause of the cancel", err)
	}
	if info := partOf(t, here, "big"); info == nil || info.Size() < 100_000 {
		t.Fatalf("no part is left: %v", info)
	}
	srv.Heal()
	from := moved(srv, "RETR")
	mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Delete: true})
	testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{"big": big, "z": "z"})
	if n := moved(srv, "RETR") - from; n > 2_910_000 {
		t.Errorf("the second run transferred %d bytes", n)
	}
}

// partOf returns the part of a file in the root of a tree, nil if there is none.
func partOf(t *testing.T, fsys afero.Fs, name string) fs.FileInfo {
	t.Helper()
	infos, err := afero.ReadDir(fsys, "/")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name(), "."+name+".") && strings.HasSuffix(info.Name(), ".part") {
			return info
		}
	}
	return nil
}

// TestMirrorPartOfAnotherVersion checks that a part is not continued if the file has changed since, even if the
// new version is older, has the same size, and is the same where the part ends.
func TestMirrorPartOfAnotherVersion(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	one := strings.Repeat("1", 1_000_000) + strings.Repeat("-", 1_000_000)
	two := strings.Repeat("2", 1_000_000) + strings.Repeat("-", 1_000_000)
	testutil.Grow(t, site, map[string]string{"/x/big": one})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	srv.Fail("RETR", ftptest.ShortAfter(1_500_000))
	if _, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}}); err == nil {
		t.Fatal("no error")
	}
	if info := partOf(t, here, "big"); info == nil || info.Size() < 1_004_096 {
		t.Fatalf("no part is left: %v", info)
	}
	srv.Heal()
	testutil.Grow(t, site, map[string]string{"/x/big": two})
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := site.Chtimes("/x/big", old, old); err != nil {
		t.Fatal(err)
	}
	mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Delete: true})
	testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{"big": two})
}

// TestMirrorSegments checks that the last large file of a mirror is fetched over several connections.
func TestMirrorSegments(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	site, here := fsroot.NewMem(), afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
	body := string(testutil.Noise(24 << 20))
	testutil.Grow(t, site, map[string]string{"/x/f": body})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, &client.Options{Rate: 4 << 20}, 4, "/x") // slow, so that others can join
	res, _ := mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Parallel: 4})
	if res.Files != 1 || res.Bytes != int64(len(body)) {
		t.Errorf("%+v, want the whole file", res)
	}
	if !slices.ContainsFunc(srv.Commands(), func(c ftp.Command) bool { return c.Verb == "REST" && c.Arg != "0" }) {
		t.Error("no segment began in the middle")
	}
	testutil.SameShape(t, testutil.Shape(t, here, "/"), map[string]string{"f": body})
	if _, did := mustMirror(t, mirror.Tree{FS: here, Root: "/"}, tree, mirror.Plan{Parallel: 4}); len(did) != 0 {
		t.Errorf("again: %q", did)
	}
}
