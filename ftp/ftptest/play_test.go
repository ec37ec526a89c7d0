package ftptest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/ftptest"
)

// TestWire plays every script against package server and then against package client.
func TestWire(t *testing.T) {
	files, err := filepath.Glob("../../testdata/wire/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ftptest.ReadScript(filepath.Base(name), data)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("server", func(t *testing.T) { playServer(t, s) })
			if s.Do != nil {
				t.Run("client", func(t *testing.T) { playClient(t, s) })
			}
		})
	}
}

func playServer(t *testing.T, s *ftptest.Script) {
	fsys := afero.NewMemMapFs()
	if err := s.Lay(fsys); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, fsys)
	if err := ftptest.Play(s, srv.Addr); err != nil {
		t.Fatal(err)
	}
	if err := s.Compare(fsys); err != nil {
		t.Fatal(err)
	}
}
