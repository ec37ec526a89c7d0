//go:build unix

package fsroot

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"
)

// jail is a root with symlinks of every kind. Next to it is what must stay out of
// reach: secret (a file), out (a directory) and root_evil (a directory whose name
// begins like the root's).
type jail struct {
	*Root
	top string // the host directory that contains root, out, root_evil and secret
}

func newJail(t *testing.T) jail {
	t.Helper()
	top := t.TempDir()
	host := func(name string) string { return filepath.Join(top, name) }
	for _, dir := range []string{"root/in/deep", "out", "root_evil"} {
		check(t, os.MkdirAll(host(dir), 0o755))
	}
	for _, file := range []string{"secret", "out/f", "root_evil/f", "root/in/f"} {
		check(t, os.WriteFile(host(file), []byte(file), 0o644))
	}
	for link, target := range map[string]string{
		// These lead to files inside.
		"rel": "in/f", "reldir": "in", "in/deep/up": "../f",
		"abs": host("root/in/f"), "absdir": host("root/in"), "abstop": host("root"),
		"abschain": host("root/reldir/deep/up"), "absdangling": host("root/in/new"),
		"in/absback": host("root/absdir") + "/../rel",
		// These lead out.
		"outrel": "../secret", "outreldir": "../out", "outabs": host("secret"), "outabsdir": host("out"),
		"evil": host("root_evil"), "evilfile": host("root_evil/f"), "etc": "/etc",
		"outback": "../root/in", "outchain": "outabsdir", "absthenout": host("root") + "/../out",
		"outdangling": "../nothing", "outabsdangling": host("nothing"),
		// These lead to no file.
		"loop": "loop", "absloop": host("root/absloop"),
	} {
		check(t, os.Symlink(target, host(filepath.Join("root", link))))
	}
	r, err := OpenRoot(host("root"))
	check(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return jail{r, top}
}

func TestLinksInside(t *testing.T) {
	j := newJail(t)
	for _, name := range []string{
		"/rel", "/reldir/f", "/in/deep/up", "/reldir/deep/up",
		"/abs", "/absdir/f", "/absdir/deep/up", "/abstop/abstop/abs", "/abschain", "/in/absback",
		"/../abs", "/nothing/../abs",
	} {
		if got := get(t, j, name); got != "root/in/f" {
			t.Errorf("%s contains %q", name, got)
		}
		fi, err := j.Stat(name)
		if err != nil || fi.Size() != int64(len("root/in/f")) {
			t.Errorf("stat %s: %v, %v", name, fi, err)
		}
	}
	// Writes work too: through a symlink to a directory, and through a dangling symlink.
	put(t, j, "/absdir/made", "1")
	put(t, j, "/absdangling", "2")
	check(t, j.Mkdir("/absdir/sub", 0o755))
	check(t, j.MkdirAll("/absdir/sub/a/b", 0o755))
	check(t, j.MkdirAll("/absdir", 0o755))
	check(t, j.Chmod("/abs", 0o600))
	check(t, j.Chown("/abs", -1, -1))
	check(t, j.Chtimes("/abs", time.Time{}, time.Unix(5, 0)))
	check(t, j.Rename("/absdir/made", "/absdir/sub/moved"))
	if got := get(t, j, "/in/sub/moved") + get(t, j, "/in/new"); got != "12" {
		t.Errorf("wrote %q, want 12", got)
	}
	fi, err := j.Stat("/in/f")
	check(t, err)
	if fi.Mode().Perm() != 0o600 || !fi.ModTime().Equal(time.Unix(5, 0)) {
		t.Errorf("through the link: mode %v, time %v", fi.Mode(), fi.ModTime())
	}
	// A symlink at the end of the path is itself removed or renamed.
	check(t, j.Rename("/abs", "/absdir/link"))
	check(t, j.Remove("/absdir/link"))
	check(t, j.RemoveAll("/absdir"))
	if got := get(t, j, "/in/f"); got != "root/in/f" {
		t.Errorf("the target of a removed link contains %q", got)
	}
}

// Every method that has a path refuses every path that leads out.
func TestEscapesRefused(t *testing.T) {
	ops := map[string]func(j jail, name string) error{
		"open":     func(j jail, n string) error { _, err := j.Open(n); return err },
		"create":   func(j jail, n string) error { _, err := j.Create(n); return err },
		"append":   func(j jail, n string) error { _, err := j.OpenFile(n, os.O_WRONLY|os.O_APPEND, 0); return err },
		"stat":     func(j jail, n string) error { return stat(j, n) },
		"mkdirall": func(j jail, n string) error { return mkdirs(j, n+"/x") },
		"mkdir":    func(j jail, n string) error { return mkdir(j, n+"/x") },
		"remove":   func(j jail, n string) error { return remove(j, n+"/f") },
		"rmall":    func(j jail, n string) error { return rmAll(j, n+"/f") },
		"from":     func(j jail, n string) error { return j.Rename(n+"/f", "/stolen") },
		"to":       func(j jail, n string) error { return moveOut(j, n) },
		"chmod":    func(j jail, n string) error { return j.Chmod(n, 0o777) },
		"chown":    func(j jail, n string) error { return j.Chown(n, 0, 0) },
		"chtimes":  func(j jail, n string) error { return touch(j, n) },
		"lstat":    func(j jail, n string) error { _, _, err := j.LstatIfPossible(n + "/f"); return err },
		"readlink": func(j jail, n string) error { _, err := j.ReadlinkIfPossible(n); return err },
		"symlink":  func(j jail, n string) error { return j.SymlinkIfPossible("f", n+"/l") },
		"linkto":   func(j jail, n string) error { return linkTo(j, n) },
		"free":     func(j jail, n string) error { _, err := j.Free(n); return err },
	}
	for _, name := range []string{
		"/outrel", "/outreldir", "/outabs", "/outabsdir", "/evil", "/evilfile", "/etc", "/outback",
		"/outchain", "/absthenout", "/outdangling", "/outabsdangling",
		"/reldir/../outreldir", "/abstop/outabsdir",
	} {
		j := newJail(t) // one for all, because none changes it
		before := snapshotTree(t, j.top)
		for op, f := range ops {
			t.Run(op+name, func(t *testing.T) {
				err := f(j, name)
				if op == "readlink" && err == nil && filepath.Base(name) == "outchain" {
					return // the target of the link itself is inside
				}
				if !errors.Is(err, fs.ErrPermission) {
					t.Errorf("error %v, want permission", err)
				}
				wantErr(t, err, fs.ErrPermission, errPath(err), j.top)
				if after := snapshotTree(t, j.top); before != after {
					t.Errorf("the host changed:\n%s\nto\n%s", before, after)
					before = after
				}
			})
		}
	}
}

func moveOut(j jail, name string) error { return j.Rename("/in/f", name+"/f2") }

func linkTo(j jail, name string) error { return j.SymlinkIfPossible(name, "/fresh") }

func errPath(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Path
	}
	return ""
}

