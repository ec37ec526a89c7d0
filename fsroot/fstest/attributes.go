package fstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/afero"
)

// setTime makes a file and sets its time.
func (x *exam) setTime() (name string, want time.Time, err error) {
	name, want = x.path("f"), time.Date(2010, 2, 28, 23, 59, 58, 0, time.UTC)
	if err := x.put(name, []byte("f")); err != nil {
		return name, want, err
	}
	if err := x.fs.Chtimes(name, want, want); err != nil {
		return name, want, no(fmt.Errorf("set the time: %w", err))
	}
	return name, want, nil
}

func checkChtimes(x *exam) error {
	name, want, err := x.setTime()
	if err != nil {
		return err
	}
	fi, err := x.fs.Stat(name)
	if err != nil {
		return err
	}
	if !fi.ModTime().Equal(want) {
		return fmt.Errorf("the time is %v, want %v", fi.ModTime().UTC(), want)
	}
	return x.holds(name, []byte("f"))
}

func checkListedTime(x *exam) error {
	_, want, err := x.setTime()
	if err != nil {
		return err
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	if all["f"] == nil {
		return errors.New("the file is not listed")
	}
	if got := all["f"].ModTime(); !got.Equal(want) {
		return fmt.Errorf("the listed time is %v, want %v", got.UTC(), want)
	}
	return nil
}

func checkChmod(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("f")); err != nil {
		return err
	}
	for _, want := range []fs.FileMode{0o640, 0o600} {
		if err := x.fs.Chmod(name, want); err != nil {
			return no(fmt.Errorf("set the mode: %w", err))
		}
		fi, err := x.fs.Stat(name)
		if err != nil {
			return err
		}
		if fi.Mode() != want {
			return fmt.Errorf("the mode is %v, want %v", fi.Mode(), want)
		}
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
