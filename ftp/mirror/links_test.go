package mirror_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
	"miniftp/internal/testlink"
)

// TestMirrorLinks checks the policies: links are left out, followed but not without end, or made if they stay
// inside the tree.
func TestMirrorLinks(t *testing.T) {
	dir := t.TempDir()
	src, err := fsroot.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	testutil.Grow(t, src, map[string]string{"/f": "file", "/sub/g": "g"})
	for name, to := range map[string]string{"to-f": "f", "to-sub": "sub", "sub/up": "..", "sub/self": ".", "dead": "nope", "sub/to-f": "../f"} {
		testlink.Make(t, filepath.FromSlash(to), filepath.Join(dir, name))
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	remote, _ := remoteTree(t, ftptest.NewServer(t, src).Addr, nil, 2, "/")
	for from, tree := range map[string]mirror.Tree{"disk": {FS: src, Root: "/"}, "server": remote} {
		for policy, want := range map[mirror.LinkPolicy]map[string]string{
			mirror.SkipLinks:   {"f": "file", "sub/": "", "sub/g": "g"},
			mirror.FollowLinks: {"f": "file", "sub/": "", "sub/g": "g", "to-f": "file", "sub/to-f": "file", "to-sub/": "", "to-sub/g": "g", "to-sub/to-f": "file"},
			mirror.CopyLinks:   {"f": "file", "sub/": "", "sub/g": "g", "to-f": "link", "to-sub": "link", "sub/self": "link", "sub/up": "link", "sub/to-f": "link", "dead": "link"},
		} {
			to := t.TempDir()
			dst, err := fsroot.OpenRoot(to)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: dst.WithUpwardLinks(), Root: "/"}, Links: policy})
			got := testutil.Shape(t, afero.NewBasePathFs(afero.NewOsFs(), to), "/")
			_ = dst.Close()
			t.Log(from, policy)
			testutil.SameShape(t, got, want)
		}
	}
}

// TestMirrorLinksPeers mirrors links of the stock servers, whether their MLSD reports links or not: they are made
// as links with the same target, or followed and stopped early if they lead back.
func TestMirrorLinksPeers(t *testing.T) {
	t.Parallel()
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			site := afero.NewBasePathFs(afero.NewOsFs(), dir)
			testutil.Grow(t, site, map[string]string{"/f": "f", "/sub/g": "g"})
			for link, to := range map[string]string{"l": "f", "sub/self": ".", "sub/up": "..", "to-sub": "sub"} {
				testlink.Make(t, to, filepath.Join(dir, link))
			}
			s := peers.Start(t, name, dir, peers.Options{})
			tree, _ := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password}, 1, "")
			to := t.TempDir()
			dst, err := fsroot.OpenRoot(to)
			if err != nil {
				t.Fatal(err)
			}
			defer dst.Close()
			there := mirror.Tree{FS: dst.WithUpwardLinks(), Root: "/"}
			_, did := mustMirror(t, there, tree, mirror.Plan{Links: mirror.CopyLinks})
			wants := map[string]string{"l": "f", "sub/self": ".", "sub/up": "..", "to-sub": "sub"}
			skips := 0
			if name == "proftpd" { // its LIST leaves out links to "." and ".."
				delete(wants, "sub/self")
				delete(wants, "sub/up")
				skips = 2
			}
			for link, want := range wants {
				if got, err := os.Readlink(filepath.Join(to, link)); got != want {
					t.Errorf("%s: %q, %v; %q", link, got, err, did)
				}
			}
			if _, did := mustMirror(t, there, tree, mirror.Plan{Links: mirror.CopyLinks, Delete: true}); len(did) != skips {
				t.Errorf("again: %q", did)
			}
			mem := fsroot.NewMem()
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: mem, Root: "/"}, Links: mirror.FollowLinks})
			if !errors.Is(err, client.ErrTooDeep) || !strings.Contains(err.Error(), "leads back") || res.Dirs > 2 || res.Failed > 4 {
				t.Errorf("follow: %+v, %v", res, err)
			}
			testutil.SameShape(t, testutil.Shape(t, mem, "/"), map[string]string{"f": "f", "l": "f", "sub/": "", "sub/g": "g", "to-sub/": "", "to-sub/g": "g"})
		})
	}
}

// TestMirrorNoSymlink checks that the plan also reports a server that can't make links, and that a file with the
// name of such a link is kept.
func TestMirrorNoSymlink(t *testing.T) {
	dir := t.TempDir()
	here, err := fsroot.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	testutil.Grow(t, here, map[string]string{"/f": "f"})
	testlink.Make(t, "f", filepath.Join(dir, "l"))
	site := fsroot.NewMem()
	testutil.Grow(t, site, map[string]string{"/x/f": "f", "/x/l": "mine"})
	srv := ftptest.NewServer(t, site)
	srv.Fail("SITE", ftptest.Reply(500, "Unknown SITE command."))
	for _, dry := range []bool{true, false} {
		tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
		res, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: tree, Links: mirror.CopyLinks, Delete: true, DryRun: dry})
		if err == nil || !strings.Contains(err.Error(), "500 Unknown") || res.Failed != 1 || res.Deleted != 0 {
			t.Errorf("dry %v: %+v, %v", dry, res, err)
		}
	}
	if got := testutil.Shape(t, site, "/x")["l"]; got != "mine" {
		t.Errorf("%q", got)
	}
}
