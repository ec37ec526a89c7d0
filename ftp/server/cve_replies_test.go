package server_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// brittle is a filesystem in which each method can be made to fail, with an error or a panic that contains a
// host path.
type brittle struct {
	inner wholeFs
	fail  *atomic.Pointer[failure]
}

// wholeFs has all the methods that the server uses of a storage.
type wholeFs interface {
	afero.Fs
	afero.Symlinker
	Free(name string) (int64, error)
}

// failure says which method fails, and how. "" means all methods.
type failure struct {
	in     string
	err    error
	panics bool
	met    *atomic.Bool
}

const hostWords = "/the/host/path says: nonsense in the storage"

func (b brittle) at(method string) error {
	f := b.fail.Load()
	if f == nil || f.in != "" && f.in != method {
		return nil
	}
	f.met.Store(true)
	if f.panics {
		panic(hostWords)
	}
	return &fs.PathError{Op: method, Path: "/the/host/path", Err: f.err}
}

// either returns one of two errors, preferably the injected one.
func (b brittle) either(method string, do func() error) error {
	if err := b.at(method); err != nil {
		return err
	}
	return do()
}

func (b brittle) Name() string { return "brittle" }

func (b brittle) file(f afero.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return brittleFile{f, b}, nil
}

func (b brittle) Create(name string) (afero.File, error) {
	return b.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (b brittle) Open(name string) (afero.File, error) {
	if err := b.at("Open"); err != nil {
		return nil, err
	}
	return b.file(b.inner.Open(name))
}

func (b brittle) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	if err := b.at("OpenFile"); err != nil {
		return nil, err
	}
	return b.file(b.inner.OpenFile(name, flag, perm))
}

func (b brittle) Mkdir(name string, perm os.FileMode) error {
	return b.either("Mkdir", func() error { return b.inner.Mkdir(name, perm) })
}

func (b brittle) MkdirAll(name string, perm os.FileMode) error {
	return b.either("MkdirAll", func() error { return b.inner.MkdirAll(name, perm) })
}

func (b brittle) Remove(name string) error {
	return b.either("Remove", func() error { return b.inner.Remove(name) })
}

func (b brittle) RemoveAll(name string) error {
	return b.either("RemoveAll", func() error { return b.inner.RemoveAll(name) })
}

func (b brittle) Rename(from, to string) error {
	return b.either("Rename", func() error { return b.inner.Rename(from, to) })
}

func (b brittle) Chmod(name string, mode os.FileMode) error {
	return b.either("Chmod", func() error { return b.inner.Chmod(name, mode) })
}

func (b brittle) Chown(name string, uid, gid int) error {
	return b.either("Chown", func() error { return b.inner.Chown(name, uid, gid) })
}

func (b brittle) Chtimes(name string, a, m time.Time) error {
	return b.either("Chtimes", func() error { return b.inner.Chtimes(name, a, m) })
}

func (b brittle) SymlinkIfPossible(old, name string) error {
	return b.either("Symlink", func() error { return b.inner.SymlinkIfPossible(old, name) })
}

func (b brittle) Stat(name string) (fs.FileInfo, error) {
	if err := b.at("Stat"); err != nil {
		return nil, err
	}
	return b.inner.Stat(name)
}

func (b brittle) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	if err := b.at("Lstat"); err != nil {
		return nil, true, err
	}
	return b.inner.LstatIfPossible(name)
}

func (b brittle) ReadlinkIfPossible(name string) (string, error) {
	if err := b.at("Readlink"); err != nil {
		return "", err
	}
	return b.inner.ReadlinkIfPossible(name)
}

func (b brittle) Free(name string) (int64, error) {
	if err := b.at("Free"); err != nil {
		return 0, err
	}
	return b.inner.Free(name)
}

type brittleFile struct {
	afero.File
	fs brittle
}

