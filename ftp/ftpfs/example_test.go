package ftpfs_test

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/ftptest"
)

// The tree of a server as a file system of afero and, with NewIOFS, of io/fs.
func Example() {
	srv := ftptest.NewServer(nil, nil)
	defer srv.Close()
	pool := client.NewPool(srv.Addr, 2, nil)
	defer pool.Close()
	tree, err := ftpfs.New(context.Background(), pool, "/")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := tree.MkdirAll("/site/css", 0o755); err != nil {
		fmt.Println(err)
	}
	for name, text := range map[string]string{"/site/index.html": "<h1>hello</h1>", "/site/css/x.css": "h1{}"} {
		if err := afero.WriteFile(tree, name, []byte(text), 0o644); err != nil {
			fmt.Println(err)
		}
	}
	err = fs.WalkDir(afero.NewIOFS(tree), ".", func(name string, _ fs.DirEntry, err error) error {
		fmt.Println(name)
		return err
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// .
	// site
	// site/css
	// site/css/x.css
	// site/index.html
}
