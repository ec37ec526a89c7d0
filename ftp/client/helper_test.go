package client_test

import (
	"os"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

func TestMain(m *testing.M) { os.Exit(testutil.Main(m)) }

// dial logs in at a fake server.
func dial(t *testing.T, f *fakeserver.Server, o *client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), f.Addr, o)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// over returns options for a file in fsys.
func over(fsys afero.Fs, o client.FileOptions) client.FileOptions {
	o.FS = fsys
	return o
}
