package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

func Example() {
	addr, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	c, err := client.Dial(ctx, addr, &client.Options{User: "alice", Password: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if _, err := c.Store(ctx, "/hello.txt", strings.NewReader("hello, world\n")); err != nil {
		fmt.Println(err)
	}
	for e, err := range c.List(ctx, "/") {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(e.Name, e.Size)
	}
	if _, err := c.Retrieve(ctx, "/hello.txt", os.Stdout); err != nil {
		fmt.Println(err)
	}
	_, err = c.Stat(ctx, "/nope.txt")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// hello.txt 13
	// hello, world
	// true
}

// exampleServer serves an empty file system in memory on loopback.
func exampleServer() (addr string, stop func()) {
	srv := ftptest.NewServer(nil, nil, ftptest.WithUser("alice", "secret", server.ReadWrite))
	return srv.Addr, srv.Close
}
