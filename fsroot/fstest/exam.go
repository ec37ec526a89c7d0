package fstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// exam is what the checks work with.
type exam struct {
	ctx     context.Context //nolint:containedctx // of one check
	fs      afero.Fs
	uploads uploadFs // nil if the storage makes no files of uploads itself
	dir     string   // where a check may write; "" if nothing may be written

	file  string // for reading: a file that exists
	want  []byte // its content
	whole bool   // want is all of it, not only its beginning
}

func newExam(ctx context.Context, fsys afero.Fs) *exam {
	x := &exam{ctx: ctx, fs: fsys}
	x.uploads, _ = fsys.(uploadFs)
	return x
}

// sampleSize is the size of the file that is read. It is odd, and more than a buffer.
const sampleSize = 300_001

// prepare makes or finds the file that is read.
func (x *exam) prepare() error {
	if x.dir == "" {
		return x.find()
	}
	name := x.dir + "/sample"
	want := content(sampleSize)
	if err := x.put(name, want); err != nil {
		return fmt.Errorf("there is no file to read: %w", err)
	}
	for i := range 3 {
		if err := x.fs.Mkdir(fmt.Sprintf("%s/dir%d", x.dir, i), 0o777); err != nil {
			return fmt.Errorf("there is no directory to list: %w", err)
		}
	}
	x.file, x.want, x.whole = name, want, true
	return nil
}

// The limits of find.
const (
	findMost = 1000    // entries
	readMost = 1 << 20 // bytes of the file
)

// find looks for a file that is not empty, and prefers one that is small.
func (x *exam) find() error {
	var large string
	dirs := []string{"/"}
	for seen := 0; len(dirs) > 0 && seen < findMost; dirs = dirs[1:] {
		infos, err := x.list(dirs[0], findMost-seen)
		if err != nil && dirs[0] == "/" {
			return fmt.Errorf("listing /: %w", err)
		}
		for _, fi := range infos {
			seen++
			name := path.Join(dirs[0], fi.Name())
			switch {
			case fi.IsDir():
				dirs = append(dirs, name)
			case !fi.Mode().IsRegular() || fi.Size() < 2:
			case fi.Size() <= readMost:
				return x.use(name)
			default:
				large = name
			}
		}
	}
	if large != "" {
		return x.use(large)
	}
	return fmt.Errorf("there is no file to read among the first %d entries", findMost)
}

