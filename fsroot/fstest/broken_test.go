package fstest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/fsroot/fstest"
)

// sim is a storage with all abilities but uploads. It does the one wrong that the check bad has to find.
type sim struct {
	*fsroot.Root
	bad              string
	readers, writers atomic.Int32
}

func (s *sim) is(bad string) bool { return s.bad == bad }

// as returns the path under which the storage has a file.
func (s *sim) as(name string) string {
	switch base := path.Base(name); {
	case s.is("names with spaces"):
		return strings.ReplaceAll(name, " ", "_")
	case s.is("names in UTF-8"):
		return strings.ToValidUTF8(strings.ReplaceAll(name, "日", "ni"), "")
	case s.is("names with special characters"):
		return strings.ReplaceAll(name, "*", "_")
	case s.is("names of 255 bytes") && len(base) > 200:
		return path.Dir(name) + "/" + base[:200]
	}
	return name
}

func (s *sim) exists(name string) bool { _, err := s.Root.Stat(name); return err == nil }

func (s *sim) isDir(name string) bool {
	fi, err := s.Root.Stat(name)
	return err == nil && fi.IsDir()
}

func (s *sim) Create(name string) (afero.File, error) {
	return s.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (s *sim) Open(name string) (afero.File, error) { return s.OpenFile(name, os.O_RDONLY, 0) }

func (s *sim) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	switch {
	case s.is("replace the content of a file"):
		flag &^= os.O_TRUNC
	case s.is("create only a new file (O_EXCL)"):
		flag &^= os.O_EXCL
	case s.is("append (O_APPEND)"):
		flag &^= os.O_APPEND
	case s.is("write in the middle") && flag == os.O_WRONLY:
		flag |= os.O_TRUNC
	case s.is("hang"):
		select {}
	case s.is("panic"):
		panic("oops")
	}
	f, err := s.Root.OpenFile(s.as(name), flag, perm)
	if err != nil {
		return nil, err
	}
	sf := &simFile{File: f, s: s, writes: flag&(os.O_WRONLY|os.O_RDWR) != 0}
	count := &s.readers
	if sf.writes {
		count = &s.writers
	}
	sf.several = count.Add(1) > 1
	sf.done = sync.OnceFunc(func() { count.Add(-1) })
	return sf, nil
}

