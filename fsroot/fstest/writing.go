package fstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/afero"
)

func checkWrite(x *exam) error {
	name, want := x.path("f"), content(200_003)
	if x.uploads == nil {
		err := x.write(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, func(f afero.File) error {
			for part := range 7 { // as it comes from a network
				if _, err := f.Write(want[len(want)*part/7 : len(want)*(part+1)/7]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	} else if err := x.put(name, want); err != nil {
		return err
	}
	if err := x.holds(name, want); err != nil {
		return err
	}
	if err := x.put(x.path("empty"), nil); err != nil {
		return err
	}
	return x.holds(x.path("empty"), nil)
}

func checkReplace(x *exam) error {
	name := x.path("f")
	for _, want := range []string{"a longer content", "short", ""} {
		if err := x.put(name, []byte(want)); err != nil {
			return err
		}
		if err := x.holds(name, []byte(want)); err != nil {
			return err
		}
	}
	return nil
}

func checkExclusive(x *exam) error {
	name := x.path("f")
	err := x.write(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(f afero.File) error {
		_, err := f.WriteString("first")
		return err
	})
	if err != nil {
		return err
	}
	f, err := x.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		_ = f.Close()
	}
	if err := is("exclusive creation of a file that exists", err, fs.ErrExist); err != nil {
		return err
	}
	return x.holds(name, []byte("first"))
}

func checkAppend(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("one")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY|os.O_APPEND, func(f afero.File) error {
		_, err := io.WriteString(f, " two")
		return err
	})
	if err != nil {
		return err
	}
	return x.holds(name, []byte("one two"))
}

func checkMiddle(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("0123456789")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY, func(f afero.File) error {
		if _, err := f.Seek(3, io.SeekStart); err != nil {
			return no(fmt.Errorf("seek in a file that is written: %w", err))
		}
		_, err := io.WriteString(f, "abc")
		return err
	})
	if err != nil {
		return err
	}
	return x.holds(name, []byte("012abc6789"))
}

func checkWriteAt(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("0123456789")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY, func(f afero.File) error {
		_, err := f.WriteAt([]byte("abc"), 5)
		return no(err)
	})
	if err != nil {
		return err
	}
	return x.holds(name, []byte("01234abc89"))
}

func checkTruncate(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("0123456789")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY, func(f afero.File) error { return no(f.Truncate(4)) })
	if err != nil {
		return err
	}
	return x.holds(name, []byte("0123"))
}

