package fstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"
)

// The checks of storages that make files of uploads themselves.

// begin begins an upload of an owner and writes b.
func (x *exam) begin(name string, o uploadOptions, b []byte) (upload, error) {
	if x.uploads == nil {
		return nil, errNone
	}
	up, err := x.uploads.Upload(x.ctx, name, o)
	if err != nil {
		return nil, fmt.Errorf("Upload(%q, %+v): %w", name, o, err)
	}
	for len(b) > 0 {
		n := min(len(b), 1<<20)
		if _, err := up.Write(b[:n]); err != nil {
			return nil, errors.Join(fmt.Errorf("write: %w", err), up.Abort(x.ctx))
		}
		b = b[n:]
	}
	return up, nil
}

// commit is an upload from its begin to its commit.
func (x *exam) commit(name string, o uploadOptions, start int64, b []byte) error {
	up, err := x.begin(name, o, b)
	if err != nil {
		return err
	}
	if up.Start() != start {
		return errors.Join(fmt.Errorf("Upload(%+v) begins at %d, want %d", o, up.Start(), start), up.Abort(x.ctx))
	}
	if err := up.Commit(x.ctx, time.Time{}); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// keptNone checks that nothing of an owner can be resumed.
func (x *exam) keptNone(name, owner string) error {
	n, _, err := x.uploads.Kept(x.ctx, name, owner)
	if err == nil {
		return fmt.Errorf("after that, Kept returns %d bytes, want fs.ErrNotExist", n)
	}
	return is("Kept", err, fs.ErrNotExist)
}

func checkUpload(x *exam) error {
	name, want := x.path("f"), content(1<<20+1)
	for _, before := range []string{"", "the file before"} {
		if before != "" {
			if err := x.commit(name, uploadOptions{Owner: "a"}, 0, []byte(before)); err != nil {
				return err
			}
		}
		up, err := x.begin(name, uploadOptions{Owner: "a"}, want)
		if err != nil {
			return err
		}
		if before == "" {
			err = x.gone(name)
			if all, listed := x.names(x.dir, 10); err == nil && (listed != nil || all["f"] != nil) {
				err = errors.Join(errors.New("the file is listed before Commit"), listed)
			}
		} else {
			err = x.holds(name, []byte(before))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("before Commit: %w", err), up.Abort(x.ctx))
		}
		if err := up.Commit(x.ctx, time.Time{}); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		if err := x.holds(name, want); err != nil {
			return err
		}
		if err := x.keptNone(name, "a"); err != nil {
			return fmt.Errorf("after Commit: %w", err)
		}
		if err := x.fs.Remove(name); err != nil {
			return err
		}
	}
	return x.commit(name, uploadOptions{Owner: "a"}, 0, nil) // an empty file
}

// cutSize is how much of an upload arrives before it is cut. A storage may keep only whole parts.
const cutSize = 12 << 20

// cut makes an interrupted upload of n bytes and returns how many are kept.
func (x *exam) cut(name, owner string, b []byte) (int64, error) {
	up, err := x.begin(name, uploadOptions{Owner: owner}, b)
	if err != nil {
		return 0, err
	}
	n, err := up.Keep(x.ctx)
	if err != nil {
		return 0, fmt.Errorf("keep: %w", err)
	}
	if n < 0 || n >= int64(len(b)) {
		return 0, fmt.Errorf("the result of Keep is %d of %d bytes, want fewer than all: SIZE would show a client that nothing is missing", n, len(b))
	}
	if n == 0 {
		if kept, _, err := x.uploads.Kept(x.ctx, name, owner); err == nil && kept != 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("the result of Keep is 0, and that of Kept %d with the error %w", kept, err)
		}
		return 0, nil
	}
	kept, when, err := x.uploads.Kept(x.ctx, name, owner)
	switch {
	case err != nil:
		return 0, fmt.Errorf("asking what is kept: %w", err)
	case kept != n:
		return 0, fmt.Errorf("the result of Kept is %d bytes, and that of Keep was %d", kept, n)
	case time.Since(when).Abs() > 48*time.Hour:
		return 0, fmt.Errorf("the result of Kept has the time %v for a new upload", when)
	}
	return n, nil
}

