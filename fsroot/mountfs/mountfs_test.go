package mountfs_test

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/fsroot/fstest"
	"miniftp/fsroot/mountfs"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, fsys afero.Fs, name string) {
	t.Helper()
	check(t, afero.WriteFile(fsys, name, []byte(name), 0o644))
}

// disk returns a directory of the host as a storage.
func disk(t *testing.T) afero.Fs {
	t.Helper()
	root, err := fsroot.OpenRoot(t.TempDir())
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// tree returns a home with mounts at /in, at /in/deep, which is below another one, at /pub/a/b, whose parents are only
// partly in the home, and at /gone, which is unavailable.
func tree(t *testing.T, home func(*testing.T) afero.Fs) (f *mountfs.FS, top, in, deep, b afero.Fs) {
	t.Helper()
	top, in, deep, b = home(t), disk(t), fsroot.NewMem(), disk(t)
	write(t, top, "/file")
	check(t, top.MkdirAll("/in/hidden", 0o755))
	check(t, top.Mkdir("/pub", 0o755))
	write(t, top, "/pub/other")
	write(t, in, "/one")
	write(t, deep, "/two")
	write(t, b, "/three")
	f, err := mountfs.New(top,
		mountfs.Mount{Path: "/in", FS: in}, mountfs.Mount{Path: "/pub/a/b", FS: b},
		mountfs.Mount{Path: "/in/deep", FS: deep}, mountfs.Mount{Path: "/gone", FS: mountfs.Unavailable(errors.New("no bucket"))})
	check(t, err)
	return f, top, in, deep, b
}

func names(t *testing.T, fsys afero.Fs, dir string) string {
	t.Helper()
	d, err := fsys.Open(dir)
	check(t, err)
	defer d.Close()
	var all []string
	for {
		some, err := d.Readdirnames(1)
		all = append(all, some...)
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
	}
	slices.Sort(all)
	infos, err := afero.ReadDir(fsys, dir)
	check(t, err)
	for i, fi := range infos {
		if i >= len(all) || all[i] != fi.Name() {
			t.Errorf("%s: one by one: %q; at once the %d. is %q", dir, all, i, fi.Name())
		}
	}
	return strings.Join(all, " ")
}

// A tree of storages passes all checks, at its top and in a mount.
func TestStorage(t *testing.T) {
	f, _, _, _, _ := tree(t, disk)
	for dir, fsys := range map[string]afero.Fs{"/": f, "/in": afero.NewBasePathFs(f, "/in"), "/pub/a/b": afero.NewBasePathFs(f, "/pub/a/b")} {
		if err := fstest.TestFS(fsys); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	f, err := mountfs.New(fsroot.NewMem(), mountfs.Mount{Path: "/a/b", FS: disk(t)})
	check(t, err)
	check(t, fstest.TestFS(f))
}

func TestListings(t *testing.T) {
	for kind, home := range map[string]func(*testing.T) afero.Fs{
		"disk": disk, "mem": func(*testing.T) afero.Fs { return fsroot.NewMem() },
		"afero": func(*testing.T) afero.Fs { return afero.NewMemMapFs() },
	} {
		f, _, _, _, _ := tree(t, home)
		for dir, want := range map[string]string{
			"/": "file gone in pub", "/in": "deep one", "/in/deep": "two", "/pub": "a other", "/pub/a": "b", "/pub/a/b": "three",
		} {
			if got := names(t, f, dir); got != want {
				t.Errorf("%s: %s contains %q, want %q", kind, dir, got, want)
			}
			fi, err := f.Stat(dir)
			check(t, err)
			if want := dir[strings.LastIndex(dir, "/")+1:]; !fi.IsDir() || dir != "/" && fi.Name() != want {
				t.Errorf("%s: Stat(%s) returns %q, which is a directory: %v", kind, dir, fi.Name(), fi.IsDir())
			}
		}
		var walked []string
		check(t, afero.Walk(f, "/", func(p string, _ fs.FileInfo, err error) error {
			if walked = append(walked, p); p != "/gone" {
				return err
			}
			return nil
		}))
		if got := strings.Join(walked, " "); got != "/ /file /gone /in /in/deep /in/deep/two /in/one /pub /pub/a /pub/a/b /pub/a/b/three /pub/other" {
			t.Errorf("%s: Walk visits %s", kind, got)
		}
	}
}

// Mount points and the directories above them can't be changed, and the home keeps what they hide.
func TestFixed(t *testing.T) {
	f, top, _, _, _ := tree(t, disk)
	write(t, f, "/dir-to-be")
	for _, p := range []string{"/", "/in", "/in/deep", "/pub", "/pub/a", "/pub/a/b", "/gone"} {
		for op, err := range map[string]error{
			"Remove": f.Remove(p), "RemoveAll": f.RemoveAll(p), "Chmod": f.Chmod(p, 0o700), "Chown": f.Chown(p, 0, 0),
			"Chtimes": f.Chtimes(p, time.Now(), time.Now()), "Rename": f.Rename(p, "/new"), "Rename to": f.Rename("/file", p),
		} {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s(%s): %v", op, p, err)
			}
		}
		if err := f.Mkdir(p, 0o755); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Mkdir(%s): %v", p, err)
		}
		check(t, f.MkdirAll(p, 0o755))
		if _, err := f.Create(p); err == nil {
			t.Errorf("Create(%s) succeeds", p)
		}
		if err := f.SymlinkIfPossible("file", p); err == nil {
			t.Errorf("a symlink replaces %s", p)
		}
	}
	for _, p := range []string{"/file", "/in/hidden", "/pub/other"} {
		if _, err := top.Stat(p); err != nil {
			t.Errorf("the home has lost %s: %v", p, err)
		}
	}
	if _, err := f.Stat("/in/hidden"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/in/hidden shows: %v", err)
	}
}

