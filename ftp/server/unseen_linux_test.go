package server

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"miniftp/ftp"
)

// In a directory that can be read but not searched no entry can be examined. Each is still listed, without the
// unknown facts.
func TestEntriesThatCannotBeLookedAt(t *testing.T) {
	runtime.LockOSThread() // never unlocked, so that the thread, which changes its user, ends with the goroutine
	dir := filepath.Join(t.TempDir(), "d")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644),
		os.Symlink("file", filepath.Join(dir, "link")), os.Chmod(dir, 0o744),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	for _, tt := range []struct {
		desc describer
		line func(b []byte, e *ftp.Entry) []byte
		want []string
	}{
		{describer{}, listLine(), []string{"d---------", "----------", "l---------"}},
		{describer{facts: ftp.AllFacts}, func(b []byte, e *ftp.Entry) []byte { return ftp.AppendMLSx(b, e, ftp.AllFacts) }, []string{
			"type=dir;perm=; sub", "type=file;perm=; file", "type=OS.unix=slink;perm=; link",
		}},
		{describer{namesOnly: true}, nameLine("d/"), []string{"d/sub", "d/file", "d/link"}},
	} {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		l := &listing{desc: tt.desc, line: tt.line}
		l.open = l.desc.fastDir(f, "/d", 0)
		if os.Geteuid() == 0 {
			unix.SetfsuidRetUid(12345)
		}
		text, err := io.ReadAll(l)
		if os.Geteuid() == 0 {
			unix.SetfsuidRetUid(0)
		}
		if err != nil {
			t.Errorf("%v: %v", tt.want, err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\r\n")
		for _, want := range tt.want {
			found := false
			for _, line := range lines {
				found = found || strings.HasPrefix(line, want)
			}
			if !found || len(lines) != len(tt.want) {
				t.Errorf("%q is not in %q", want, lines)
			}
		}
	}
}

// A failure of the directory itself ends the listing with an error.
func TestDirectoryThatCannotBeReadOn(t *testing.T) {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &listing{line: nameLine("")}
	l.open = l.desc.fastDir(f, "/d", 0)
	_ = f.Close()
	l.open.(*fastDir).fd = -1
	if _, err := io.ReadAll(l); !errors.Is(err, unix.EBADF) {
		t.Errorf("%v, want EBADF", err)
	}
}