// snapshotTree returns a description of all files below a host directory.
func snapshotTree(t *testing.T, top string) string {
	t.Helper()
	var out string
	check(t, filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		out += p + " " + fi.Mode().String() + " " + fi.ModTime().String() + "\n"
		return err
	}))
	return out
}

func TestReadlink(t *testing.T) {
	j := newJail(t)
	for name, want := range map[string]string{
		"/rel": "in/f", "/in/deep/up": "../f", "/absdir/deep/up": "../f", "/abs": "/in/f",
		"/abstop": "/", "/abschain": "/reldir/deep/up", "/outchain": "outabsdir", "/loop": "loop",
	} {
		if got, err := j.ReadlinkIfPossible(name); err != nil || got != want {
			t.Errorf("readlink %s = %q, %v, want %q", name, got, err, want)
		}
	}
	_, err := j.ReadlinkIfPossible("/in/f")
	wantErr(t, err, syscall.EINVAL, "/in/f", j.top)
}

func TestLoops(t *testing.T) {
	j := newJail(t)
	for _, name := range []string{"/loop", "/absloop"} {
		wantErr(t, stat(j, name), syscall.ELOOP, name, j.top)
	}
}

func TestSymlink(t *testing.T) {
	tests := []struct {
		target, link string
		onDisk       string // empty means refused
	}{
		{"in/f", "/l", "in/f"},
		{"/in/f", "/l", "in/f"},
		{"/in/deep/x", "/absdir/deep/l", "x"},
		{"/in/deep", "/in/deep/l", "."},
		{"/reldir/f", "/in/l", "f"}, // the real path is below the directory of the link
		{"/in/f", "/in/deep/l", ""}, // the target is not below the directory of the link
		{"/in/f", "/absdir/deep/l", ""},
		{"/", "/in/deep/l", ""},
		{"/../../in/f", "/l", "in/f"},
		{"../f", "/in/deep/l", ""},
		{"../in/f", "/in/l", "f"},
		{"missing", "/l", "missing"},
		{"missing/../in", "/l", "in"},
		{"../secret", "/l", ""},
		{"../../../secret", "/in/deep/l", ""},
		{"../../secret", "/absdir/l", ""},
		{"in/../../secret", "/l", ""},
		{"abstop/../secret", "/l", ""},
		{"deep/../../../secret", "/in/l", ""},
		{"/outabs", "/l", ""},
	}
	for _, tt := range tests {
		t.Run(tt.target+" "+tt.link, func(t *testing.T) {
			j := newJail(t)
			err := j.SymlinkIfPossible(tt.target, tt.link)
			host := filepath.Join(j.top, "root", filepath.FromSlash(tt.link))
			got, readErr := os.Readlink(host)
			if tt.onDisk == "" {
				wantErr(t, err, fs.ErrPermission, tt.link, j.top)
				if readErr == nil {
					t.Errorf("the link was created, with the target %q", got)
				}
				return
			}
			if err != nil || got != tt.onDisk {
				t.Errorf("the target of the link is %q (%v), want %q", got, err, tt.onDisk)
			}
		})
	}
	j := newJail(t)
	wantErr(t, j.SymlinkIfPossible("in", "/rel"), fs.ErrExist, "/rel", j.top)
	wantErr(t, j.SymlinkIfPossible("in", "/no/l"), fs.ErrNotExist, "/no/l", j.top)
}