func checkUploadResume(x *exam) error {
	if x.uploads == nil {
		return errNone
	}
	whole := content(cutSize + 1000)
	for i, size := range []int{cutSize, 100_000} {
		name, want := x.path(fmt.Sprint("f", i)), whole[:size+1000]
		n, err := x.cut(name, "a", want[:size])
		if err != nil {
			return err
		}
		if n == 0 && size == cutSize {
			return no(fmt.Errorf("nothing is kept of an interrupted upload of %d bytes", size))
		}
		if err := x.gone(name); err != nil {
			return fmt.Errorf("after Keep: %w", err)
		}
		if err := x.keptNone(name, "b"); err != nil {
			return fmt.Errorf("of another owner: %w", err)
		}
		if err := x.resume(name, n, want); err != nil {
			return err
		}
		if err := x.keptNone(name, "a"); err != nil {
			return fmt.Errorf("after Commit: %w", err)
		}
	}
	return nil
}

// resume completes an upload from the offset n, or from the one that the storage names instead.
func (x *exam) resume(name string, n int64, want []byte) error {
	up, err := x.uploads.Upload(x.ctx, name, uploadOptions{Owner: "a", Offset: n})
	if at, ok := errors.AsType[resumeError](err); ok {
		if n = at.ResumeAt(); n < 0 || n > int64(len(want)) {
			return fmt.Errorf("the upload can be resumed at %d, according to the error %w", n, err)
		}
		up, err = x.uploads.Upload(x.ctx, name, uploadOptions{Owner: "a", Offset: n})
	}
	if err != nil {
		return fmt.Errorf("resuming at %d: %w", n, err)
	}
	if up.Start() != n {
		return errors.Join(fmt.Errorf("resuming at %d begins at %d", n, up.Start()), up.Abort(x.ctx))
	}
	if _, err := up.Write(want[n:]); err != nil {
		return errors.Join(fmt.Errorf("resuming at %d: Write: %w", n, err), up.Abort(x.ctx))
	}
	if err := up.Commit(x.ctx, time.Time{}); err != nil {
		return fmt.Errorf("resuming at %d: Commit: %w", n, err)
	}
	return x.holds(name, want)
}

// resumeError is an error that says where an upload can be resumed.
type resumeError interface {
	error
	ResumeAt() int64
}

func checkUploadAppend(x *exam) error {
	name := x.path("f")
	o := uploadOptions{Owner: "a", Append: true}
	if err := x.commit(name, o, 0, []byte("one")); err != nil {
		return err
	}
	if err := x.commit(name, o, 3, []byte(" two")); err != nil {
		return err
	}
	if err := x.holds(name, []byte("one two")); err != nil {
		return err
	}
	big := content(6 << 20) // more than the least part of an object store
	if err := x.put(name, big); err != nil {
		return err
	}
	if err := x.commit(name, o, int64(len(big)), []byte("end")); err != nil {
		return err
	}
	return x.holds(name, append(big, "end"...))
}

func checkUploadPart(x *exam) error {
	name, want := x.path("f"), content(300_000)
	if err := x.put(name, want); err != nil {
		return err
	}
	up, err := x.begin(name, uploadOptions{Owner: "a", Offset: 100_000}, bytes.Repeat([]byte("x"), 50_000))
	if errors.Is(err, errors.ErrUnsupported) {
		return no(err)
	}
	if err != nil {
		return err
	}
	if up.Start() != 100_000 {
		return errors.Join(fmt.Errorf("the upload begins at %d, want 100000", up.Start()), up.Abort(x.ctx))
	}
	if err := up.Commit(x.ctx, time.Time{}); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	copy(want[100_000:], bytes.Repeat([]byte("x"), 50_000))
	return x.holds(name, want)
}

