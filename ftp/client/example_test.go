package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"miniftp/fsroot"
	"miniftp/ftp/client"
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

// exampleServer serves an empty filesystem in memory on loopback.
func exampleServer() (addr string, stop func()) {
	srv, err := server.New(server.Options{Auth: server.Static{
		"alice": {Password: "secret", Account: server.Account{FS: fsroot.NewMem(), Perm: server.ReadWrite}},
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
