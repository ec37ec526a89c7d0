package ftptest_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

// A test of a download, in ten lines. In a test of your own, t is the test's and
// the function under test is yours.
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

// example stands in for a *testing.T, which an Example does not have.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()                   {}
func (e *example) Cleanup(f func())          { e.cleanups = append(e.cleanups, f) }
func (e *example) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (e *example) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func (e *example) end() {
	for _, f := range e.cleanups {
		f()
	}
}
