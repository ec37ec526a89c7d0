package s3fs_test

import (
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
