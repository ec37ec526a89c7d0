package pi_test

import (
	"context"
	"fmt"
	"log"

	"miniftp/ftp/ftptest"
	"miniftp/ftp/pi"
)

// Single commands can be sent to see how a server replies.
func Example() {
	srv := ftptest.NewServer(nil, nil)
	defer srv.Close()
	ctx := context.Background()
	c, err := pi.Dial(ctx, srv.Addr, pi.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Greeting(ctx); err != nil {
		log.Fatal(err)
	}
	if err := c.Login(ctx, pi.User{}); err != nil {
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