func checkRemove(x *exam) error {
	for _, name := range []string{"f", "g"} {
		if err := x.put(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	if err := x.fs.Remove(x.path("f")); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if err := x.gone(x.path("f")); err != nil {
		return err
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	if all["f"] != nil || all["g"] == nil {
		return fmt.Errorf("after the removal of one of two files, %d are listed", len(all))
	}
	return is("the removal of a missing file", x.fs.Remove(x.path("f")), fs.ErrNotExist)
}

func checkMkdir(x *exam) error {
	dir := x.path("d")
	if err := x.fs.Mkdir(dir, 0o777); err != nil {
		return fmt.Errorf("mkdir: %w", err)
	}
	fi, err := x.fs.Stat(dir)
	if err != nil {
		return fmt.Errorf("stat of a new directory: %w", err)
	}
	if !fi.IsDir() || fi.Name() != "d" {
		return fmt.Errorf("the new directory has the name %q and the mode %v", fi.Name(), fi.Mode())
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	if all["d"] == nil || !all["d"].IsDir() {
		return errors.New("the new directory is not listed as one")
	}
	if inside, err := x.names(dir, 10); err != nil || len(inside) > 0 {
		return fmt.Errorf("the new directory has %d entries (error %w)", len(inside), err)
	}
	if err := x.fs.Remove(dir); err != nil {
		return fmt.Errorf("remove of an empty directory: %w", err)
	}
	return x.gone(dir)
}

func checkEmptyDir(x *exam) error {
	if err := x.fs.Mkdir(x.path("d"), 0o777); err != nil {
		return err
	}
	if err := x.put(x.path("d/f"), []byte("f")); err != nil {
		return err
	}
	if err := x.fs.Remove(x.path("d/f")); err != nil {
		return err
	}
	fi, err := x.fs.Stat(x.path("d"))
	if errors.Is(err, fs.ErrNotExist) {
		return no(errors.New("a directory ends with its last file"))
	}
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("the mode is %v, want that of a directory", fi.Mode())
	}
	return nil
}

func checkMkdirTwice(x *exam) error {
	if err := x.fs.Mkdir(x.path("d"), 0o777); err != nil {
		return err
	}
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	for _, name := range []string{"d", "f"} {
		if err := is("mkdir of a name that exists ("+name+")", x.fs.Mkdir(x.path(name), 0o777), fs.ErrExist); err != nil {
			return err
		}
	}
	return x.holds(x.path("f"), []byte("f"))
}

func checkRemoveFull(x *exam) error {
	if err := x.tree("d"); err != nil {
		return err
	}
	if err := fails("the removal of a directory that is not empty", x.fs.Remove(x.path("d"))); err != nil {
		return err
	}
	return x.hasTree("d")
}

// tree makes a directory that contains a file, an empty directory, and a directory with a file.
func (x *exam) tree(name string) error {
	for _, dir := range []string{"", "/sub", "/empty"} {
		if err := x.fs.Mkdir(x.path(name)+dir, 0o777); err != nil {
			return fmt.Errorf("mkdir: %w", err)
		}
	}
	for _, file := range []string{"/f", "/sub/f"} {
		if err := x.put(x.path(name)+file, []byte(file)); err != nil {
			return err
		}
	}
	return nil
}

// hasTree checks that a directory contains what tree has made.
func (x *exam) hasTree(name string) error {
	for _, file := range []string{"/f", "/sub/f"} {
		if err := x.holds(x.path(name)+file, []byte(file)); err != nil {
			return err
		}
	}
	for dir, want := range map[string]int{"": 3, "/sub": 1, "/empty": 0} {
		all, err := x.names(x.path(name)+dir, 10)
		if err != nil {
			return err
		}
		if len(all) != want {
			return fmt.Errorf("%s has %d entries, want %d", x.path(name)+dir, len(all), want)
		}
	}
	return nil
}

func checkMissingDir(x *exam) error {
	for _, name := range []string{"no/d", "no/no/d"} {
		if err := is("mkdir in a missing directory", x.fs.Mkdir(x.path(name), 0o777), fs.ErrNotExist); err != nil {
			return err
		}
	}
	if x.uploads == nil {
		if err := is("creation of a file in a missing directory", x.put(x.path("no/f"), nil), fs.ErrNotExist); err != nil {
			return err
		}
	}
	return x.gone(x.path("no"))
}

func checkFileAsDir(x *exam) error {
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	if err := fails("mkdir below a file", x.fs.Mkdir(x.path("f/d"), 0o777)); err != nil {
		return err
	}
	if x.uploads == nil {
		if err := fails("creation of a file below a file", x.put(x.path("f/f"), nil)); err != nil {
			return err
		}
	}
	if _, err := x.fs.Stat(x.path("f/f")); err == nil {
		return errors.New("a name below a file exists")
	}
	return x.holds(x.path("f"), []byte("f"))
}

// manyFiles is the number of files in a directory that is listed in batches.
const manyFiles = 600

func checkBatches(x *exam) error {
	err := atOnce(4, func(i int) error {
		for ; i < manyFiles; i += 4 {
			if err := x.put(x.path(fmt.Sprintf("f%03d", i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	all, err := x.names(x.dir, 2*manyFiles)
	if err != nil {
		return err
	}
	if len(all) != manyFiles {
		return fmt.Errorf("%d entries are listed, want %d", len(all), manyFiles)
	}
	f, err := x.fs.Open(x.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	rest, err := f.Readdir(-1)
	if err != nil || len(rest) != manyFiles {
		return fmt.Errorf("Readdir(-1) returns %d entries and the error %s, want %d", len(rest), fmt.Sprint(err), manyFiles)
	}
	if rest, err = f.Readdir(10); len(rest) > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("Readdir(10) at the end returns %d entries and the error %s, want io.EOF", len(rest), fmt.Sprint(err))
	}
	return nil
}

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

func checkSnapshot(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("before")); err != nil {
		return err
	}
	fi, err := x.fs.Stat(name)
	if err != nil {
		return err
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	when := fi.ModTime()
	if err := x.put(name, []byte("and after")); err != nil {
		return err
	}
	_ = x.fs.Chtimes(name, time.Unix(0, 0), time.Unix(0, 0))
	for by, fi := range map[string]fs.FileInfo{"Stat": fi, "Readdir": all["f"]} {
		if fi == nil {
			return errors.New("the file is not listed")
		}
		if fi.Size() != int64(len("before")) || !fi.ModTime().Equal(when) || fi.Name() != "f" {
			return fmt.Errorf("the FileInfo of %s changes with its file", by)
		}
	}
	return nil
}

// checkNames returns a check that files and directories can have the names.
func checkNames(names ...string) func(*exam) error {
	return func(x *exam) error {
		if err := x.fs.Mkdir(x.path("dirs"), 0o777); err != nil {
			return err
		}
		for _, name := range names {
			if err := x.put(x.path(name), []byte(name)); err != nil {
				return no(fmt.Errorf("%q: %w", name, err))
			}
			if err := x.fs.Mkdir(x.path("dirs/")+name, 0o777); err != nil {
				return no(fmt.Errorf("%q: %w", name, err))
			}
		}
		files, err := x.names(x.dir, 100)
		if err != nil {
			return err
		}
		dirs, err := x.names(x.path("dirs"), 100)
		if err != nil {
			return err
		}
		for _, name := range names {
			if files[name] == nil || dirs[name] == nil {
				return fmt.Errorf("%q is not listed", name)
			}
			if err := x.holds(x.path(name), []byte(name)); err != nil {
				return err
			}
			if err := x.fs.Remove(x.path("dirs/") + name); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkLongName(x *exam) error { return checkNames(strings.Repeat("n", 255))(x) }