// Nothing can be made in a directory that exists only for a mount point, and nothing is made of a failed try.
func TestOnlyForMounts(t *testing.T) {
	f, top, _, _, _ := tree(t, disk)
	for op, err := range map[string]error{
		"Mkdir": f.Mkdir("/pub/a/new", 0o755), "MkdirAll": f.MkdirAll("/pub/a/new/deep", 0o755),
		"WriteFile": afero.WriteFile(f, "/pub/a/new", nil, 0o644), "Rename": f.Rename("/file", "/pub/a/new"),
	} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := f.Stat("/pub/a/new"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := top.Stat("/pub/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the home got the parent of a mount point: %v", err)
	}
	check(t, f.MkdirAll("/pub/a/b/new/deep", 0o755))
}

func TestAcrossStorages(t *testing.T) {
	f, _, _, _, _ := tree(t, disk)
	check(t, f.Mkdir("/d", 0o755))
	for _, pair := range [][2]string{{"/file", "/in/file"}, {"/in/one", "/one"}, {"/in/one", "/in/deep/one"}, {"/in/deep/two", "/pub/a/b/two"}, {"/d", "/in/d"}} {
		if err := f.Rename(pair[0], pair[1]); !errors.Is(err, syscall.EXDEV) {
			t.Errorf("Rename%q: %v", pair, err)
		}
		if _, err := f.Stat(pair[0]); err != nil {
			t.Error(err)
		}
	}
	check(t, f.Rename("/in/one", "/in/two"))
	check(t, f.Rename("/file", "/pub/file"))
	if err := f.SymlinkIfPossible("../in/two", "/d/link"); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("a symlink to another storage: %v", err)
	}
	check(t, f.SymlinkIfPossible("two", "/in/link"))
	if target, err := f.ReadlinkIfPossible("/in/link"); target != "two" || err != nil {
		t.Error(target, err)
	}
	if fi, really, err := f.LstatIfPossible("/in/link"); err != nil || !really || fi.Mode()&fs.ModeSymlink == 0 {
		t.Error(fi, really, err)
	}
}

// A symlink resolves inside its own storage, even if its target has the path of a mount point.
func TestSymlinkStays(t *testing.T) {
	f, top, _, _, _ := tree(t, disk)
	check(t, top.(afero.Linker).SymlinkIfPossible("in", "/link"))
	if got := names(t, f, "/link"); got != "hidden" {
		t.Errorf("the link leads to %q", got)
	}
}

// An unavailable mount is listed, and says what it is; the others work.
func TestUnavailable(t *testing.T) {
	f, _, _, _, _ := tree(t, disk)
	if err := f.Missing(); err == nil || err.Error() != "/gone: no bucket" {
		t.Errorf("Missing returns %v", err)
	}
	_, stat := f.Stat("/gone")
	_, open := f.Open("/gone/x")
	for _, err := range []error{stat, open, f.Mkdir("/gone/x", 0o755), f.Remove("/gone/x"), afero.WriteFile(f, "/gone/x", nil, 0o644)} {
		if !errors.Is(err, syscall.ENODEV) || strings.Contains(err.Error(), "bucket") {
			t.Errorf("%v", err)
		}
	}
}

// Errors have the path in the tree, and files are those of the storage, for sendfile.
func TestPaths(t *testing.T) {
	f, _, _, _, _ := tree(t, disk)
	_, err := f.Open("/in/none")
	if inPath, ok := errors.AsType[*fs.PathError](err); !ok || inPath.Path != "/in/none" {
		t.Errorf("%v", err)
	}
	file, err := f.Open("/in/one")
	check(t, err)
	defer file.Close()
	if _, ok := file.(*os.File); !ok {
		t.Errorf("the file is a %T", file)
	}
}

// streams is a storage that lists as a stream.
type streams struct{ afero.Fs }

func (s streams) ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		all, err := afero.ReadDir(s.Fs, name)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, fi := range all {
			if !yield(fi, nil) {
				return
			}
		}
	}
}

