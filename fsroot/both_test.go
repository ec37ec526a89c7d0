package fsroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"
)

// sample creates /f ("one"), /d/g ("two") and the empty directory /e.
func sample(t *testing.T, fsys afero.Fs) {
	t.Helper()
	check(t, fsys.Mkdir("/d", 0o755))
	check(t, fsys.Mkdir("/e", 0o755))
	put(t, fsys, "/f", "one")
	put(t, fsys, "/d/g", "two")
}

func openWith(flag int) func(afero.Fs, string) error {
	return func(fsys afero.Fs, name string) error {
		f, err := fsys.OpenFile(name, flag, 0o644)
		if err == nil {
			err = f.Close()
		}
		return err
	}
}

func stat(fsys afero.Fs, name string) error   { _, err := fsys.Stat(name); return err }
func mkdir(fsys afero.Fs, name string) error  { return fsys.Mkdir(name, 0o755) }
func mkdirs(fsys afero.Fs, name string) error { return fsys.MkdirAll(name, 0o755) }
func remove(fsys afero.Fs, name string) error { return fsys.Remove(name) }
func rmAll(fsys afero.Fs, name string) error  { return fsys.RemoveAll(name) }
func chmod(fsys afero.Fs, name string) error  { return fsys.Chmod(name, 0o600) }
func touch(fsys afero.Fs, name string) error {
	return fsys.Chtimes(name, time.Time{}, time.Unix(1, 0))
}

func moveTo(to string) func(afero.Fs, string) error {
	return func(fsys afero.Fs, name string) error { return fsys.Rename(name, to) }
}

