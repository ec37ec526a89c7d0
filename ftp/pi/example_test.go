package pi_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"miniftp/fsroot"
	"miniftp/ftp/pi"
	"miniftp/ftp/server"
)

// A conversation by hand, to see what a server says.
func Example() {
	addr, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := pi.Dial(ctx, addr, pi.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Greeting(ctx); err != nil {
		log.Fatal(err)
	}
	if err := c.Login(ctx, pi.User{Name: "anna", Password: "secret"}); err != nil {
		log.Fatal(err)
	}
	r, err := c.Do(ctx, "PWD", "")
	fmt.Println(r, err)
	_, err = c.Do(ctx, "CWD", "/nowhere")
	fmt.Println(err)
	// Output:
	// 257 "/" <nil>
	// the server says 550 /nowhere: no such file or directory.
}

func exampleServer() (addr string, stop func()) {
	s, err := server.New(server.Options{Auth: server.Static{
		"anna": {Password: "secret", Account: server.Account{FS: fsroot.NewMem(), Perm: server.ReadOnly}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), func() { _ = s.Close() }
}
