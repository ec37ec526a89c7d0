package s3fs_test

import (
	"io/fs"
	"testing"

	"miniftp/fsroot/fstest"
	"miniftp/fsroot/s3fs"
	"miniftp/ftp/server"
	"miniftp/internal/s3peer"
)

var _ interface {
	server.UploadFs
	server.SweepFs
	server.ReadDirFs
	server.RenameNewFs
	server.MoveDirFs
} = (*s3fs.Fs)(nil)

func TestFS(t *testing.T) {
	t.Parallel()
	if err := fstest.TestFS(open(t, s3peer.Start(t, t.TempDir()), "", "&times=exact")); err != nil {
		t.Fatal(err)
	}
}

// A directory opened with Sub is a filesystem like that at its URL, and leaves the bucket open when it is closed.
func TestSubFS(t *testing.T) {
	t.Parallel()
	f := open(t, s3peer.Start(t, t.TempDir()), "", "&times=exact")
	put(t, f, "/outside", "x")
	sub, err := f.Sub("homes/alice")
	check(t, err)
	if err := fstest.TestFS(sub); err != nil {
		t.Fatal(err)
	}
	put(t, sub, "/a", "of alice")
	if got := get(t, f, "/homes/alice/a"); got != "of alice" {
		t.Errorf("the bucket has %q", got)
	}
	if _, err := sub.Stat("/../outside"); err == nil {
		t.Error("a path leads out of the directory")
	}
	check(t, sub.Close())
	if got := get(t, f, "/outside"); got != "x" {
		t.Errorf("after closing the directory, the bucket has %q", got)
	}
	_, err = f.Sub("a/.miniftp")
	wantErr(t, err, fs.ErrPermission)
}