func TestLstat(t *testing.T) {
	j := newJail(t)
	for _, name := range []string{"/rel", "/abs", "/outabs", "/absdir/deep/up"} {
		fi, lstat, err := j.LstatIfPossible(name)
		if err != nil || !lstat || fi.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("lstat %s: %v, %v, %v", name, fi, lstat, err)
		}
	}
}

func TestBareFiles(t *testing.T) {
	j := newJail(t)
	for _, open := range []func() (afero.File, error){
		func() (afero.File, error) { return j.Open("/in/f") },
		func() (afero.File, error) { return j.Open("/abs") },
		func() (afero.File, error) { return j.Create("/new") },
		func() (afero.File, error) { return j.OpenFile("/new", os.O_WRONLY|os.O_APPEND, 0) },
		func() (afero.File, error) { return j.OpenFile("/newer", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) },
	} {
		f, err := open()
		check(t, err)
		if _, ok := f.(*os.File); !ok {
			t.Errorf("opened a %T", f)
		}
		check(t, f.Close())
	}
}

// An ordinary open of a FIFO would block until its other end is opened.
func TestSpecialFilesRefused(t *testing.T) {
	j := newJail(t)
	check(t, syscall.Mkfifo(filepath.Join(j.top, "root", "fifo"), 0o644))
	t.Chdir(j.top) // because the path of a socket is limited to about 100 bytes
	l, err := net.Listen("unix", "root/socket")
	check(t, err)
	defer l.Close()
	for _, name := range []string{"/fifo", "/socket"} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_APPEND} {
			_, err := j.OpenFile(name, flag, 0o644)
			wantErr(t, err, fs.ErrInvalid, name, j.top)
		}
		check(t, stat(j, name))
		for what, f := range map[string]func() error{
			"link through it":  func() error { return j.SymlinkIfPossible(name[1:]+"/x", "/l") },
			"absolute link":    func() error { return j.SymlinkIfPossible(name+"/x/../../in/f", "/in/l2") },
			"directory":        func() error { _, err := j.Dir(name); return err },
			"root":             func() error { _, err := j.Sub(name); return err },
			"root of the host": func() error { _, err := OpenRoot(filepath.Join(j.top, "root", name)); return err },
			"move to it":       func() error { return j.Rename("/in/deep", name+"/deep") },
		} {
			if err := f(); what != "absolute link" && !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

// If the target of a symlink changes between inside and outside while it is opened, the
// file outside must never be read.
func TestSwappedLink(t *testing.T) {
	j := newJail(t)
	link := filepath.Join(j.top, "root", "flip")
	flip := func(target string) {
		_ = os.Symlink(target, link+".new")
		_ = os.Rename(link+".new", link)
	}
	flip(filepath.Join(j.top, "root", "in"))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			flip(filepath.Join(j.top, []string{"root/in", "out"}[i%2]))
		}
	})
	for range 3000 {
		f, err := j.Open("/flip/f")
		if err != nil {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("error %v, want permission", err)
			}
			continue
		}
		b := make([]byte, 64)
		n, _ := f.Read(b)
		if got := string(b[:n]); got != "root/in/f" {
			t.Errorf("read %q from outside", got)
		}
		check(t, f.Close())
	}
	close(done)
	wg.Wait()
}

