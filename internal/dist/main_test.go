package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// .ci/run builds a release twice and compares: that takes a minute. Here is what needs no build.

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// files makes a program and a document.
func files(t *testing.T) []string {
	dir := t.TempDir()
	program, doc := filepath.Join(dir, "miniftp"), filepath.Join(dir, "README.md")
	for _, f := range []string{program, doc} {
		if err := os.WriteFile(f, []byte("content of "+filepath.Base(f)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{program, doc}
}

func TestTarball(t *testing.T) {
	var out bytes.Buffer
	if err := tarball(&out, "miniftp-1.0", files(t), noon); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(noon) {
			t.Errorf("%s has the time %v", h.Name, h.ModTime)
		}
		got[h.Name] = h.Mode
	}
	if len(got) != 2 || got["miniftp-1.0/miniftp"] != 0o755 || got["miniftp-1.0/README.md"] != 0o644 {
		t.Errorf("the archive holds %v", got)
	}
}

func TestZip(t *testing.T) {
	var out bytes.Buffer
	if err := zipped(&out, "miniftp-1.0", files(t), noon); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open("miniftp-1.0/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if content, _ := io.ReadAll(f); string(content) != "content of README.md" {
		t.Errorf("README.md holds %q", content)
	}
}

func TestListOfModules(t *testing.T) {
	r := &release{version: "1.0", time: noon, out: t.TempDir(), sums: map[string][sha256.Size]byte{}, modules: map[string]*debug.Module{
		"example.com/b": {Path: "example.com/b", Version: "v2.0.0"}, "example.com/a": {Path: "example.com/a", Version: "v1.0.0"},
	}}
	if err := r.writeModules(); err != nil {
		t.Fatal(err)
	}
	if err := r.writeSums(); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(filepath.Join(r.out, "miniftp-1.0.cdx.json"))
	if a, b := strings.Index(string(text), "pkg:golang/example.com/a@v1.0.0"), strings.Index(string(text), "pkg:golang/example.com/b@v2.0.0"); a < 0 || b < a {
		t.Errorf("the modules are missing, or in no order:\n%s", text)
	}
	if sums, _ := os.ReadFile(filepath.Join(r.out, "SHA256SUMS")); !strings.HasSuffix(string(sums), "  miniftp-1.0.cdx.json\n") {
		t.Errorf("the checksums: %q", sums)
	}
}