func (s *sim) Mkdir(name string, perm fs.FileMode) error {
	switch {
	case s.is(fstest.Writable):
		return syscall.EIO
	case s.is("make and remove a directory") && path.Base(name) == "d":
		return nil
	case s.is("refuse an existing directory") && s.exists(name):
		return nil
	case s.is("refuse a missing directory"):
		return s.MkdirAll(name, perm)
	}
	err := s.Root.Mkdir(s.as(name), perm)
	if s.is("refuse a file as a directory") && errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

func (s *sim) Remove(name string) error {
	switch {
	case s.is(fstest.CleanUp) && strings.Count(name, "/") == 1:
		return syscall.EBUSY
	case s.is("remove a file") && !s.isDir(name):
		return nil
	case s.is("keep a directory that is full"):
		return s.RemoveAll(name)
	}
	err := s.Root.Remove(s.as(name))
	if s.is("keep an empty directory") && !s.isDir(name) {
		_ = s.Root.Remove(path.Dir(name))
	}
	return err
}

func (s *sim) RemoveAll(name string) error {
	if s.is(fstest.CleanUp) || s.is("refuse an existing directory") { // the second, to see that cleanUp does without
		return syscall.EBUSY
	}
	return s.Root.RemoveAll(name)
}

func (s *sim) Rename(oldname, newname string) error {
	switch {
	case s.is("rename a file") && !s.isDir(oldname):
		b, err := afero.ReadFile(s.Root, oldname)
		return errors.Join(err, afero.WriteFile(s.Root, newname, b, 0o644))
	case s.is("rename replaces a file") && s.exists(newname):
		return nil
	case s.is("rename a directory") && s.isDir(oldname):
		return errors.Join(s.Root.RemoveAll(oldname), s.Root.Mkdir(newname, 0o777))
	case s.is("refuse to replace a directory"):
		_ = s.Root.RemoveAll(newname)
	case s.is("readers keep a replaced file") && s.exists(newname):
		b, err := afero.ReadFile(s.Root, oldname)
		return errors.Join(err, afero.WriteFile(s.Root, newname, b, 0o644), s.Root.Remove(oldname))
	}
	return s.Root.Rename(oldname, newname)
}

func (s *sim) Stat(name string) (fs.FileInfo, error) {
	fi, err := s.Root.Stat(s.as(name))
	switch {
	case s.is("names that do not exist") && err != nil:
		return nil, syscall.EIO
	case err == nil && s.is("attributes of a file"):
		return otherInfo{fi}, nil
	case err == nil && s.is("a FileInfo does not change"):
		return liveInfo{fi, s, name}, nil
	}
	return fi, err
}

type otherInfo struct{ fs.FileInfo }

func (i otherInfo) Size() int64 { return i.FileInfo.Size() + 1 }

type liveTime struct{ fs.FileInfo }

func (liveTime) ModTime() time.Time { return time.Now() }

type liveInfo struct {
	fs.FileInfo
	s    *sim
	name string
}

func (i liveInfo) Size() int64 {
	fi, err := i.s.Root.Stat(i.name)
	if err != nil {
		return -1
	}
	return fi.Size()
}

func (s *sim) Chtimes(name string, a, m time.Time) error {
	if s.is("set the time") {
		return nil
	}
	return s.Root.Chtimes(name, a, m)
}

func (s *sim) Chmod(name string, mode fs.FileMode) error {
	if s.is("set the mode") {
		return nil
	}
	return s.Root.Chmod(name, mode)
}

func (s *sim) SymlinkIfPossible(oldname, newname string) error {
	if s.is("symlinks") {
		return afero.WriteFile(s.Root, newname, nil, 0o644)
	}
	return s.Root.SymlinkIfPossible(oldname, newname)
}

func (s *sim) RenameNew(oldname, newname string) error {
	if s.is("rename without replacing (RenameNew)") {
		return s.Root.Rename(oldname, newname)
	}
	return s.Root.RenameNew(oldname, newname)
}

func (s *sim) Inherit(dst, src afero.File) error {
	if s.is("copy attributes (Inherit)") {
		return nil
	}
	return s.Root.Inherit(dst.(*simFile).File, src.(*simFile).File)
}

func (s *sim) Lock(f afero.File) (bool, error) {
	if s.is("lock a file (Lock)") {
		return true, nil
	}
	return s.Root.Lock(f.(*simFile).File)
}

func (s *sim) SyncDir(name string) error {
	if s.is("sync a directory (SyncDir)") {
		return nil
	}
	return s.Root.SyncDir(name)
}

func (s *sim) Free(name string) (int64, error) {
	if s.is("free space (Free)") {
		return -1, nil
	}
	return s.Root.Free(name)
}

func (s *sim) Sys(fi fs.FileInfo) (fsroot.Sys, bool) {
	if s.is("identity of a file (Sys)") {
		return fsroot.Sys{}, true
	}
	return s.Root.Sys(fi)
}

type byPath struct{ afero.Fs }

func (byPath) Close() error { return nil }

func (s *sim) Dir(name string) (fsroot.Directory, error) {
	if s.is("open a directory (Dir)") {
		return byPath{afero.NewBasePathFs(s.Root, name)}, nil
	}
	return s.Root.Dir(name)
}

func (s *sim) ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		all, err := afero.ReadDir(s.Root, name)
		if err != nil {
			yield(nil, err)
			return
		}
		if s.is("list without opening (ReadDirSeq)") {
			all = all[1:]
		}
		for _, fi := range all {
			if !yield(fi, nil) {
				return
			}
		}
	}
}

func (s *sim) MoveDir(_ context.Context, oldname, newname string, progress func(int)) error {
	if !s.is("move a directory (MoveDir)") {
		progress(2)
	}
	return s.Root.Rename(oldname, newname)
}

// simFile is an open file of sim.
type simFile struct {
	afero.File
	s       *sim
	several bool // others were open
	writes  bool
	listed  int
	done    func()
}

func (f *simFile) Close() error { f.done(); return f.File.Close() }

func (f *simFile) Read(b []byte) (int, error) {
	if f.several && f.s.is("several readers at once") {
		return 0, syscall.EIO
	}
	n, err := f.File.Read(b)
	if n > 0 && f.s.is("read a file") {
		b[0] ^= 1
	}
	return n, err
}

func (f *simFile) ReadAt(b []byte, off int64) (int, error) {
	if f.s.is("ReadAt and wrong positions") {
		off++
	}
	return f.File.ReadAt(b, off)
}

func (f *simFile) Seek(off int64, whence int) (int64, error) {
	if !f.writes && f.s.is("read from an offset") {
		return off, nil
	}
	return f.File.Seek(off, whence)
}

func (f *simFile) Write(b []byte) (int, error) {
	if f.several && f.s.is("use by several at once") {
		return 0, syscall.EIO
	}
	if len(b) > 1000 && f.s.is("write a file") {
		_, err := f.File.Write(b[1:])
		return len(b), err
	}
	return f.File.Write(b)
}

