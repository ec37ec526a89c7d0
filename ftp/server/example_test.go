package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/server"
)

// An embedded server for files in memory, and a client that fetches one.
func Example() {
	files := afero.NewMemMapFs()
	_ = afero.WriteFile(files, "/hello.txt", []byte("hello\n"), 0o644)
	srv, err := server.New(server.Options{
		Auth: server.Static{"alice": {Password: "secret", Account: server.Account{FS: files, Perm: server.ReadOnly}}},
	})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()

	c, err := client.Dial(context.Background(), l.Addr().String(), &client.Options{User: "alice", Password: "secret"})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	var got bytes.Buffer
	_, err = c.Retrieve(context.Background(), "/hello.txt", &got)
	fmt.Print(got.String(), err)
	// Output:
	// hello
	// <nil>
}

// A server for files in memory in which each user has their own directory. The Authenticator is a function.
func ExampleAuthenticatorFunc() {
	files := afero.NewMemMapFs()
	srv, err := server.New(server.Options{
		Auth: server.AuthenticatorFunc(func(_ context.Context, login server.Login) (*server.Account, error) {
			if login.Password != "the word of the day" {
				return nil, server.ErrLogin
			}
			home := "/" + login.User
			if err := files.MkdirAll(home, 0o755); err != nil {
				return nil, err
			}
			return &server.Account{FS: afero.NewBasePathFs(files, home), Perm: server.ReadWrite}, nil
		}),
	})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0") // ListenAndServe does both, on Options.Listen
	if err != nil {
		panic(err)
	}
	go func() { _ = srv.Serve(l) }()

	c, err := client.Dial(context.Background(), l.Addr().String(), &client.Options{User: "bob", Password: "the word of the day"})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	_, err = c.Store(context.Background(), "/note.txt", strings.NewReader("mine"))
	text, _ := afero.ReadFile(files, "/bob/note.txt")
	fmt.Println(string(text), err)
	// Output: mine <nil>
}

// An Observer that prints who opened data connections.
func ExampleOptions_observer() {
	watch := ftp.ObserverFunc(func(e ftp.Event) {
		if d, ok := e.What.(ftp.DataOpened); ok {
			fmt.Printf("session %d: %v, this end %v\n", e.Control.ID, d.Mode, d.Stance)
		}
	})
	watch.Observe(ftp.Event{
		Control: &ftp.Control{ID: 7, Side: ftp.ServerPI},
		What:    ftp.DataOpened{Mode: ftp.Active, Stance: ftp.Dials},
	})
	// Output:
	// session 7: active, this end dials
}
