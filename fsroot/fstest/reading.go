package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/spf13/afero"
)

// open opens the file that is read, and calls f with it.
func (x *exam) open(f func(afero.File) error) error {
	file, err := x.fs.Open(x.file)
	if err != nil {
		return fmt.Errorf("open %s: %w", x.file, err)
	}
	defer file.Close()
	if err := f(file); err != nil {
		return fmt.Errorf("%s: %w", x.file, err)
	}
	return nil
}

func checkRead(x *exam) error {
	return x.open(func(f afero.File) error {
		got, err := io.ReadAll(io.LimitReader(f, int64(len(x.want))))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := same(got, x.want); err != nil {
			return err
		}
		if !x.whole {
			return nil
		}
		if n, err := f.Read(make([]byte, 10)); n != 0 || !errors.Is(err, io.EOF) {
			return fmt.Errorf("a read at the end returns %d bytes and the error %s, want 0 and io.EOF", n, fmt.Sprint(err))
		}
		return nil
	})
}

// readFrom reads n bytes from the position to which Seek moves.
func readFrom(f afero.File, offset int64, whence, n int) (at int64, b []byte, err error) {
	if at, err = f.Seek(offset, whence); err != nil {
		return 0, nil, fmt.Errorf("Seek(%d, %d): %w", offset, whence, err)
	}
	b = make([]byte, n)
	if n, err = io.ReadFull(f, b); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return at, b[:n], err
}

func checkSeek(x *exam) error {
	size := int64(len(x.want))
	return x.open(func(f afero.File) error {
		if err := seeks(f, x.want); err != nil || !x.whole {
			return err
		}
		at, got, err := readFrom(f, -1, io.SeekEnd, 10)
		if err != nil {
			return err
		}
		if at != size-1 || !bytes.Equal(got, x.want[size-1:]) {
			return fmt.Errorf("Seek(-1, io.SeekEnd) moves to %d and %d bytes follow, want %d and the last byte", at, len(got), size-1)
		}
		if _, got, err = readFrom(f, 0, io.SeekEnd, 10); err != nil || len(got) > 0 {
			return fmt.Errorf("at the end, %d bytes follow, with the error %w", len(got), err)
		}
		return nil
	})
}