func (f brittleFile) Read(p []byte) (int, error) {
	if err := f.fs.at("File.Read"); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f brittleFile) Write(p []byte) (int, error) {
	if err := f.fs.at("File.Write"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f brittleFile) Seek(n int64, whence int) (int64, error) {
	if err := f.fs.at("File.Seek"); err != nil {
		return 0, err
	}
	return f.File.Seek(n, whence)
}

func (f brittleFile) Truncate(n int64) error {
	return f.fs.either("File.Truncate", func() error { return f.File.Truncate(n) })
}

func (f brittleFile) Close() error {
	err := f.File.Close()
	return errors.Join(f.fs.at("File.Close"), err)
}

func (f brittleFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.at("File.Stat"); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f brittleFile) Readdir(n int) ([]fs.FileInfo, error) {
	if err := f.fs.at("File.Readdir"); err != nil {
		return nil, err
	}
	return f.File.Readdir(n)
}

func (f brittleFile) Readdirnames(n int) ([]string, error) {
	if err := f.fs.at("File.Readdirnames"); err != nil {
		return nil, err
	}
	return f.File.Readdirnames(n)
}

// brittleMethods are the methods that a server calls.
var brittleMethods = []string{
	"", "Open", "OpenFile", "Mkdir", "Remove", "Rename", "Chmod", "Chtimes", "Symlink", "Stat", "Lstat", "Readlink", "Free",
	"File.Read", "File.Write", "File.Seek", "File.Truncate", "File.Close", "File.Stat", "File.Readdir", "File.Readdirnames",
}

// beyondPaths are commands that call methods which no other command calls.
var beyondPaths = map[string]string{"MKD": "MKD /made", "RMD": "RMD /empty", "STOR": "STOR /symlink"}

// Whichever method of the storage fails, and however: no reply contains a host path, the storage's error, or
// the text of a panic.
func TestNoReplyTellsTheHost(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	inner, dir := disk(t)
	b := brittle{inner: inner.(*fsroot.Root), fail: new(atomic.Pointer[failure])}
	s := serve(t, b, func(o *server.Options) { o.UploadInPlace = false })
	met := map[string]bool{}
	n, every := 0, times(4, 1)
	for _, method := range brittleMethods {
		for how, f := range map[string]failure{
			"errno": {err: syscall.EIO}, "words": {err: errors.New(hostWords)}, "denied": {err: fs.ErrPermission}, "panic": {panics: true},
		} {
			if method != "" && (how == "errno" || how == "denied") {
				continue // fileError has its own test
			}
			for _, v := range server.Verbs() {
				for _, cmds := range upTo(append([]string{line(v.Name), beyondPaths[v.Name]}, pathCommands[v.Name]...)) {
					if n++; n%every != 0 && met[method] { // make soak runs all
						continue
					}
					for _, made := range []string{"/stored", "/new", "/made", "/stolen", "/link"} {
						_ = inner.RemoveAll(made)
					}
					check(t, inner.MkdirAll("/empty", 0o755))
					_ = b.inner.SymlinkIfPossible("f", "/symlink")
					write(t, inner, "/bait", "content")
					write(t, inner, "/f", "content")
					write(t, inner, "/d/x", "content")
					f.in, f.met = method, new(atomic.Bool)
					said := s.failing(t, cmds, func(on bool) {
						if b.fail.Store(nil); on {
							b.fail.Store(&f)
						}
					})
					for _, leak := range []string{"host", "nonsense", "panic", "goroutine", ".go:", "runtime", "input/output", "nil pointer", "PathError", "open /", "EIO"} {
						if strings.Contains(said, leak) {
							t.Errorf("%s fails with %s: %q is answered %q", method, how, cmds, said)
						}
					}
					met[method] = met[method] || f.met.Load()
				}
			}
		}
	}
	for _, method := range brittleMethods {
		if !met[method] {
			t.Errorf("no verb called %s", method)
		}
	}
	await(t, func() bool { // the garbage collector closes what was open at a panic
		runtime.GC()
		return !slices.ContainsFunc(openFiles(), func(f string) bool { return strings.HasPrefix(f, dir+"/") })
	})
}

// upTo are the beginnings of scripts; the last command of each is the one that fails.
func upTo(scripts []string) (all [][]string) {
	for _, script := range scripts {
		if script == "" {
			continue
		}
		cmds := strings.Split(strings.ReplaceAll(script, "%s", "/d/x"), "\n")
		for n := range cmds {
			all = append(all, cmds[:n+1])
		}
	}
	return all
}

// failing runs commands, the last one while the storage fails, and returns the replies.
func (s *site) failing(t *testing.T, cmds []string, arm func(on bool)) (said string) {
	t.Helper()
	c := s.login(t, "rw")
	defer c.Close()
	defer arm(false)
	for i, cmd := range cmds {
		var d io.ReadWriteCloser
		verb, _, _ := strings.Cut(cmd, " ")
		if ftp.IsTransfer(verb) {
			d = c.epsv()
		}
		arm(i == len(cmds)-1)
		c.send(cmd)
		for {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			r, err := ftp.ReadReply(c.lr)
			if isTimeout(err) {
				t.Fatalf("no answer to %s", cmd)
			}
			if err != nil {
				return said
			}
			said += fmt.Sprintf("%d %s\n", r.Code, r.Text())
			if r.Code.Class() != ftp.Preliminary {
				break
			}
			if verb == "STOR" || verb == "APPE" || verb == "STOU" {
				_, _ = io.WriteString(d, "x")
			} else {
				_, _ = io.Copy(io.Discard, d)
			}
			_ = d.Close()
		}
		if d != nil {
			_ = d.Close()
		}
	}
	return said
}
