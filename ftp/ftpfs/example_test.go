package ftpfs_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/server"
)

// A server's tree is a filesystem: for afero, and by it for all that takes an fs.FS.
func Example() {
	addr, stop := exampleServer()
	defer stop()
	pool := client.NewPool(addr, 2, &client.Options{User: "anna", Password: "secret"})
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

func exampleServer() (addr string, stop func()) {
	srv, err := server.New(server.Options{Auth: server.Static{
		"anna": {Password: "secret", Account: server.Account{FS: fsroot.NewMem(), Perm: server.ReadWrite}},
	}})
	if err != nil {
		panic(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	return ln.Addr().String(), func() { _ = srv.Close(); <-done }
}
