package verbtest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/ftptest"
)

// Forest is a tree of n files, three levels deep.
func Forest(t *testing.T, fsys afero.Fs, root string, n int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("d%d/e%d/f%d", i%3, i%5, i)
		all[name] = strings.Repeat(name, i)
		if err := fsys.MkdirAll(filepath.Dir(root+"/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(fsys, root+"/"+name, []byte(all[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func HoldsAll(t *testing.T, fsys afero.Fs, root string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if b, err := afero.ReadFile(fsys, root+"/"+name); err != nil || string(b) != text {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// Logins counts the control connections that a server has had.
func Logins(s *ftptest.Server) (n int) {
	for _, e := range s.Events() {
		if _, ok := e.What.(ftp.LoggedInAs); ok {
			n++
		}
	}
	return n
}
