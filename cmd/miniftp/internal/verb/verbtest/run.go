// Package verbtest is what the tests of the verbs share: it runs a verb in this process or the whole
// program in another one, with servers that are well, hostile, or have faults.
//
// It must not know any verb: who tests one names it.
package verbtest

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp/ftptest"
)

// Run runs the program with these verbs in this process, with no wait before retries.
func Run(t *testing.T, verbs []verb.Verb, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = flags.RunWith(t.Context(), verbs, append([]string{"miniftp"}, args...), verb.Stdio{In: strings.NewReader("from stdin"), Out: &o, Err: &e},
		func(int) time.Duration { return 0 })
	return code, o.String(), e.String()
}

// Pattern is n bytes that differ from place to place.
func Pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i / 251)
	}
	return b
}

// WithFile is a server that has /a.bin.
func WithFile(t *testing.T, data []byte, options ...ftptest.Option) *ftptest.Server {
	t.Helper()
	files := afero.NewMemMapFs()
	if err := afero.WriteFile(files, "/a.bin", data, 0o644); err != nil {
		t.Fatal(err)
	}
	return ftptest.NewServer(t, files, options...)
}

func ReadFile(t *testing.T, fsys afero.Fs, name string) []byte {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// WriteFile writes a file of a test; only its owner may read it.
func WriteFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
