package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/ftptest"
)

// runVerbs runs the program with these verbs in this process, with no wait before retries.
func runVerbs(t *testing.T, verbs []verb, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runWith(t.Context(), verbs, append([]string{"miniftp"}, args...), stdio{in: strings.NewReader("from stdin"), out: &o, err: &e},
		func(int) time.Duration { return 0 })
	return code, o.String(), e.String()
}

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i / 251)
	}
	return b
}

// withFile is a server that has /a.bin.
func withFile(t *testing.T, data []byte, options ...ftptest.Option) *ftptest.Server {
	t.Helper()
	files := afero.NewMemMapFs()
	if err := afero.WriteFile(files, "/a.bin", data, 0o644); err != nil {
		t.Fatal(err)
	}
	return ftptest.NewServer(t, files, options...)
}

func readFile(t *testing.T, fsys afero.Fs, name string) []byte {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeFile writes a file of a test; only its owner may read it.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
