package mirror_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// transfers counts the transfers of all connections that share it as their Observer.
type transfers struct{ done, failed atomic.Int64 }

func (n *transfers) Observe(e ftp.Event) {
	what, ok := e.What.(ftp.TransferDone)
	switch {
	case !ok || what.Verb != "RETR" && what.Verb != "STOR":
	case what.Err != nil:
		n.failed.Add(1)
	default:
		n.done.Add(1)
	}
}

// TestManySmallFiles mirrors many small files to each stock server and back, over four connections. Each file
// takes one transfer, and none fails. In particular, ftp-srv replies 551 to a client that sends EPSV before the
// previous transfer has ended.
func TestManySmallFiles(t *testing.T) {
	t.Parallel()
	files := int64(90)
	if testutil.Soaking {
		files = 300
	}
	want := make(map[string]string)
	for i := range files {
		want[fmt.Sprintf("%d/%03d", i%3, i)] = fmt.Sprint("content ", i)
	}
	for _, name := range append(peers.Names(), peers.FTPSrv) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := peers.Start(t, name, t.TempDir(), peers.Options{})
			run := func(to, from mirror.Tree, n *transfers) {
				t.Helper()
				if res, _ := mustMirror(t, to, from, mirror.Plan{Parallel: 4}); res.Files != files {
					t.Errorf("%d files, want %d", res.Files, files)
				}
				if done, failed := n.done.Load(), n.failed.Load(); done != files || failed != 0 {
					t.Errorf("%d transfers succeeded and %d failed, want %d and none", done, failed, files)
				}
			}
			remote := func(n *transfers) mirror.Tree {
				tree, _ := remoteTree(t, s.Addr, &client.Options{User: s.User, Password: s.Password, Observer: n}, 4, "")
				return tree
			}
			here := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			testutil.Grow(t, here, want)
			var up, down transfers
			run(remote(&up), mirror.Tree{FS: here, Root: "/"}, &up)
			back := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
			run(mirror.Tree{FS: back, Root: "/"}, remote(&down), &down)
			testutil.SameShape(t, testutil.Shape(t, back, "/"), testutil.Shape(t, here, "/"))
		})
	}
}
