package fsroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/spf13/afero"
)

// put writes a file through the filesystem under test.
func put(t *testing.T, fsys afero.Fs, name, content string) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	_, err = io.WriteString(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

// get reads a file through the filesystem under test.
func get(t *testing.T, fsys afero.Fs, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	return string(b)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr checks that err is of a kind, that it is a *fs.PathError with the virtual path,
// and that it does not contain a host path.
func wantErr(t *testing.T, err, kind error, virtualPath, host string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want %v", err, kind)
		return
	}
	var pe *fs.PathError
	if !errors.As(err, &pe) || pe.Path != virtualPath {
		t.Errorf("error %#v, want a *fs.PathError for %s", err, virtualPath)
	}
	if host != "" && strings.Contains(err.Error(), host) {
		t.Errorf("error %q contains the host path %s", err, host)
	}
}