// The errors of the filesystem in memory are those of a disk: both have the same table.
func TestErrorsAsOnDisk(t *testing.T) {
	read, write := openWith(os.O_RDONLY), openWith(os.O_WRONLY)
	create, fresh := openWith(os.O_WRONLY|os.O_CREATE), openWith(os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	tests := []struct {
		name string
		op   func(afero.Fs, string) error
		path string
		want error // nil means success
	}{
		{"stat", stat, "/f", nil},
		{"stat top", stat, "/", nil},
		{"stat by a path that is not clean", stat, "//d/../../f/", nil},
		{"stat missing", stat, "/no", fs.ErrNotExist},
		{"stat below a file", stat, "/f/x", syscall.ENOTDIR},
		{"stat far below a file", stat, "/f/x/y", syscall.ENOTDIR},
		{"stat NUL", stat, "/a\x00b", fs.ErrInvalid},
		{"read missing", read, "/no", fs.ErrNotExist},
		{"write missing", write, "/no", fs.ErrNotExist},
		{"write a directory", write, "/d", syscall.EISDIR},
		{"create a directory", create, "/d", syscall.EISDIR},
		{"create the top", create, "/", syscall.EISDIR},
		{"create existing", create, "/f", nil},
		{"create exclusively", fresh, "/new", nil},
		{"create exclusively existing", fresh, "/f", fs.ErrExist},
		{"create exclusively a directory", fresh, "/d", fs.ErrExist},
		{"create without parent", create, "/no/x", fs.ErrNotExist},
		{"create below a file", create, "/f/x", syscall.ENOTDIR},
		{"create NUL", create, "/\x00", fs.ErrInvalid},
		{"mkdir", mkdir, "/new", nil},
		{"mkdir existing", mkdir, "/d", fs.ErrExist},
		{"mkdir file", mkdir, "/f", fs.ErrExist},
		{"mkdir top", mkdir, "/", fs.ErrExist},
		{"mkdir without parent", mkdir, "/no/x", fs.ErrNotExist},
		{"mkdir below a file", mkdir, "/f/x", syscall.ENOTDIR},
		{"mkdirall", mkdirs, "/x/y/z", nil},
		{"mkdirall existing", mkdirs, "/d", nil},
		{"mkdirall top", mkdirs, "/", nil},
		{"mkdirall below a file", mkdirs, "/f/x/y", syscall.ENOTDIR},
		{"remove file", remove, "/f", nil},
		{"remove empty directory", remove, "/e", nil},
		{"remove full directory", remove, "/d", syscall.ENOTEMPTY},
		{"remove missing", remove, "/no", fs.ErrNotExist},
		{"remove top", remove, "/d/..", fs.ErrPermission},
		{"removeall", rmAll, "/d", nil},
		{"removeall missing", rmAll, "/no", nil},
		{"removeall top", rmAll, "/", fs.ErrPermission},
		{"rename file", moveTo("/new"), "/f", nil},
		{"rename over a file", moveTo("/d/g"), "/f", nil},
		{"rename to itself", moveTo("/f"), "/f", nil},
		{"rename missing", moveTo("/new"), "/no", fs.ErrNotExist},
		{"rename into nothing", moveTo("/no/x"), "/f", fs.ErrNotExist},
		{"rename below a file", moveTo("/d/g/x"), "/f", syscall.ENOTDIR},
		{"rename over a directory", moveTo("/e"), "/f", fs.ErrExist},
		{"rename directory over directory", moveTo("/e"), "/d", fs.ErrExist},
		{"rename directory over file", moveTo("/f"), "/d", syscall.ENOTDIR},
		{"rename directory into itself", moveTo("/d/x"), "/d", syscall.EINVAL},
		{"rename top", moveTo("/x"), "/", fs.ErrPermission},
		{"rename onto top", moveTo("/"), "/f", fs.ErrPermission},
		{"chmod missing", chmod, "/no", fs.ErrNotExist},
		{"chtimes missing", touch, "/no", fs.ErrNotExist},
	}
	for _, tt := range tests {
		for kind, fsys := range both(t) {
			t.Run(tt.name+" "+kind, func(t *testing.T) {
				sample(t, fsys)
				err := tt.op(fsys, tt.path)
				if tt.want == nil {
					check(t, err)
					return
				}
				wantErr(t, err, tt.want, virtual(tt.path), hostOf(fsys))
			})
		}
	}
}

// hostOf returns the host path that errors must not contain.
func hostOf(fsys afero.Fs) string {
	if r, ok := fsys.(*Root); ok {
		return r.prefixes[0]
	}
	return ""
}

func TestRenameMovesTheTree(t *testing.T) {
	for kind, fsys := range both(t) {
		t.Run(kind, func(t *testing.T) {
			sample(t, fsys)
			check(t, fsys.MkdirAll("/d/a/b", 0o755))
			put(t, fsys, "/d/a/b/c", "deep")
			check(t, fsys.Rename("/d", "/e/moved"))
			if got := get(t, fsys, "/e/moved/a/b/c"); got != "deep" {
				t.Errorf("the moved file contains %q", got)
			}
			if _, err := fsys.Stat("/d/g"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the old name still exists: %v", err)
			}
			check(t, fsys.Rename("/f", "/e/moved/g"))
			if got := get(t, fsys, "/e/moved/g"); got != "one" {
				t.Errorf("the replaced file contains %q", got)
			}
			if got := list(t, fsys, "/"); !slices.Equal(got, []string{"e"}) {
				t.Errorf("the root contains %q", got)
			}
			if got := list(t, fsys, "/e/moved"); !slices.Equal(got, []string{"a", "g"}) {
				t.Errorf("the moved directory contains %q", got)
			}
			check(t, fsys.RemoveAll("/e"))
			if got := list(t, fsys, "/"); len(got) != 0 {
				t.Errorf("after RemoveAll the root contains %q", got)
			}
		})
	}
}

func list(t *testing.T, fsys afero.Fs, dir string) []string {
	t.Helper()
	f, err := fsys.Open(dir)
	check(t, err)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	check(t, err)
	slices.Sort(names)
	return names
}

func TestFileInfo(t *testing.T) {
	when := time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC)
	for kind, fsys := range both(t) {
		t.Run(kind, func(t *testing.T) {
			f, err := fsys.Create("/f")
			check(t, err)
			check(t, f.Close())
			put(t, fsys, "/f", "12345")
			check(t, fsys.Chtimes("/f", when, when))
			before, err := fsys.Stat("/f")
			check(t, err)
			check(t, fsys.Chmod("/f", 0o600))
			check(t, fsys.Chtimes("/f", time.Time{}, time.Time{}))
			after, err := fsys.Stat("/f")
			check(t, err)
			put(t, fsys, "/f", "1")
			if before.Size() != 5 || after.Size() != 5 {
				t.Errorf("sizes %d and %d changed with the file, want 5", before.Size(), after.Size())
			}
			if before.Mode()&0o7111 != 0 || before.Mode()&0o600 != 0o600 || after.Mode() != 0o600 {
				t.Errorf("modes %v then %v, want about 0644 then 0600", before.Mode(), after.Mode())
			}
			if !after.ModTime().Equal(when) {
				t.Errorf("time %v, want %v", after.ModTime(), when)
			}
		})
	}
}

