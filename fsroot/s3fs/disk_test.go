package s3fs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/internal/s3peer"
)

func openWith(flag int) func(afero.Fs, string) error {
	return func(f afero.Fs, name string) error {
		file, err := f.OpenFile(name, flag, 0o644)
		if err == nil {
			err = file.Close()
		}
		return err
	}
}

func stat(f afero.Fs, name string) error   { _, err := f.Stat(name); return err }
func mkdir(f afero.Fs, name string) error  { return f.Mkdir(name, 0o755) }
func mkdirs(f afero.Fs, name string) error { return f.MkdirAll(name, 0o755) }
func remove(f afero.Fs, name string) error { return f.Remove(name) }
func rmAll(f afero.Fs, name string) error  { return f.RemoveAll(name) }
func chmod(f afero.Fs, name string) error  { return f.Chmod(name, 0o600) }
func touch(f afero.Fs, name string) error {
	return f.Chtimes(name, time.Time{}, time.Unix(1, 0))
}

func moveTo(to string) func(afero.Fs, string) error {
	return func(f afero.Fs, name string) error { return f.Rename(name, to) }
}

func moveNewTo(to string) func(afero.Fs, string) error {
	return func(f afero.Fs, name string) error {
		return f.(interface{ RenameNew(a, b string) error }).RenameNew(name, to)
	}
}

// The errors are those of a disk: most of the table is that of fsroot.
func TestErrorsAsOnDisk(t *testing.T) {
	t.Parallel()
	read, over := openWith(os.O_RDONLY), openWith(os.O_WRONLY|os.O_TRUNC)
	create, fresh := openWith(os.O_WRONLY|os.O_CREATE|os.O_TRUNC), openWith(os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	both := openWith(os.O_RDWR)
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
		{"stat a line break", stat, "/a\r\nb", fs.ErrInvalid},
		{"stat Latin-1", stat, "/caf\xe9", syscall.EILSEQ},
		{"stat reserved", stat, "/d/.miniftp/x", fs.ErrPermission},
		{"stat too long for the disk of the gateway", stat, "/" + strings.Repeat("x", 300), syscall.ENAMETOOLONG},
		{"stat too long", stat, "/" + strings.Repeat("x", 1024), syscall.ENAMETOOLONG},
		{"read missing", read, "/no", fs.ErrNotExist},
		{"read a directory", read, "/d", nil},
		{"read and write", both, "/f", errors.ErrUnsupported},
		{"write missing", over, "/no", fs.ErrNotExist},
		{"write a directory", over, "/d", syscall.EISDIR},
		{"write in the middle", openWith(os.O_WRONLY), "/f", errors.ErrUnsupported},
		{"create a directory", create, "/d", syscall.EISDIR},
		{"create the top", create, "/", syscall.EISDIR},
		{"create reserved", create, "/.miniftp", fs.ErrPermission},
		{"create existing", create, "/f", nil},
		{"create exclusively", fresh, "/new", nil},
		{"create exclusively existing", fresh, "/f", fs.ErrExist},
		{"create exclusively a directory", fresh, "/d", fs.ErrExist},
		{"create without parent", create, "/no/x", fs.ErrNotExist},
		{"create below a file", create, "/f/x", syscall.ENOTDIR},
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
		{"rename new", moveNewTo("/new"), "/f", nil},
		{"rename new over a file", moveNewTo("/d/g"), "/f", fs.ErrExist},
		{"chmod", chmod, "/f", errors.ErrUnsupported},
		{"chmod missing", chmod, "/no", fs.ErrNotExist},
		{"chtimes", touch, "/f", nil},
		{"chtimes of a directory", touch, "/d", errors.ErrUnsupported},
		{"chtimes missing", touch, "/no", fs.ErrNotExist},
	}
	g := s3peer.Start(t, t.TempDir())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := open(t, g, strings.ReplaceAll(tt.name, " ", "-"), "")
			put(t, f, "/f", "one")
			check(t, f.Mkdir("/d", 0o755))
			check(t, f.Mkdir("/e", 0o755))
			put(t, f, "/d/g", "two")
			err := tt.op(f, tt.path)
			if tt.want == nil {
				check(t, err)
				return
			}
			wantErr(t, err, tt.want)
			if pe := (*fs.PathError)(nil); !errors.As(err, &pe) || pe.Path != path.Clean("/"+tt.path) {
				t.Errorf("error %#v is no *fs.PathError of %s", err, tt.path)
			}
		})
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	f := fresh(t)
	put(t, f, "/f", "0123456789")
	file, err := f.Open("/f")
	check(t, err)
	defer file.Close()
	seek := func(offset int64, whence int, want int64) {
		t.Helper()
		if at, err := file.Seek(offset, whence); at != want || err != nil {
			t.Fatalf("Seek = %d, %v; want %d", at, err, want)
		}
	}
	b := make([]byte, 4)
	seek(3, io.SeekStart, 3)
	if n, err := file.ReadAt(b, 8); n != 2 || !errors.Is(err, io.EOF) || string(b[:n]) != "89" {
		t.Errorf("ReadAt = %q, %v", b[:n], err)
	}
	if n, err := io.ReadFull(file, b); n != 4 || err != nil || string(b) != "3456" {
		t.Errorf("Read after ReadAt = %q, %v", b[:n], err)
	}
	seek(-1, io.SeekCurrent, 6)
	seek(-2, io.SeekEnd, 8)
	if got, err := io.ReadAll(file); string(got) != "89" || err != nil {
		t.Errorf("the end is %q, %v", got, err)
	}
	if _, err := file.Seek(-1, io.SeekStart); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("negative position: %v", err)
	}
	seek(2, io.SeekEnd, 12)
	if n, err := file.Read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("Read past the end = %d, %v", n, err)
	}
	seek(0, io.SeekStart, 0)
	put(t, f, "/f", "another version")
	_, err = io.ReadAll(file)
	wantErr(t, err, syscall.ESTALE)

	put(t, f, "/empty", "")
	same(t, f, "/empty", nil)
}

