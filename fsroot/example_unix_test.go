//go:build unix

package fsroot_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/afero"

	"miniftp/fsroot"
)

// A path or a symlink that leads out of the directory is refused.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "fsroot")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	_ = os.Symlink("/etc/hostname", dir+"/way-out")

	root, closer, err := fsroot.Open(dir)
	if err != nil {
		panic(err)
	}
	defer closer.Close()
	fmt.Println(afero.WriteFile(root, "/notes.txt", []byte("inside"), 0o644))
	_, err = root.Open("/way-out")
	fmt.Println(errors.Is(err, fs.ErrPermission), err)
	// Output:
	// <nil>
	// true open /way-out: permission denied
}