func TestAppendAndSeek(t *testing.T) {
	for kind, fsys := range both(t) {
		t.Run(kind, func(t *testing.T) {
			put(t, fsys, "/f", "hello")
			f, err := fsys.OpenFile("/f", os.O_WRONLY|os.O_APPEND, 0)
			check(t, err)
			_, err = io.WriteString(f, " world")
			check(t, errors.Join(err, f.Close()))
			f, err = fsys.OpenFile("/f", os.O_WRONLY, 0)
			check(t, err)
			_, err = f.Seek(0, io.SeekStart)
			check(t, err)
			_, err = io.WriteString(f, "J")
			check(t, errors.Join(err, f.Close()))
			if got := get(t, fsys, "/f"); got != "Jello world" {
				t.Errorf("the file holds %q", got)
			}
		})
	}
}

func TestPositions(t *testing.T) {
	for kind, fsys := range both(t) {
		t.Run(kind, func(t *testing.T) {
			put(t, fsys, "/f", "0123456789")
			f, err := fsys.OpenFile("/f", os.O_RDWR, 0)
			check(t, err)
			defer f.Close()
			seek(t, f, 3, io.SeekStart, 3)
			_, err = f.WriteAt([]byte("X"), 9)
			check(t, err)
			b := make([]byte, 4)
			if n, err := f.ReadAt(b, 8); n != 2 || !errors.Is(err, io.EOF) || string(b[:n]) != "8X" {
				t.Errorf("ReadAt = %q, %v", b[:n], err)
			}
			if n, err := f.Read(b); n != 4 || err != nil || string(b) != "3456" {
				t.Errorf("Read after ReadAt and WriteAt = %q, %v", b[:n], err)
			}
			seek(t, f, -1, io.SeekCurrent, 6)
			seek(t, f, -2, io.SeekEnd, 8)
			if _, err := f.Seek(-1, io.SeekStart); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("negative position: %v", err)
			}
			if _, err := f.ReadAt(b, -1); err == nil {
				t.Error("ReadAt of a negative offset")
			}
			seek(t, f, 2, io.SeekEnd, 12)
			if n, err := f.Read(b); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("Read past the end = %d, %v", n, err)
			}
			_, err = f.WriteString("!")
			check(t, err)
			if got := get(t, fsys, "/f"); got != "012345678X\x00\x00!" {
				t.Errorf("the file holds %q", got)
			}
		})
	}
}

func seek(t *testing.T, f afero.File, offset int64, whence int, want int64) {
	t.Helper()
	if got, err := f.Seek(offset, whence); got != want || err != nil {
		t.Errorf("Seek(%d, %d) = %d, %v, want %d", offset, whence, got, err, want)
	}
}