// seeks checks that reads continue at the position to which Seek has moved.
func seeks(f afero.File, want []byte) error {
	size := int64(len(want))
	for _, off := range []int64{size / 2, size - 1, 0, 1, size / 3} {
		n := min(1000, size-off)
		at, got, err := readFrom(f, off, io.SeekStart, int(n))
		if err != nil {
			return err
		}
		if at != off {
			return fmt.Errorf("Seek(%d, io.SeekStart) returns %d", off, at)
		}
		if err := same(got, want[off:off+n]); err != nil {
			return fmt.Errorf("after Seek(%d, io.SeekStart): %w", off, err)
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	at, got, err := readFrom(f, 1, io.SeekCurrent, 1)
	if err != nil {
		return err
	}
	if at != 1 || !bytes.Equal(got, want[1:2]) {
		return fmt.Errorf("Seek(1, io.SeekCurrent) moves from 0 to %d, want 1, or the byte there is wrong", at)
	}
	return nil
}

func checkReadAt(x *exam) error {
	return x.open(func(f afero.File) error {
		size := int64(len(x.want))
		for _, off := range []int64{size / 2, 0, size - 1} {
			b := make([]byte, min(1000, size-off))
			n, err := f.ReadAt(b, off)
			if err != nil && !(errors.Is(err, io.EOF) && n == len(b)) {
				return no(fmt.Errorf("ReadAt(%d): %w", off, err))
			}
			if err := same(b[:n], x.want[off:off+int64(len(b))]); err != nil {
				return fmt.Errorf("ReadAt(%d): %w", off, err)
			}
		}
		if x.whole {
			if n, err := f.ReadAt(make([]byte, 10), size-1); n != 1 || !errors.Is(err, io.EOF) {
				return fmt.Errorf("ReadAt past the end returns %d bytes and the error %s, want 1 and io.EOF", n, fmt.Sprint(err))
			}
		}
		b := make([]byte, 1)
		if _, err := io.ReadFull(f, b); err != nil || b[0] != x.want[0] {
			return fmt.Errorf("after ReadAt, Read does not continue at the start (error %s)", fmt.Sprint(err))
		}
		_, err := f.Seek(-1, io.SeekStart)
		return fails("Seek to -1", err)
	})
}

func checkStat(x *exam) error {
	fi, err := x.fs.Stat(x.file)
	if err != nil {
		return fmt.Errorf("stat %s: %w", x.file, err)
	}
	switch {
	case fi.Name() != path.Base(x.file):
		return fmt.Errorf("the name of %s is %q, want %q", x.file, fi.Name(), path.Base(x.file))
	case !fi.Mode().IsRegular() || fi.IsDir():
		return fmt.Errorf("the mode of %s is %v, want that of a file", x.file, fi.Mode())
	case x.whole && fi.Size() != int64(len(x.want)):
		return fmt.Errorf("the size of %s is %d, want %d", x.file, fi.Size(), len(x.want))
	case x.dir != "" && time.Since(fi.ModTime()).Abs() > 48*time.Hour:
		return fmt.Errorf("the time of %s, a new file, is %v", x.file, fi.ModTime())
	}
	top, err := x.fs.Stat("/")
	if err != nil {
		return fmt.Errorf("stat /: %w", err)
	}
	if !top.IsDir() {
		return fmt.Errorf("the mode of / is %v, want that of a directory", top.Mode())
	}
	return x.open(func(f afero.File) error {
		opened, err := f.Stat()
		if err != nil {
			return fmt.Errorf("stat of the open file: %w", err)
		}
		if opened.Size() != fi.Size() || opened.IsDir() {
			return fmt.Errorf("the size of the open file is %d, want %d", opened.Size(), fi.Size())
		}
		return nil
	})
}

func checkMissing(x *exam) error {
	for _, name := range []string{x.dir + "/no such name", x.dir + "/no such name/x"} {
		if err := x.gone(name); err != nil {
			return err
		}
		f, err := x.fs.Open(name)
		if err == nil {
			_ = f.Close()
		}
		if err := is("open "+name, err, fs.ErrNotExist); err != nil {
			return err
		}
	}
	return nil
}

// listMost bounds the entries that the checks for reading use.
const listMost = 2000

func checkList(x *exam) error {
	dir := "/"
	if x.file != "" {
		dir = path.Dir(x.file)
	}
	all, err := x.names(dir, listMost)
	if err != nil {
		return err
	}
	if x.file != "" && all[path.Base(x.file)] == nil && len(all) < listMost {
		return fmt.Errorf("%s does not contain %q", dir, path.Base(x.file))
	}
	n := 0
	for name, fi := range all {
		if name == "" || name == "." || name == ".." || path.Base(name) != name {
			return fmt.Errorf("%s contains the name %q", dir, name)
		}
		if n++; n > 50 {
			break
		}
		if _, err := x.lstat(path.Join(dir, name)); err != nil {
			return fmt.Errorf("%s contains %q, but it does not exist: %w", dir, name, err)
		}
		if fi.IsDir() {
			if _, err := x.list(path.Join(dir, name), 10); err != nil && !errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("list %s: %w", path.Join(dir, name), err)
			}
		}
	}
	return nil
}

func checkListedAttributes(x *exam) error {
	dir := path.Dir(x.file)
	all, err := x.names(dir, listMost)
	if err != nil {
		return err
	}
	n := 0
	for name, fi := range all {
		if n++; n > 50 {
			break
		}
		is, err := x.lstat(path.Join(dir, name))
		if err != nil {
			return fmt.Errorf("stat %s: %w", path.Join(dir, name), err)
		}
		if is.Mode() != fi.Mode() || !is.IsDir() && is.Size() != fi.Size() || !is.ModTime().Equal(fi.ModTime()) {
			return fmt.Errorf("%s is listed with mode %v, size %d and time %v, but Stat says %v, %d and %v", path.Join(dir, name),
				fi.Mode(), fi.Size(), fi.ModTime(), is.Mode(), is.Size(), is.ModTime())
		}
	}
	return nil
}

// atOnce calls f in n goroutines and returns their errors.
func atOnce(n int, f func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = guarded(func() error { return f(i) }) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// several is how many files are open at once. A storage may limit its connections.
const several = 4

// checkReaders lets all readers begin when all files are open.
func checkReaders(x *exam) error {
	var ready sync.WaitGroup
	ready.Add(several)
	return atOnce(several, func(i int) error {
		f, err := x.fs.Open(x.file)
		ready.Done()
		if err != nil {
			return fmt.Errorf("open %s: %w", x.file, err)
		}
		defer f.Close()
		ready.Wait()
		off := int64(len(x.want) * i / (several + 1))
		if _, err := f.Seek(off, io.SeekStart); err != nil {
			return fmt.Errorf("seek: %w", err)
		}
		got, err := io.ReadAll(io.LimitReader(f, int64(len(x.want))-off))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		return same(got, x.want[off:])
	})
}

func checkReadDirSeq(x *exam) error {
	s, ok := x.fs.(readDirFs)
	if !ok {
		return errNone
	}
	dir := path.Dir(x.file)
	want, err := x.names(dir, listMost)
	if err != nil {
		return err
	}
	got := map[string]bool{}
	for fi, err := range s.ReadDirSeq(dir) {
		if err != nil {
			return fmt.Errorf("ReadDirSeq(%q): %w", dir, err)
		}
		if got[fi.Name()] {
			return fmt.Errorf("ReadDirSeq(%q): %q is listed twice", dir, fi.Name())
		}
		if got[fi.Name()] = true; len(got) == listMost {
			break
		}
		if was := want[fi.Name()]; was != nil && (was.IsDir() != fi.IsDir() || !fi.IsDir() && was.Size() != fi.Size()) {
			return fmt.Errorf("ReadDirSeq(%q): %q is not as in Readdir", dir, fi.Name())
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("ReadDirSeq(%q) lists %d names, want %d", dir, len(got), len(want))
	}
	pairs := 0
	for _, err := range s.ReadDirSeq(x.dir + "/no such name") {
		pairs++
		if err := is("ReadDirSeq of a missing directory", err, fs.ErrNotExist); err != nil {
			return err
		}
	}
	if pairs != 1 {
		return fmt.Errorf("ReadDirSeq of a missing directory has %d pairs, want one with an error", pairs)
	}
	return nil
}

func checkFree(x *exam) error {
	s, ok := x.fs.(freeFs)
	if !ok {
		return errNone
	}
	n, err := s.Free(x.dir + "/")
	if err != nil {
		return no(err)
	}
	if n < 0 {
		return fmt.Errorf("the method returns %d", n)
	}
	return nil
}

func checkSys(x *exam) error {
	s, ok := x.fs.(sysFs)
	if !ok {
		return errNone
	}
	a, err := x.fs.Stat(x.file)
	if err != nil {
		return err
	}
	b, err := x.fs.Stat(x.file)
	if err != nil {
		return err
	}
	dir, err := x.fs.Stat(path.Dir(x.file))
	if err != nil {
		return err
	}
	sysA, ok := s.Sys(a)
	if !ok {
		return no(errors.New("the method returns false"))
	}
	sysB, _ := s.Sys(b)
	sysDir, _ := s.Sys(dir)
	if sysA.Dev != sysB.Dev || sysA.Ino != sysB.Ino {
		return fmt.Errorf("two calls of Sys for %s return different identities", x.file)
	}
	if sysA.Dev == sysDir.Dev && sysA.Ino == sysDir.Ino {
		return fmt.Errorf("%s and its directory have the same identity", x.file)
	}
	return nil
}
