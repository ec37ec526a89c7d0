package server_test

import (
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// fsroot does not import ftp/server, so only a test can check that it implements the interfaces.
var (
	_ server.DirFs              = (*fsroot.Root)(nil)
	_ server.RenameNewFs        = (*fsroot.Root)(nil)
	_ server.InheritFs          = (*fsroot.Root)(nil)
	_ server.SyncDirFs          = (*fsroot.Root)(nil)
	_ server.LockFs             = (*fsroot.Root)(nil)
	_ server.FreeFs             = (*fsroot.Root)(nil)
	_ afero.Symlinker           = (*fsroot.Root)(nil)
	_ server.CheckAuthenticator = server.Static(nil)
	_ server.FXPAuthenticator   = server.Static(nil)
)

func TestMemoryHasExtensions(t *testing.T) {
	mem := fsroot.NewMem()
	_, renames := mem.(server.RenameNewFs)
	_, inherits := mem.(server.InheritFs)
	if !renames || !inherits {
		t.Errorf("fsroot.NewMem renames without replacing: %v, inherits: %v", renames, inherits)
	}
}