func (x *exam) use(name string) error {
	f, err := x.fs.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	want, err := io.ReadAll(io.LimitReader(f, readMost+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if x.whole = len(want) <= readMost; !x.whole {
		want = want[:readMost]
	}
	x.file, x.want = name, want
	return nil
}

// in returns an exam whose directory is a new one for the i-th check.
func (x *exam) in(i int) (*exam, error) {
	own := *x
	own.dir = fmt.Sprintf("%s/%d", x.dir, i)
	if err := x.fs.Mkdir(own.dir, 0o777); err != nil {
		return nil, fmt.Errorf("the directory of the check could not be made: %w", err)
	}
	return &own, nil
}

// path returns the path of a name in the directory of the check.
func (x *exam) path(name string) string { return x.dir + "/" + name }

// content returns n bytes, the same for each call, that have no period.
func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// put makes or replaces a file, as an upload does.
func (x *exam) put(name string, b []byte) error { return x.putWhen(name, b, func() {}) }

// putWhen is like put, but calls opened when the file is open, or could not be opened.
func (x *exam) putWhen(name string, b []byte, opened func()) error {
	if x.uploads != nil {
		up, err := x.uploads.Upload(x.ctx, name, uploadOptions{Owner: "put"})
		opened()
		if err != nil {
			return fmt.Errorf("upload of %s: %w", name, err)
		}
		if _, err := up.Write(b); err != nil {
			return errors.Join(fmt.Errorf("upload of %s: write: %w", name, err), up.Abort(x.ctx))
		}
		if err := up.Commit(x.ctx, time.Time{}); err != nil {
			return fmt.Errorf("upload of %s: commit: %w", name, err)
		}
		return nil
	}
	f, err := x.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EBADF) { // as the server does for some storages of afero
		f, err = x.fs.Create(name)
	}
	opened()
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// write opens an existing file for writing, calls f with it, and closes it.
func (x *exam) write(name string, flag int, f func(afero.File) error) error {
	file, err := x.fs.OpenFile(name, flag, 0o666)
	if err != nil {
		return no(fmt.Errorf("open %s for writing: %w", name, err))
	}
	err = f(file)
	if closed := file.Close(); err == nil && closed != nil {
		err = fmt.Errorf("close %s: %w", name, closed)
	}
	return err
}

// get reads a file.
func (x *exam) get(name string) ([]byte, error) {
	f, err := x.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// holds checks the content of a file.
func (x *exam) holds(name string, want []byte) error {
	got, err := x.get(name)
	if err != nil {
		return err
	}
	if err := same(got, want); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fi, err := x.fs.Stat(name)
	if err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	if fi.Size() != int64(len(want)) {
		return fmt.Errorf("the size of %s is %d according to Stat, want %d", name, fi.Size(), len(want))
	}
	return nil
}

// same compares the bytes of a file.
func same(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	if len(want) < 60 && len(got) < 60 {
		return fmt.Errorf("the content is %q, want %q", got, want)
	}
	return fmt.Errorf("the content has %d bytes, want %d, and differs at byte %d", len(got), len(want), at)
}

// gone checks that a name does not exist.
func (x *exam) gone(name string) error {
	_, err := x.fs.Stat(name)
	if err == nil {
		return fmt.Errorf("%s exists, want fs.ErrNotExist", name)
	}
	return is("stat "+name, err, fs.ErrNotExist)
}

// is checks the kind of an error.
func is(op string, err, want error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%s succeeds, want the error %q", op, want.Error())
	case !errors.Is(err, want):
		return fmt.Errorf("%s: the error is %q, want %q", op, err.Error(), want.Error())
	}
	return nil
}

// fails checks that an operation has failed, with whatever error.
func fails(op string, err error) error {
	if err == nil {
		return fmt.Errorf("%s succeeds, want an error", op)
	}
	return nil
}

// list returns at most most entries of a directory, which it reads in batches.
func (x *exam) list(dir string, most int) ([]fs.FileInfo, error) {
	f, err := x.fs.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []fs.FileInfo
	for len(all) < most {
		batch, err := f.Readdir(min(100, most-len(all)))
		all = append(all, batch...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if len(batch) == 0 {
			return all, errors.New("Readdir(n) returns no entries and no io.EOF")
		}
	}
	return all, nil
}

// names returns the names in a directory, each of which must occur once.
func (x *exam) names(dir string, most int) (map[string]fs.FileInfo, error) {
	infos, err := x.list(dir, most)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	all := map[string]fs.FileInfo{}
	for _, fi := range infos {
		if all[fi.Name()] != nil {
			return nil, fmt.Errorf("list %s: %q is listed twice", dir, fi.Name())
		}
		all[fi.Name()] = fi
	}
	return all, nil
}

// cleanUp removes the directory of the checks.
func (x *exam) cleanUp() error {
	_ = guarded(func() error { return x.fs.RemoveAll(x.dir) })
	if x.gone(x.dir) != nil {
		if err := x.removeTree(x.dir, 0); err != nil {
			return err
		}
	}
	if err := x.gone(x.dir); err != nil {
		return err
	}
	infos, err := x.names("/", 100_000)
	if err == nil && infos[path.Base(x.dir)] != nil {
		err = errors.New("it is still listed")
	}
	return err
}

// removeTree is for storages whose RemoveAll does not work.
func (x *exam) removeTree(name string, level int) error {
	fi, err := x.lstat(name)
	if err != nil {
		return err
	}
	if fi.IsDir() && level < 10 {
		infos, err := x.list(name, 100_000)
		if err != nil {
			return err
		}
		for _, fi := range infos {
			if err := x.removeTree(path.Join(name, path.Base(fi.Name())), level+1); err != nil {
				return err
			}
		}
	}
	return x.fs.Remove(name)
}

func (x *exam) lstat(name string) (fs.FileInfo, error) {
	if l, ok := x.fs.(afero.Lstater); ok {
		fi, _, err := l.LstatIfPossible(name)
		return fi, err
	}
	return x.fs.Stat(name)
}
