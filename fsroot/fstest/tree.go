package fstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/spf13/afero"
)

func checkRename(x *exam) error {
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	if err := x.fs.Mkdir(x.path("d"), 0o777); err != nil {
		return err
	}
	for _, step := range [][2]string{{"f", "g"}, {"g", "d/g"}} {
		if err := x.fs.Rename(x.path(step[0]), x.path(step[1])); err != nil {
			return errors.Join(no(fmt.Errorf("rename: %w", err)), x.holds(x.path(step[0]), []byte("f")))
		}
		if err := x.holds(x.path(step[1]), []byte("f")); err != nil {
			return err
		}
		if err := x.gone(x.path(step[0])); err != nil {
			return err
		}
	}
	all, err := x.names(x.dir, 10)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("after the rename, %d names are listed, want 1", len(all))
	}
	return err
}

func checkRenameOver(x *exam) error {
	for _, name := range []string{"new", "old"} {
		if err := x.put(x.path(name), []byte(name+" content")); err != nil {
			return err
		}
	}
	if err := x.fs.Rename(x.path("new"), x.path("old")); err != nil {
		return no(fmt.Errorf("rename to the name of a file: %w", err))
	}
	if err := x.holds(x.path("old"), []byte("new content")); err != nil {
		return err
	}
	return x.gone(x.path("new"))
}

