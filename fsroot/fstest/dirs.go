package fstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

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
