package mirror_test

import (
	"context"
	"fmt"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/mirror"
)

// A second run has nothing to do.
func ExampleRun() {
	srv := ftptest.NewServer(nil, nil)
	defer srv.Close()
	for name, text := range map[string]string{"/pub/a.txt": "one", "/pub/docs/b.txt": "two"} {
		if err := afero.WriteFile(srv.FS, name, []byte(text), 0o644); err != nil {
			fmt.Println(err)
			return
		}
	}

	pool := client.NewPool(srv.Addr, 4, nil)
	defer pool.Close()
	ctx := context.Background()
	from := mirror.Tree{Pool: pool, Root: "/pub"}
	to := mirror.Tree{FS: afero.NewMemMapFs(), Root: "/copy"} // or afero.NewOsFs()
	for range 2 {
		res, err := mirror.Run(ctx, mirror.Plan{From: from, To: to, Delete: true, Parallel: 4})
		fmt.Println(res.Files, "copied,", res.Unchanged, "unchanged,", err)
	}
	// Output:
	// 2 copied, 0 unchanged, <nil>
	// 0 copied, 2 unchanged, <nil>
}

// The second server gets a copy of a directory of the first.
func ExampleRun_servers() {
	first, second := ftptest.NewServer(nil, nil), ftptest.NewServer(nil, nil)
	defer first.Close()
	defer second.Close()
	if err := afero.WriteFile(first.FS, "/pub/docs/a.txt", []byte("hello"), 0o644); err != nil {
		fmt.Println(err)
		return
	}

	from, to := client.NewPool(first.Addr, 4, nil), client.NewPool(second.Addr, 4, nil)
	defer from.Close()
	defer to.Close()
	res, err := mirror.Run(context.Background(), mirror.Plan{
		From: mirror.Tree{Pool: from, Root: "/pub"},
		To:   mirror.Tree{Pool: to, Root: "/pub"},
	})
	fmt.Println(res.Files, "files,", res.Bytes, "bytes,", err)
	// Output: 1 files, 5 bytes, <nil>
}
