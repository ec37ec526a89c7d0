package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// exampleClient returns a Client of a server with some files.
func exampleClient(files ...string) (c *client.Client, addr string, stop func()) {
	addr, stopServer := exampleServer()
	c, err := client.Dial(context.Background(), addr, &client.Options{User: "alice", Password: "secret"})
	for i := 0; err == nil && i < len(files); i += 2 {
		if dir := filepath.ToSlash(filepath.Dir(files[i])); dir != "/" {
			err = c.MakeDirAll(context.Background(), dir)
		}
		if err == nil {
			_, err = c.Store(context.Background(), files[i], strings.NewReader(files[i+1]))
		}
	}
	if err != nil {
		panic(err)
	}
	return c, addr, func() { _ = c.Close(); stopServer() }
}

// A file that was cut short is resumed, and gets its name only when it is whole.
func ExampleClient_Download() {
	c, _, stop := exampleClient("/pub/report.txt", "all of the report")
	defer stop()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	local := filepath.Join(dir, "report.txt")
	res, err := c.Download(context.Background(), "/pub/report.txt", local, client.FileOptions{
		Resume: true, KeepTime: true,
	})
	fmt.Println(res.Bytes, res.Verified, err)
	// Output: 17 size and reply <nil>
}

func ExampleClient_Upload() {
	c, _, stop := exampleClient()
	defer stop()
	local := afero.NewMemMapFs() // or afero.NewOsFs()
	if err := afero.WriteFile(local, "scan.txt", []byte("a page"), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	res, err := c.Upload(context.Background(), "scan.txt", "/scan.txt", client.FileOptions{FS: local, KeepTime: true})
	fmt.Println(res.Bytes, res.Verified, err)
	// Output: 6 size and reply <nil>
}

// A file is read while it arrives. Close returns the result of the transfer.
func ExampleClient_Open() {
	c, _, stop := exampleClient("/log.txt", "one\ntwo\nthree\n")
	defer stop()

	r, err := c.Open(context.Background(), "/log.txt", 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = io.Copy(os.Stdout, r)
	fmt.Println(errors.Join(err, r.Close()))
	// Output:
	// two
	// three
	// <nil>
}

// A file is written piece by piece. It is complete when Close has returned nil.
func ExampleClient_Create() {
	c, _, stop := exampleClient()
	defer stop()

	w, err := c.Create(context.Background(), "/squares.txt", 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 4 {
		fmt.Fprintln(w, i*i)
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}
	n, err := c.Size(context.Background(), "/squares.txt")
	fmt.Println(n, err)
	// Output: 8 <nil>
}

// A directory that can't be read is an error with its path. The walk continues.
func ExampleClient_Walk() {
	c, _, stop := exampleClient("/a/one.txt", "1", "/a/b/two.txt", "22", "/three.txt", "333")
	defer stop()

	for e, err := range c.Walk(context.Background(), "/") {
		if err != nil {
			fmt.Println(e.Path, err)
			continue
		}
		if !e.IsDir() {
			fmt.Println(e.Path, e.Size)
		}
	}
	// Output:
	// /a/b/two.txt 2
	// /a/one.txt 1
	// /three.txt 3
}

func ExampleClient_Hash() {
	c, _, stop := exampleClient("/hello.txt", "hello\n")
	defer stop()

	algorithm, sum, err := c.Hash(context.Background(), "/hello.txt", "")
	fmt.Println(algorithm, sum[:12], err)
	// Output: SHA-256 5891b5b522d5 <nil>
}

// A refusal contains the server's reply, and also matches an error of package fs.
func ExampleClient_Delete() {
	c, _, stop := exampleClient()
	defer stop()

	err := c.Delete(context.Background(), "/nope.txt")
	var no *ftp.Error
	if errors.As(err, &no) {
		fmt.Println(no.Verb, no.Code)
	}
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// DELE 550
	// true
}

// In active mode the client listens and the server dials.
func ExampleOptions_active() {
	_, addr, stop := exampleClient("/hello.txt", "hello\n")
	defer stop()

	c, err := client.Dial(context.Background(), addr, &client.Options{
		User: "alice", Password: "secret", Mode: ftp.Active,
		Observer: ftp.ObserverFunc(func(e ftp.Event) {
			if d, ok := e.What.(ftp.DataOpened); ok {
				fmt.Println("this end", d.Stance)
			}
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if _, err := c.Retrieve(context.Background(), "/hello.txt", os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// this end listens
	// hello
}

// With TLS nothing is sent unprotected, whatever the server answers.
func ExampleOptions_tls() {
	addr, stop := exampleServer() // a server without TLS
	defer stop()

	_, err := client.Dial(context.Background(), addr, &client.Options{
		User: "alice", Password: "secret",
		TLS: client.ExplicitTLS, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
	})
	var noTLS *client.TLSError
	fmt.Println(errors.As(err, &noTLS))
	// Output: true
}

// A Pool runs several operations at once, over connections that it keeps.
func ExamplePool() {
	_, addr, stop := exampleClient("/a.txt", "one", "/b.txt", "three", "/c.txt", "seventeen")
	defer stop()

	pool := client.NewPool(addr, 3, &client.Options{User: "alice", Password: "secret"})
	defer pool.Close()
	var all sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for _, name := range []string{"/a.txt", "/b.txt", "/c.txt"} {
		all.Go(func() {
			err := pool.Do(context.Background(), func(c *client.Client) error {
				n, err := c.Retrieve(context.Background(), name, io.Discard)
				mu.Lock()
				defer mu.Unlock()
				total += int(n)
				return err
			})
			if err != nil {
				fmt.Println(err)
			}
		})
	}
	all.Wait()
	fmt.Println(total, "bytes")
	// Output: 17 bytes
}

// Many small files share a connection if the server allows it. Otherwise each uses a connection of its own.
func ExamplePool_Parallel() {
	_, addr, stop := exampleClient("/a.txt", "one", "/b.txt", "three", "/c.txt", "seventeen")
	defer stop()

	ctx := context.Background()
	pool := client.NewPool(addr, 1, &client.Options{User: "alice", Password: "secret"})
	defer pool.Close()
	here := afero.NewMemMapFs()
	var files []ftp.Entry
	err := pool.Do(ctx, func(c *client.Client) error {
		for e, err := range c.List(ctx, "/") {
			if err != nil {
				return err
			}
			files = append(files, e)
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	slots := make(chan struct{}, pool.Parallel(ctx))
	var all sync.WaitGroup
	for _, e := range files {
		slots <- struct{}{}
		all.Go(func() {
			o := client.FileOptions{FS: here, Listed: e, Several: true, KeepTime: true, Retry: client.Retry{Times: 3}}
			if _, err := pool.Download(ctx, "/"+e.Name, "/"+e.Name, o); err != nil {
				fmt.Println(err)
			}
			<-slots
		})
	}
	all.Wait()
	names, _ := afero.Glob(here, "/*.txt")
	fmt.Println(names)
	// Output: [/a.txt /b.txt /c.txt]
}

// A failed transfer is tried again, and continues where it stopped.
func ExampleRetry() {
	_, addr, stop := exampleClient("/hello.txt", "hello\n")
	defer stop()

	ctx := context.Background()
	pool := client.NewPool(addr, 1, &client.Options{User: "alice", Password: "secret"})
	defer pool.Close()
	files := afero.NewMemMapFs()
	res, err := pool.Download(ctx, "/hello.txt", "hello.txt", client.FileOptions{FS: files, Retry: client.Retry{Times: 3}})
	fmt.Println(res.Bytes, err)
	// Output: 6 <nil>
}