// If the path of the root contains a symlink, absolute links are inside with this path
// and with the resolved path.
func TestRootThroughLink(t *testing.T) {
	j := newJail(t)
	alias := filepath.Join(j.top, "alias")
	check(t, os.Symlink("root", alias))
	check(t, os.Symlink(filepath.Join(alias, "in/f"), filepath.Join(j.top, "root", "byalias")))
	r, err := OpenRoot(alias)
	check(t, err)
	defer r.Close()
	for _, name := range []string{"/abs", "/byalias"} {
		if got := get(t, r, name); got != "root/in/f" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

func TestNamesAreBytes(t *testing.T) {
	j := newJail(t)
	for _, name := range []string{"/ lead", "/trail ", "/\xff\xfe", "/a\\b", "/é", "/漢字", "/-la", "/#%[;"} {
		put(t, j, name, name)
		if got := get(t, j, name); got != name {
			t.Errorf("%q holds %q", name, got)
		}
		if _, err := os.Stat(filepath.Join(j.top, "root", name)); err != nil {
			t.Errorf("on the host: %v", err)
		}
	}
}

func TestFreeAndSys(t *testing.T) {
	j := newJail(t)
	n, err := j.Free("/in")
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this host does not tell")
	}
	if err != nil || n <= 0 {
		t.Errorf("free = %d, %v", n, err)
	}
	_, err = j.Free("/no")
	wantErr(t, err, fs.ErrNotExist, "/no", j.top)
	check(t, os.Link(filepath.Join(j.top, "root/in/f"), filepath.Join(j.top, "root/hard")))
	var ids [2]Sys
	for i, name := range []string{"/in/f", "/hard"} {
		fi, err := j.Stat(name)
		check(t, err)
		var ok bool
		if ids[i], ok = j.Sys(fi); !ok {
			t.Fatalf("Sys has no attributes of %s", name)
		}
	}
	if ids[0] != ids[1] || ids[0].Links != 2 || ids[0].Ino == 0 || ids[0].UID != uint32(os.Getuid()) {
		t.Errorf("two names of one file: %+v and %+v", ids[0], ids[1])
	}
}