func (f *simFile) WriteAt(b []byte, off int64) (int, error) {
	if f.s.is("WriteAt") {
		off++
	}
	return f.File.WriteAt(b, off)
}

func (f *simFile) Truncate(n int64) error {
	if f.s.is("truncate") {
		return nil
	}
	return f.File.Truncate(n)
}

func (f *simFile) Readdir(n int) ([]fs.FileInfo, error) {
	all, err := f.File.Readdir(n)
	if f.listed += len(all); f.listed > 500 && f.s.is("list 600 files in batches") && err != nil {
		return nil, nil
	}
	for i, fi := range all {
		if f.s.is("list the time that was set") {
			all[i] = liveTime{fi}
		}
		if f.s.is("a listing agrees with Stat") {
			all[i] = otherInfo{fi}
		}
	}
	if len(all) > 0 && f.s.is("list a directory") {
		all = append(all, all[0])
	}
	return all, err
}

// simUploads adds uploads to sim.
type simUploads struct {
	*sim
	mu   sync.Mutex
	kept map[[2]string][]byte
}

type keptAt int64

func (e keptAt) Error() string   { return fmt.Sprintf("resume at %d", int64(e)) }
func (e keptAt) ResumeAt() int64 { return int64(e) }

type uploadOptions = struct {
	Owner  string
	Offset int64
	Append bool
	New    bool
	Hold   bool
}

type uploading = interface {
	io.Writer
	Start() int64
	Commit(ctx context.Context, modified time.Time) error
	Keep(ctx context.Context) (int64, error)
	Abort(ctx context.Context) error
}

func (s *simUploads) Upload(_ context.Context, name string, o uploadOptions) (uploading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &simUpload{s: s, name: name, o: o, key: [2]string{name, o.Owner}}
	kept, resumes := s.kept[u.key]
	old, err := afero.ReadFile(s.Root, name)
	switch {
	case o.Offset > 0 && resumes && o.Offset != int64(len(kept)):
		return nil, keptAt(len(kept))
	case o.Offset > 0 && resumes && s.is("uploads: resume"):
		u.data = make([]byte, o.Offset)
	case o.Offset > 0 && resumes:
		u.data = bytes.Clone(kept)
	case o.Offset > 0 && (err != nil || int64(len(old)) < o.Offset):
		return nil, fs.ErrNotExist
	case o.Offset > 0 && o.Hold:
		return nil, errors.ErrUnsupported
	case o.Offset > 0:
		u.data, u.tail = bytes.Clone(old[:o.Offset]), old[o.Offset:]
		if s.is("uploads: change a part") {
			u.tail = nil
		}
	case o.Append && err == nil && !s.is("uploads: append"):
		u.data = old
	case o.Append && err != nil:
		u.data = bytes.Clone(kept)
	}
	u.start = int64(len(u.data))
	return u, nil
}

func (s *simUploads) Kept(_ context.Context, name, owner string) (int64, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.kept[[2]string{name, owner}]
	if !ok {
		return 0, time.Time{}, fs.ErrNotExist
	}
	return int64(len(b)), time.Now(), nil
}

func (s *simUploads) Discard(_ context.Context, name, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{name, owner}
	if _, ok := s.kept[key]; !ok {
		return fs.ErrNotExist
	}
	delete(s.kept, key)
	return nil
}

func (s *simUploads) SweepUploads(context.Context, time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.is("uploads: remove old ones (SweepUploads)") {
		clear(s.kept)
	}
	return 0, nil
}

type simUpload struct {
	s          *simUploads
	name       string
	o          uploadOptions
	key        [2]string
	start      int64
	data, tail []byte
	held       bool
}

// Hold does nothing, because Write keeps everything in memory.
func (u *simUpload) Hold(context.Context) error {
	u.held = true
	if u.s.is("uploads: hold back (Hold)") {
		return afero.WriteFile(u.s.Root, u.name, u.data, 0o644)
	}
	return nil
}

func (u *simUpload) Content(context.Context) (io.ReaderAt, int64, error) {
	return bytes.NewReader(u.data), int64(len(u.data)), nil
}

func (u *simUpload) Start() int64 { return u.start }

func (u *simUpload) Write(b []byte) (int, error) {
	if u.s.is("uploads: whole or not at all") {
		_ = afero.WriteFile(u.s.Root, u.name, b, 0o644)
	}
	u.data = append(u.data, b...)
	return len(b), nil
}

