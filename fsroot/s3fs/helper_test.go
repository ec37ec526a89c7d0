package s3fs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot/s3fs"
	"miniftp/internal/s3peer"
)

const (
	mib  = 1 << 20
	part = 5 * mib // the least that S3 allows
)

var keys = &s3fs.Options{AccessKey: s3peer.AccessKey, SecretKey: s3peer.SecretKey}

// open returns a filesystem over a gateway, with parts of 5 MiB.
func open(t testing.TB, g *s3peer.Gateway, prefix, more string) *s3fs.Fs {
	t.Helper()
	f, err := s3fs.Open(t.Context(), g.URL(prefix, more), keys)
	check(t, err)
	t.Cleanup(func() { check(t, f.Close()) })
	f.SetSizes(part, 1000, 6*mib, 7*mib)
	return f
}

// fresh returns a filesystem over a gateway of its own.
func fresh(t testing.TB) *s3fs.Fs {
	t.Helper()
	return open(t, s3peer.Start(t, t.TempDir()), "", "")
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func put(t testing.TB, f afero.Fs, name, content string) {
	t.Helper()
	file, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	check(t, err)
	_, err = io.WriteString(file, content)
	check(t, errors.Join(err, file.Close()))
}

func get(t testing.TB, f afero.Fs, name string) string {
	t.Helper()
	file, err := f.Open(name)
	check(t, err)
	defer file.Close()
	b, err := io.ReadAll(file)
	check(t, err)
	return string(b)
}

// random returns n bytes that can't be compressed and differ from those of other seeds.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func same(t testing.TB, f afero.Fs, name string, want []byte) {
	t.Helper()
	if got := []byte(get(t, f, name)); !bytes.Equal(got, want) {
		t.Fatalf("%s has %d bytes, want %d; equal up to %d", name, len(got), len(want), common(got, want))
	}
}

func common(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func list(t testing.TB, f afero.Fs, dir string) []string {
	t.Helper()
	file, err := f.Open(dir)
	check(t, err)
	defer file.Close()
	names, err := file.Readdirnames(-1)
	check(t, err)
	slices.Sort(names)
	return names
}

func absent(t testing.TB, f afero.Fs, name string) {
	t.Helper()
	_, err := f.Stat(name)
	wantErr(t, err, fs.ErrNotExist)
}