func TestTimes(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f, exact := open(t, g, "", ""), open(t, g, "", "&times=exact")
	when := time.Date(2020, 2, 29, 1, 2, 3, 456_000_000, time.UTC)
	put(t, f, "/f", "content")
	before, err := f.Stat("/f")
	check(t, err)
	if age := time.Since(before.ModTime()); age < -2*time.Second || age > time.Minute {
		t.Errorf("the new file is %v old", age)
	}
	check(t, f.Chtimes("/f", when, when))
	put(t, f, "/g", "no time")
	check(t, f.Mkdir("/d", 0))
	after, err := f.Stat("/f")
	check(t, err)
	if !after.ModTime().Equal(when) || after.Mode() != 0o644 || after.Size() != 7 {
		t.Errorf("after Chtimes: %v %v %d", after.ModTime(), after.Mode(), after.Size())
	}
	if after.Sys() == nil || after.Sys() != before.Sys() {
		t.Errorf("Sys is %v, then %v", before.Sys(), after.Sys())
	}
	listed := map[string]fs.FileInfo{}
	for fi, err := range exact.ReadDirSeq("/") {
		check(t, err)
		listed[fi.Name()] = fi
	}
	if len(listed) != 3 || !listed["f"].ModTime().Equal(when) || !listed["d"].IsDir() {
		t.Errorf("listed %v", listed)
	}
	// A rename keeps the time and the version.
	check(t, f.Rename("/f", "/d/moved"))
	moved, err := f.Stat("/d/moved")
	check(t, err)
	if !moved.ModTime().Equal(when) || moved.Sys() != after.Sys() {
		t.Errorf("after the rename: %v %v", moved.ModTime(), moved.Sys())
	}
}
