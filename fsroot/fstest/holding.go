package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// hold begins an upload that is held back, and completes it.
func (x *exam) hold(name string, o uploadOptions, b []byte) (heldUpload, error) {
	o.Owner, o.Hold = "a", true
	up, err := x.begin(name, o, b)
	if err != nil {
		return nil, err
	}
	held, ok := up.(heldUpload)
	if !ok {
		return nil, errors.Join(errNone, up.Abort(x.ctx))
	}
	if err := held.Hold(x.ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("hold: %w", err), up.Abort(x.ctx))
	}
	return held, nil
}

// checkUploadHold checks that an upload can be read before it is visible.
func checkUploadHold(x *exam) error {
	name, want := x.path("f"), content(6<<20)
	up, err := x.hold(name, uploadOptions{}, want)
	if err != nil {
		return err
	}
	read, size, err := up.Content(x.ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("content: %w", err), up.Abort(x.ctx))
	}
	got, err := io.ReadAll(io.NewSectionReader(read, 0, size))
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("the content has %d bytes and is not what was written, which has %d", len(got), len(want))
	}
	if err == nil {
		err = x.gone(name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("after Hold: %w", err), up.Abort(x.ctx))
	}
	if err := up.Commit(x.ctx, time.Time{}); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := x.holds(name, want); err != nil {
		return err
	}
	if _, err := x.begin(name, uploadOptions{Owner: "a", Hold: true, Offset: 3}, nil); err == nil {
		return errors.New("an upload with Hold that changes a part of a file is accepted")
	}
	return x.keepHeld()
}

// keepHeld checks that what is kept after Hold can be resumed, and counts as less than the whole.
func (x *exam) keepHeld() error {
	name, want := x.path("kept"), content(1000)
	up, err := x.hold(name, uploadOptions{}, want)
	if err != nil {
		return err
	}
	n, err := up.Keep(x.ctx)
	if err != nil || n >= int64(len(want)) {
		return fmt.Errorf("the result of Keep after Hold is %d of %d bytes, and the error %w", n, len(want), err)
	}
	if err := x.gone(name); err != nil {
		return fmt.Errorf("after Hold and Keep: %w", err)
	}
	if n > 0 {
		if kept, _, err := x.uploads.Kept(x.ctx, name, "a"); err != nil || kept != n {
			return fmt.Errorf("the result of Kept is %d and the error %w, and that of Keep was %d", kept, err, n)
		}
		up, err = x.hold(name, uploadOptions{Offset: n}, want[n:])
		if err != nil {
			return fmt.Errorf("resuming: %w", err)
		}
		if err := up.Commit(x.ctx, time.Time{}); err != nil {
			return fmt.Errorf("resuming: Commit: %w", err)
		}
		if err := x.holds(name, want); err != nil {
			return fmt.Errorf("resuming: %w", err)
		}
	}
	return x.keptNone(name, "a")
}
