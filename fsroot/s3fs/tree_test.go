package s3fs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"miniftp/internal/s3peer"
)

// An implied directory stays when its last file goes.
func TestDirectoriesStay(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "p", "")
	for _, dir := range []string{"a", "b", "c/sub", "d/sub"} {
		check(t, os.MkdirAll(g.Path("p/"+dir), 0o755))
		check(t, os.WriteFile(g.Path("p/"+dir+"/only"), nil, 0o644))
	}
	check(t, f.Remove("/a/only"))
	check(t, f.Rename("/b/only", "/moved"))
	check(t, f.RemoveAll("/c/sub"))
	check(t, f.Rename("/d/sub", "/sub"))
	for _, dir := range []string{"/a", "/b", "/c", "/d"} {
		if got := list(t, f, dir); len(got) != 0 {
			t.Errorf("%s has %q", dir, got)
		}
	}
	if got := list(t, f, "/"); !slices.Equal(got, []string{"a", "b", "c", "d", "moved", "sub"}) {
		t.Errorf("the root has %q", got)
	}
	check(t, f.Remove("/a"))
	absent(t, f, "/a")
	check(t, f.RemoveAll("/sub"))
	check(t, f.Remove("/moved"))
	for _, dir := range []string{"/b", "/c", "/d"} {
		check(t, f.Remove(dir))
	}
	if got := list(t, f, "/"); len(got) != 0 { // although nothing is left of it
		t.Errorf("the root has %q", got)
	}
}

func TestRenameMovesTheTree(t *testing.T) {
	t.Parallel()
	f := fresh(t)
	check(t, f.MkdirAll("/d/a/b", 0))
	check(t, f.MkdirAll("/d/empty", 0))
	check(t, f.Mkdir("/e", 0))
	put(t, f, "/d/a/b/c", "deep")
	put(t, f, "/f", "one")
	put(t, f, "/dd", "not in d")
	check(t, f.Rename("/d", "/e/moved"))
	same(t, f, "/e/moved/a/b/c", []byte("deep"))
	absent(t, f, "/d")
	check(t, f.Rename("/f", "/e/moved/a/b/c"))
	same(t, f, "/e/moved/a/b/c", []byte("one"))
	if got := list(t, f, "/e/moved"); !slices.Equal(got, []string{"a", "empty"}) {
		t.Errorf("the moved directory has %q", got)
	}
	if got := list(t, f, "/"); !slices.Equal(got, []string{"dd", "e"}) {
		t.Errorf("the root has %q", got)
	}
	check(t, f.RemoveAll("/e"))
	if got := list(t, f, "/"); !slices.Equal(got, []string{"dd"}) {
		t.Errorf("after RemoveAll the root has %q", got)
	}
}

func TestMoveDir(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	const files = 300
	check(t, os.MkdirAll(g.Path("old/sub"), 0o755))
	for i := range files {
		check(t, os.WriteFile(g.Path(fmt.Sprintf("old/sub/%d", i)), fmt.Append(nil, i), 0o644))
	}
	var seen []int
	check(t, f.MoveDir(t.Context(), "/old", "/new", func(n int) { seen = append(seen, n) }))
	if len(seen) != files || seen[0] != 1 || seen[files-1] != files {
		t.Errorf("progress was called %d times", len(seen))
	}
	if got := list(t, f, "/new/sub"); len(got) != files {
		t.Errorf("%d files were moved", len(got))
	}
	same(t, f, "/new/sub/17", []byte("17"))
	absent(t, f, "/old")
	wantErr(t, f.MoveDir(t.Context(), "/new", "/new/x", nil), syscall.EINVAL)
	check(t, f.Mkdir("/taken", 0))
	wantErr(t, f.MoveDir(t.Context(), "/new", "/taken", nil), fs.ErrExist)

	// What is interrupted is undone.
	ctx, cancel := context.WithCancel(t.Context())
	err := f.MoveDir(ctx, "/new", "/again", func(n int) {
		if n == 20 {
			cancel()
		}
	})
	wantErr(t, err, context.Canceled)
	absent(t, f, "/again")
	if got := list(t, f, "/new/sub"); len(got) != files {
		t.Errorf("%d files are left", len(got))
	}
}