func TestAt(t *testing.T) {
	f, top, in, deep, b := tree(t, disk)
	for _, test := range []struct {
		name   string
		want   afero.Fs
		inside string
	}{
		{"/file", top, "/file"},
		{"file/../x", top, "/x"},
		{"/in/one", in, "/one"},
		{"/inn", top, "/inn"},
		{"/in/deep", deep, "/"},
		{"/in/deep/x/y", deep, "/x/y"},
		{"/pub/a/b", b, "/"},
		{"/", f, "/"},
		{"/in", f, "/in"},
		{"/pub/a", f, "/pub/a"},
		{"/pub/new", top, "/pub/new"},
	} {
		if got, inside := f.At(test.name); got != test.want || inside != test.inside {
			t.Errorf("At(%s) returns %v, %s", test.name, got, inside)
		}
	}
	if n := testing.AllocsPerRun(100, func() { f.At("/in/deep/x") }); n != 0 {
		t.Errorf("At allocates %v times", n)
	}
	f, err := mountfs.New(streams{top}, mountfs.Mount{Path: "/in", FS: in})
	check(t, err)
	above, inside := f.At("/")
	s, ok := above.(interface {
		ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error]
	})
	if !ok {
		t.Fatal("a home that lists as a stream lost that")
	}
	var got []string
	for fi, err := range s.ReadDirSeq(inside) {
		check(t, err)
		got = append(got, fi.Name())
	}
	if slices.Sort(got); strings.Join(got, " ") != "file in pub" {
		t.Errorf("the stream has %q", got)
	}
	for _, err := range s.ReadDirSeq("/none") {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

func TestNew(t *testing.T) {
	for _, paths := range [][]string{{"/"}, {""}, {"in"}, {"/in/"}, {"/a//b"}, {"/../a"}, {"/a\nb"}, {"/in", "/in"}} {
		var mounts []mountfs.Mount
		for _, p := range paths {
			mounts = append(mounts, mountfs.Mount{Path: p, FS: fsroot.NewMem()})
		}
		if _, err := mountfs.New(fsroot.NewMem(), mounts...); err == nil {
			t.Errorf("New accepts %q", paths)
		}
	}
}

// asked is a storage that counts how often it is asked for its top.
type asked struct {
	afero.Fs
	stats int
}

func (a *asked) Stat(name string) (fs.FileInfo, error) {
	a.stats++
	return a.Fs.Stat(name)
}

// A listing does not wait for the storage of a mount that is far.
func TestFar(t *testing.T) {
	far := &asked{Fs: fsroot.NewMem()}
	f, err := mountfs.New(disk(t), mountfs.Mount{Path: "/far", FS: far, Far: true})
	check(t, err)
	if got := names(t, f, "/"); got != "far" || far.stats != 0 {
		t.Errorf("/ contains %q; the storage was asked %d times", got, far.stats)
	}
	if fi, err := f.Stat("/far"); err != nil || !fi.IsDir() || far.stats != 1 {
		t.Errorf("%v, %v; the storage was asked %d times", fi, err, far.stats)
	}
}

// flaky is a storage that can be made to fail.
type flaky struct {
	afero.Fs
	down bool
}

var errDown = errors.New("timeout")

func (f *flaky) Stat(name string) (fs.FileInfo, error) {
	if f.down {
		return nil, &fs.PathError{Op: "stat", Path: "/host" + name, Err: errDown}
	}
	return f.Fs.Stat(name)
}

// A home that fails is not an empty one: its directories above mount points can't be listed then.
func TestHomeFails(t *testing.T) {
	home := &flaky{Fs: fsroot.NewMem()}
	check(t, home.Mkdir("/pub", 0o755))
	write(t, home, "/pub/file")
	in := fsroot.NewMem()
	f, err := mountfs.New(home, mountfs.Mount{Path: "/pub/in", FS: in})
	check(t, err)
	stream, err := mountfs.New(streams{home}, mountfs.Mount{Path: "/pub/in", FS: in})
	check(t, err)
	home.down = true
	_, open := f.Open("/pub")
	_, stat := f.Stat("/pub/file")
	_, free := f.Free("/pub")
	var listed error
	above, inside := stream.At("/pub")
	for fi, err := range above.(interface {
		ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error]
	}).ReadDirSeq(inside) {
		if listed = err; err == nil {
			t.Errorf("the stream begins with %s", fi.Name())
		}
	}
	for op, err := range map[string]error{
		"Open": open, "Stat": stat, "Free": free, "ReadDirSeq": listed, "Mkdir": f.Mkdir("/pub/new", 0o755),
		"MkdirAll": f.MkdirAll("/pub/new", 0o755), "Remove": f.Remove("/pub/file"), "RemoveAll": f.RemoveAll("/pub/file"),
	} {
		if !errors.Is(err, errDown) || strings.Contains(err.Error(), "/host") {
			t.Errorf("%s: %v", op, err)
		}
	}
	check(t, afero.WriteFile(f, "/pub/in/x", nil, 0o644)) // the mount works
	home.down = false
	if got := names(t, f, "/pub"); got != "file in" {
		t.Errorf("/pub contains %q", got)
	}
}
