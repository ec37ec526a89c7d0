package ftptest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

// A test of a download in ten lines. In your own test, t is the *testing.T, and you call
// the function under test.
func Example() {
	t := new(example)
	defer t.end()

	files := afero.NewMemMapFs()
	_ = afero.WriteFile(files, "/greeting.txt", []byte("hello"), 0o644)
	srv := ftptest.NewServer(t, files)

	c, err := client.Dial(context.Background(), srv.Addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got bytes.Buffer
	n, err := c.Retrieve(context.Background(), "/greeting.txt", &got)
	fmt.Println(n, err, got.String())

	srv.Fail("RETR", ftptest.ShortAfter(2))
	_, err = c.Retrieve(context.Background(), "/greeting.txt", &got)
	fmt.Println(err)

	// Output:
	// 5 <nil> hello
	// cut short: 2 of 5 bytes, though the server says 226 Done.
}

// The first two uploads fail in different ways. The third succeeds.
func ExampleServer_Fail() {
	t := new(example)
	defer t.end()

	srv := ftptest.NewServer(t, nil)
	srv.Fail("STOR", ftptest.Reply(452, "Disk full.").Times(1), ftptest.CutAfter(2).Times(1))

	c := srv.Client()
	for range 3 {
		_, err := c.Store(context.Background(), "/up.txt", strings.NewReader("hello"))
		var refused *ftp.Error
		switch {
		case errors.As(err, &refused):
			fmt.Println("refused:", refused.Code)
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// refused: 452
	// refused: 426
	// <nil>
}

// Two Products list the same files. vsftpd hides names that begin with a dot.
func ExampleLike() {
	t := new(example)
	defer t.end()

	files := afero.NewMemMapFs()
	_ = afero.WriteFile(files, "/.profile", []byte("x"), 0o644)
	for _, p := range []ftptest.Product{ftptest.VSFTPD(), ftptest.Pyftpdlib()} {
		c := ftptest.NewServer(t, files, ftptest.Like(p)).Client()
		names, err := c.Names(context.Background(), "/")
		fmt.Println(c.Greeting().Text(), names, err)
	}
	// Output:
	// (vsFTPd 3.0.3) [] <nil>
	// pyftpdlib 1.5.7 ready. [.profile] <nil>
}

// example replaces the *testing.T, which an Example does not have.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()                   {}
func (e *example) Cleanup(f func())          { e.cleanups = append(e.cleanups, f) }
func (e *example) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (e *example) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func (e *example) end() {
	for i := range e.cleanups {
		e.cleanups[len(e.cleanups)-1-i]()
	}
}