func checkUploadNew(x *exam) error {
	if x.uploads == nil {
		return errNone
	}
	name := x.path("f")
	if err := x.put(name, []byte("before")); err != nil {
		return err
	}
	o := uploadOptions{Owner: "a", New: true}
	up, err := x.begin(name, o, []byte("after"))
	if err == nil {
		err = up.Commit(x.ctx, time.Time{})
	}
	if err := is("an upload with New to a file that exists", err, fs.ErrExist); err != nil {
		return err
	}
	_ = x.uploads.Discard(x.ctx, name, "a")
	if err := x.holds(name, []byte("before")); err != nil {
		return err
	}
	free := x.path("free")
	var winners atomic.Int32
	err = atOnce(4, func(i int) error {
		own := uploadOptions{Owner: fmt.Sprint("o", i), New: true}
		up, err := x.begin(free, own, []byte("new"))
		if err == nil {
			err = up.Commit(x.ctx, time.Time{})
		}
		if err == nil {
			winners.Add(1)
			return nil
		}
		_ = x.uploads.Discard(x.ctx, free, own.Owner)
		return is("Commit with New", err, fs.ErrExist)
	})
	if err != nil {
		return err
	}
	if n := winners.Load(); n != 1 {
		return fmt.Errorf("%d of 4 uploads with New to one name succeed, want 1", n)
	}
	return x.holds(free, []byte("new"))
}

func checkUploadAbort(x *exam) error {
	name := x.path("f")
	for _, before := range []string{"", "before"} {
		if before != "" {
			if err := x.put(name, []byte(before)); err != nil {
				return err
			}
		}
		up, err := x.begin(name, uploadOptions{Owner: "a"}, content(6<<20))
		if err != nil {
			return err
		}
		if err := up.Abort(x.ctx); err != nil {
			return fmt.Errorf("abort: %w", err)
		}
		if err := x.keptNone(name, "a"); err != nil {
			return fmt.Errorf("after Abort: %w", err)
		}
		if before == "" {
			err = x.gone(name)
		} else {
			err = x.holds(name, []byte(before))
		}
		if err != nil {
			return fmt.Errorf("after Abort: %w", err)
		}
	}
	n, err := x.cut(name, "a", content(cutSize/2))
	if err != nil {
		return err
	}
	if err := x.uploads.Discard(x.ctx, name, "a"); err != nil && (n > 0 || !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("discard: %w", err)
	}
	return x.keptNone(name, "a")
}

func checkUploadTime(x *exam) error {
	name := x.path("f")
	up, err := x.begin(name, uploadOptions{Owner: "a"}, []byte("f"))
	if err != nil {
		return err
	}
	want := time.Date(2010, 2, 28, 23, 59, 58, 0, time.UTC)
	if err := up.Commit(x.ctx, want); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	fi, err := x.fs.Stat(name)
	if err != nil {
		return err
	}
	if !fi.ModTime().Equal(want) {
		return fmt.Errorf("the time is %v, want that given to Commit, %v", fi.ModTime().UTC(), want)
	}
	return nil
}

// checkSweep does not check that old uploads are removed: that would remove uploads of others.
func checkSweep(x *exam) error {
	s, ok := x.fs.(sweepFs)
	if !ok || x.uploads == nil {
		return errNone
	}
	name := x.path("f")
	n, err := x.cut(name, "a", content(cutSize/2))
	if err != nil {
		return err
	}
	defer func() { _ = x.uploads.Discard(context.WithoutCancel(x.ctx), name, "a") }()
	if _, err := s.SweepUploads(x.ctx, time.Unix(0, 0)); err != nil {
		return no(fmt.Errorf("sweep: %w", err))
	}
	if kept, _, err := x.uploads.Kept(x.ctx, name, "a"); n > 0 && (err != nil || kept != n) {
		return fmt.Errorf("a new upload was removed by SweepUploads: Kept returns %d bytes and the error %w", kept, err)
	}
	return nil
}