func (u *simUpload) Commit(_ context.Context, modified time.Time) error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.o.New && u.s.exists(u.name) && !u.s.is("uploads: replace nothing (New)") {
		return fs.ErrExist
	}
	if n := int64(len(u.data)) - u.start; n < int64(len(u.tail)) {
		u.data = append(u.data, u.tail[n:]...)
	}
	delete(u.s.kept, u.key)
	hidden := path.Dir(u.name) + "/.hidden"
	if err := afero.WriteFile(u.s.Root, hidden, u.data, 0o644); err != nil {
		return err
	}
	if !modified.IsZero() && !u.s.is("uploads: keep the time") {
		if err := u.s.Root.Chtimes(hidden, modified, modified); err != nil {
			return err
		}
	}
	return u.s.Root.Rename(hidden, u.name)
}

func (u *simUpload) Keep(context.Context) (int64, error) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	const part = 5 << 20 // as object stores, it keeps whole parts only
	n := len(u.data) / part * part
	if u.held && n == len(u.data) {
		n = 0
	}
	if n > 0 {
		u.s.kept[u.key] = u.data[:n]
	}
	return int64(n), nil
}

func (u *simUpload) Abort(ctx context.Context) error {
	if u.s.is("uploads: abort") {
		_, err := u.Keep(ctx)
		return err
	}
	return nil
}

// simulated returns the storage that does what the check bad has to find.
func simulated(t *testing.T, bad string) (fsys afero.Fs, dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := fsroot.OpenRoot(dir)
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	s := &sim{Root: root, bad: bad}
	if strings.HasPrefix(bad, "uploads: ") {
		return &simUploads{sim: s, kept: map[[2]string][]byte{}}, dir
	}
	return s, dir
}

// TestChecksCanFail: each check finds a storage that does wrong what it is about, and the storage is clean
// afterwards.
func TestChecksCanFail(t *testing.T) {
	if testing.Short() {
		t.Skip("examines sixty storages")
	}
	if os.Getenv("OS") == "Windows_NT" {
		t.Skip("the simulated storage needs a Unix filesystem")
	}
	for _, bad := range append(fstest.Names(), "", "uploads: none") {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			fsys, dir := simulated(t, bad)
			results := fstest.Examine(t.Context(), fsys)
			failed := false
			for _, r := range results {
				if r.Name == bad {
					failed = r.Verdict == fstest.Wrong || r.Need == fstest.Minor && r.Verdict == fstest.No
				}
				if uploads := strings.HasPrefix(r.Name, "uploads: "); (bad == "" || bad == "uploads: none") &&
					r.Verdict != fstest.Yes && !(uploads && bad == "") {
					t.Errorf("of a good storage: %v", r)
				}
			}
			if !failed && slices.Contains(fstest.Names(), bad) {
				t.Error("the check did not fail")
				for _, r := range results {
					t.Log(r)
				}
			}
			left, err := filepath.Glob(filepath.Join(dir, ".*"))
			if err != nil || len(left) > 0 && bad != fstest.CleanUp && bad != "remove a file" {
				t.Errorf("left: %q, %v", left, err)
			}
		})
	}
}

// TestPanicsAndHangs: a storage that panics or does not return is wrong, and the examination ends.
func TestPanicsAndHangs(t *testing.T) {
	fsys, _ := simulated(t, "panic")
	if err := fstest.TestFS(fsys); err == nil || !strings.Contains(err.Error(), "write a file: panic: oops") || !strings.Contains(err.Error(), "broken_test.go") {
		t.Errorf("panic: %v", err)
	}
	fsys, _ = simulated(t, "hang")
	defer fstest.SetPatience(50 * time.Millisecond)()
	results := fstest.Examine(t.Context(), fsys)
	if at := slices.IndexFunc(results, func(r fstest.Result) bool { return r.Verdict == fstest.Wrong }); at < 0 || !strings.Contains(results[at].Err.Error(), "does not return") {
		t.Errorf("hang: %v", results)
	}
	for _, r := range results[20 : len(results)-1] {
		if r.Verdict != fstest.Skipped {
			t.Errorf("after a hang: %v", r)
		}
	}
}

// TestInterrupted: when the context ends, the rest is skipped, but what was written is removed.
func TestInterrupted(t *testing.T) {
	fsys, dir := simulated(t, "")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancelling := &canceled{Fs: fsys, cancel: func() { cancel(stop) }}
	results := fstest.Examine(ctx, cancelling)
	if last := results[len(results)-1]; last.Verdict != fstest.Yes {
		t.Error(last)
	}
	if r := results[len(results)-2]; r.Verdict != fstest.Skipped || !errors.Is(r.Err, stop) {
		t.Error(r)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// canceled calls cancel at the first rename.
type canceled struct {
	afero.Fs
	cancel func()
}

func (c *canceled) Rename(oldname, newname string) error {
	c.cancel()
	return c.Fs.Rename(oldname, newname)
}