func TestRenameNew(t *testing.T) {
	t.Parallel()
	f := fresh(t)
	large := random(1, 12*mib)
	for _, content := range []string{"small", string(large)} {
		const racers = 4
		for i := range racers {
			put(t, f, fmt.Sprintf("/from%d", i), fmt.Sprint(i, content))
		}
		var wins atomic.Int32
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				err := f.RenameNew(fmt.Sprintf("/from%d", i), "/to")
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := list(t, f, "/"); wins.Load() != 1 || len(got) != racers {
			t.Errorf("%d renames succeeded; left are %q", wins.Load(), got)
		}
		check(t, f.Remove("/to"))
	}
	put(t, f, "/big", string(large))
	check(t, f.Rename("/big", "/moved")) // by parts
	same(t, f, "/moved", large)
	check(t, f.Chtimes("/moved", time.Time{}, time.Unix(1e9, 0)))
	same(t, f, "/moved", large)
	fi, err := f.Stat("/moved")
	if check(t, err); fi.ModTime().Unix() != 1e9 {
		t.Errorf("the time is %v", fi.ModTime())
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	const files = 2500
	check(t, os.MkdirAll(g.Path("many/sub"), 0o755))
	check(t, os.WriteFile(g.Path("many/sub/x"), nil, 0o644))
	for i := range files {
		check(t, os.WriteFile(g.Path(fmt.Sprintf("many/f%04d", i)), nil, 0o644))
	}
	check(t, os.WriteFile(g.Path("many/line\nbreak"), nil, 0o644))
	check(t, os.MkdirAll(g.Path("many/.miniftp"), 0o755))
	check(t, os.WriteFile(g.Path("many/.miniftp/x"), nil, 0o644))
	var names []string
	for fi, err := range f.ReadDirSeq("/many") {
		check(t, err)
		names = append(names, fi.Name())
	}
	if len(names) != files+1 || names[0] != "f0000" || names[files] != "sub" {
		t.Errorf("%d names, from %q to %q", len(names), names[0], names[len(names)-1])
	}
	if f.Skipped() != 1 {
		t.Errorf("%d keys were skipped, want 1", f.Skipped())
	}
	dir, err := f.Open("/many")
	check(t, err)
	for n := 0; n < files; n += 500 {
		if infos, err := dir.Readdir(500); len(infos) != 500 || err != nil {
			t.Fatalf("Readdir = %d, %v", len(infos), err)
		}
	}
	check(t, dir.Close())
	for _, err := range f.ReadDirSeq("/no") {
		wantErr(t, err, fs.ErrNotExist)
	}
	for range f.ReadDirSeq("/many") {
		break
	}
}

func TestFiler(t *testing.T) {
	t.Parallel()
	var asked string
	filer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.String()
		if strings.Contains(r.URL.Path, "fail") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer filer.Close()
	f := open(t, s3peer.Start(t, t.TempDir()), "p", "&filer="+filer.URL)
	check(t, f.MkdirAll("/a/old dir", 0))
	check(t, f.MoveDir(t.Context(), "/a/old dir", "/new ä", nil))
	if want := "POST /buckets/files/p/new%20%C3%A4?mv.from=%2Fbuckets%2Ffiles%2Fp%2Fa%2Fold+dir"; asked != want {
		t.Errorf("the filer was asked to %s\nwant %s", asked, want)
	}
	err := f.MoveDir(t.Context(), "/a/old dir", "/fail", nil)
	if p := (interface{ Public() string })(nil); !errors.As(err, &p) {
		t.Errorf("the error is %v", err)
	}
}
