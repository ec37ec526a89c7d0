package fsroot

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/spf13/afero"
)

func TestReadOnlyRefusesEveryChange(t *testing.T) {
	writes := map[string]func(fsys afero.Fs) error{
		"create":    func(fsys afero.Fs) error { _, err := fsys.Create("/f"); return err },
		"mkdir":     func(fsys afero.Fs) error { return fsys.Mkdir("/f", 0o755) },
		"mkdirall":  func(fsys afero.Fs) error { return fsys.MkdirAll("/f", 0o755) },
		"remove":    func(fsys afero.Fs) error { return fsys.Remove("/f") },
		"removeall": func(fsys afero.Fs) error { return fsys.RemoveAll("/f") },
		"rename":    func(fsys afero.Fs) error { return fsys.Rename("/f", "/x") },
		"chmod":     func(fsys afero.Fs) error { return fsys.Chmod("/f", 0) },
		"chown":     func(fsys afero.Fs) error { return fsys.Chown("/f", 1, 1) },
		"chtimes":   func(fsys afero.Fs) error { return fsys.Chtimes("/f", time.Time{}, time.Now()) },
		"symlink":   func(fsys afero.Fs) error { return fsys.(afero.Linker).SymlinkIfPossible("d", "/f") },
	}
	for name, flag := range map[string]int{
		"write": os.O_WRONLY, "read-write": os.O_RDWR, "append": os.O_APPEND,
		"make": os.O_CREATE, "truncate": os.O_TRUNC,
	} {
		writes[name] = func(fsys afero.Fs) error { _, err := fsys.OpenFile("/f", flag, 0o644); return err }
	}
	for kind, inner := range both(t) {
		sample(t, inner)
		for name, write := range writes {
			t.Run(kind+" "+name, func(t *testing.T) {
				wantErr(t, write(ReadOnly(inner)), fs.ErrPermission, "/f", hostOf(inner))
				if got := get(t, inner, "/f"); got != "one" {
					t.Errorf("the file now contains %q", got)
				}
			})
		}
	}
}

func TestReadOnlyPassesOn(t *testing.T) {
	for kind, inner := range both(t) {
		t.Run(kind, func(t *testing.T) {
			sample(t, inner)
			ro := ReadOnly(inner)
			f, err := ro.OpenFile("/f", os.O_RDONLY, 0)
			check(t, err)
			defer f.Close()
			_, bare := f.(*os.File)
			if want := kind == "root"; bare != want {
				t.Errorf("opened a %T", f)
			}
			fi, lstat, err := ro.(afero.Lstater).LstatIfPossible("/f")
			check(t, err)
			if want := kind == "root"; lstat != want || fi.Size() != 3 {
				t.Errorf("lstat returned %v, size %d", lstat, fi.Size())
			}
			_, err = ro.(*readOnly).Free("/")
			_, known := ro.(*readOnly).Sys(fi)
			if _, ok := inner.(*Root); !ok && (!errors.Is(err, errors.ErrUnsupported) || known) {
				t.Errorf("free %v, sys %v from a filesystem that has neither", err, known)
			} else if _, want := sysOf(fi); ok && known != want {
				t.Errorf("sys %v, want %v", known, want)
			}
			_, err = ro.(afero.LinkReader).ReadlinkIfPossible("/f")
			if err == nil {
				t.Error("a file was read as a link")
			}
		})
	}
}
