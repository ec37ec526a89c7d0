package client_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

// A download with progress, from a URL. The file gets its name when it is whole.
func ExampleDialURL() {
	_, addr, stop := exampleClient("/pub/report.txt", "all of the report")
	defer stop()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	c, err := client.DialURL(ctx, "ftp://alice:secret@"+addr+"/pub", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	res, err := c.Download(ctx, "report.txt", filepath.Join(dir, "report.txt"), client.FileOptions{
		Progress: func(done, total int64) { fmt.Fprintf(os.Stderr, "\r%d of %d bytes", done, total) },
	})
	fmt.Println(res.Bytes, "bytes,", err)
	// Output: 17 bytes, <nil>
}

// An upload is tried again when the connection fails, and continues where it stopped.
func ExamplePool_Upload() {
	srv := ftptest.NewServer(nil, nil)
	defer srv.Close()
	srv.Fail("STOR", ftptest.HangUp().Times(2)) // the server fails twice

	local := afero.NewMemMapFs() // or afero.NewOsFs()
	if err := afero.WriteFile(local, "scan.txt", []byte("a page"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	pool := client.NewPool(srv.Addr, 1, nil)
	defer pool.Close()
	res, err := pool.Upload(context.Background(), "scan.txt", "/scan.txt", client.FileOptions{
		FS: local,
		Retry: client.Retry{
			Times:  5,
			Wait:   func(int) time.Duration { return 0 },
			Notify: func(err error, _ time.Duration) { fmt.Println("again") },
		},
	})
	fmt.Println(res.Bytes, "bytes,", err)
	// Output:
	// again
	// again
	// 6 bytes, <nil>
}