func checkRenameNew(x *exam) error {
	s, ok := x.fs.(renameNewFs)
	if !ok {
		return errNone
	}
	for _, name := range []string{"a", "b"} {
		if err := x.put(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	if err := is("RenameNew to a name that exists", s.RenameNew(x.path("a"), x.path("b")), fs.ErrExist); err != nil {
		return err
	}
	for _, name := range []string{"a", "b"} {
		if err := x.holds(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	const callers = 8
	for i := range callers {
		if err := x.put(x.path(fmt.Sprint(i)), []byte(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	var winners atomic.Int32
	var last atomic.Int32
	err := atOnce(callers, func(i int) error {
		err := s.RenameNew(x.path(fmt.Sprint(i)), x.path("wanted"))
		if err == nil {
			winners.Add(1)
			last.Store(int32(i))
			return nil
		}
		return is("RenameNew", err, fs.ErrExist)
	})
	if err != nil {
		return err
	}
	if n := winners.Load(); n != 1 {
		return fmt.Errorf("%d of %d callers of RenameNew got the same new name, want 1", n, callers)
	}
	for i := range callers {
		name := fmt.Sprint(i)
		if i == int(last.Load()) {
			name = "wanted"
		}
		if err := x.holds(x.path(name), []byte(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

func checkRenameDir(x *exam) error {
	if err := x.tree("d"); err != nil {
		return err
	}
	if err := x.fs.Rename(x.path("d"), x.path("e")); err != nil {
		if left := x.hasTree("d"); left != nil {
			return fmt.Errorf("the rename fails (%w), and the directory is not as before: %w", err, left)
		}
		return no(fmt.Errorf("rename of a directory: %w", err))
	}
	if err := x.hasTree("e"); err != nil {
		return err
	}
	if err := x.gone(x.path("d/sub/f")); err != nil {
		return err
	}
	return x.gone(x.path("d"))
}

func checkMoveDir(x *exam) error {
	s, ok := x.fs.(moveDirFs)
	if !ok {
		return errNone
	}
	if err := x.tree("d"); err != nil {
		return err
	}
	calls, last := 0, 0
	if err := s.MoveDir(x.ctx, x.path("d"), x.path("e"), func(files int) { calls, last = calls+1, files }); err != nil {
		return no(fmt.Errorf("MoveDir: %w", err))
	}
	if err := x.hasTree("e"); err != nil {
		return err
	}
	if calls == 0 || last < 2 {
		return fmt.Errorf("progress was called %d times, the last time with %d files, want at least 2 files", calls, last)
	}
	return x.gone(x.path("d"))
}

func checkRenameOverDir(x *exam) error {
	for _, name := range []string{"d", "e"} {
		if err := x.tree(name); err != nil {
			return err
		}
	}
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	for _, name := range []string{"f", "e"} {
		if err := fails("rename of "+name+" to the name of a directory that is not empty", x.fs.Rename(x.path(name), x.path("d"))); err != nil {
			return err
		}
	}
	if err := x.holds(x.path("f"), []byte("f")); err != nil {
		return err
	}
	return errors.Join(x.hasTree("d"), x.hasTree("e"))
}

// checkReaderKeeps replaces a file by an upload or, if the storage has none, by a rename.
func checkReaderKeeps(x *exam) error {
	name, old := x.path("f"), content(sampleSize)
	if err := x.put(name, old); err != nil {
		return err
	}
	f, err := x.fs.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(f, got); err != nil {
		return err
	}
	if x.uploads != nil {
		err = x.put(name, []byte("new"))
	} else {
		if err := x.put(x.path("g"), []byte("new")); err != nil {
			return err
		}
		err = x.fs.Rename(x.path("g"), name)
	}
	if err != nil {
		return no(err)
	}
	if err := x.holds(name, []byte("new")); err != nil {
		return err
	}
	rest, err := io.ReadAll(f)
	if err != nil {
		return no(fmt.Errorf("the reader fails when the file is replaced: %w", err))
	}
	if err := same(append(got, rest...), old); err != nil {
		return fmt.Errorf("a reader that had opened the file before it was replaced: %w", err)
	}
	return nil
}

func checkSymlinks(x *exam) error {
	s, ok := x.fs.(afero.Symlinker)
	if !ok {
		return errNone
	}
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	if err := s.SymlinkIfPossible("f", x.path("link")); err != nil {
		return no(fmt.Errorf("symlink: %w", err))
	}
	fi, really, err := s.LstatIfPossible(x.path("link"))
	if err != nil {
		return fmt.Errorf("lstat: %w", err)
	}
	if !really || fi.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("the mode of a symlink according to Lstat is %v", fi.Mode())
	}
	target, err := s.ReadlinkIfPossible(x.path("link"))
	if err != nil || target != "f" {
		return fmt.Errorf("the target of a symlink is %q, with the error %s, want %q", target, fmt.Sprint(err), "f")
	}
	if err := x.holds(x.path("link"), []byte("f")); err != nil {
		return err
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	if all["link"] == nil || all["link"].Mode()&fs.ModeSymlink == 0 {
		return errors.New("the symlink is not listed as one")
	}
	if err := x.fs.Remove(x.path("link")); err != nil {
		return fmt.Errorf("remove of a symlink: %w", err)
	}
	if _, _, err := s.LstatIfPossible(x.path("link")); err == nil {
		return errors.New("the removed symlink exists")
	}
	return x.holds(x.path("f"), []byte("f"))
}

// checkConcurrent writes several files at once, and then makes, moves, lists and removes files and directories.
func checkConcurrent(x *exam) error {
	var ready sync.WaitGroup
	ready.Add(several)
	err := atOnce(several, func(i int) error {
		want := content(10_000 * (i + 1))
		return errors.Join(x.putWhen(x.path(fmt.Sprint("f", i)), want, func() { ready.Done(); ready.Wait() }), x.holds(x.path(fmt.Sprint("f", i)), want))
	})
	if err != nil {
		return err
	}
	return atOnce(2*several, func(i int) error {
		for round := range 5 {
			if err := x.steps(i, content(1000*(i+round+1))); err != nil {
				return err
			}
		}
		return nil
	})
}

// steps is what the i-th of several goroutines does with its files.
func (x *exam) steps(i int, want []byte) error {
	name, dir := x.path(fmt.Sprint("f", i)), x.path(fmt.Sprint("d", i))
	if err := x.put(name, want); err != nil {
		return err
	}
	if err := x.holds(name, want); err != nil {
		return err
	}
	if err := x.fs.Mkdir(dir, 0o777); err != nil {
		return fmt.Errorf("mkdir: %w", err)
	}
	if err := x.fs.Rename(name, dir+"/f"); err == nil {
		if err := x.holds(dir+"/f", want); err != nil {
			return err
		}
		if err := x.fs.Remove(dir + "/f"); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
	}
	if _, err := x.list(x.dir, 100); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if err := x.fs.Remove(dir); err != nil {
		return fmt.Errorf("remove of a directory: %w", err)
	}
	return nil
}

func checkDir(x *exam) error {
	s, ok := x.fs.(dirFs)
	if !ok {
		return errNone
	}
	if err := x.tree("d"); err != nil {
		return err
	}
	d, err := s.Dir(x.path("d"))
	if err != nil {
		return no(fmt.Errorf("opening the directory: %w", err))
	}
	defer d.Close()
	own := *x
	own.fs, own.dir, own.uploads = d, "", nil
	if err := own.hasTree(""); err != nil {
		return fmt.Errorf("in the open directory: %w", err)
	}
	if err := x.fs.Rename(x.path("d"), x.path("moved")); err != nil {
		return no(err)
	}
	if err := x.tree("d"); err != nil {
		return err
	}
	if err := own.put("/new", []byte("new")); err != nil {
		return err
	}
	if err := x.gone(x.path("d/new")); err != nil {
		return fmt.Errorf("the open directory is the one that has its name now: %w", err)
	}
	return x.holds(x.path("moved/new"), []byte("new"))
}

// two opens two files, one for writing and one for reading, and calls f with them.
func (x *exam) two(f func(dst, src afero.File) error) error {
	for _, name := range []string{"dst", "src"} {
		if err := x.put(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	if err := x.fs.Chmod(x.path("src"), 0o640); err != nil {
		return no(err)
	}
	return x.write(x.path("dst"), os.O_RDWR, func(dst afero.File) error {
		src, err := x.fs.Open(x.path("src"))
		if err != nil {
			return err
		}
		defer src.Close()
		return f(dst, src)
	})
}

func checkInherit(x *exam) error {
	s, ok := x.fs.(inheritFs)
	if !ok {
		return errNone
	}
	if err := x.two(func(dst, src afero.File) error { return no(s.Inherit(dst, src)) }); err != nil {
		return err
	}
	fi, err := x.fs.Stat(x.path("dst"))
	if err != nil {
		return err
	}
	if fi.Mode() != 0o640 {
		return fmt.Errorf("the mode after Inherit is %v, want %v", fi.Mode(), fs.FileMode(0o640))
	}
	return x.holds(x.path("dst"), []byte("dst"))
}

func checkLock(x *exam) error {
	s, ok := x.fs.(lockFs)
	if !ok {
		return errNone
	}
	name := x.path("f")
	if err := x.put(name, []byte("f")); err != nil {
		return err
	}
	for round := range 2 { // the first closes the file, which must end its lock
		err := x.write(name, os.O_RDWR, func(first afero.File) error {
			if locked, err := s.Lock(first); err != nil || !locked {
				return errors.Join(no(err), wrongIf(err == nil, fmt.Errorf("round %d: a file that is not locked can't be locked", round)))
			}
			return x.write(name, os.O_RDWR, func(second afero.File) error {
				locked, err := s.Lock(second)
				return errors.Join(no(err), wrongIf(locked, errors.New("a file can be locked twice")))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wrongIf returns err if is is true.
func wrongIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

func checkSyncDir(x *exam) error {
	s, ok := x.fs.(syncDirFs)
	if !ok {
		return errNone
	}
	if err := x.put(x.path("f"), nil); err != nil {
		return err
	}
	if err := s.SyncDir(x.dir); err != nil {
		return no(err)
	}
	return fails("SyncDir of a missing directory", s.SyncDir(x.path("no")))
}
