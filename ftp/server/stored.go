package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"sync/atomic"
	"syscall"
	"time"
)

// storedUpload is an upload to an UploadFs. The storage decides how the bytes become a file; this type checks
// first whether the account may write it, with the same rules as upload, and gives the errors of the storage
// their meaning.
type storedUpload struct {
	s        *session
	quota    *quota
	files    UploadFs
	path     string      // in the session's tree
	name     string      // in files
	old      fs.FileInfo // the file when the upload began; nil: none
	newOnly  bool        // APPE to a new file
	unique   bool        // STOU
	reserved reservation // the name, if unique or if another upload may have another one (numbered.go); else zero
	inner    Upload
	held     HeldUpload // inner, if the storage can hold it back
	written  atomic.Int64
	whole    bool               // all data has arrived
	stop     context.CancelFunc // ends the calls of Write
	detach   func() bool        // parts stop from the end of the task; nil: beside was not called
}

// look examines the final name and checks that it may be written to.
func (u *storedUpload) look() error {
	if u.s.srv.uploads.isReserved(u.s.account, u.path) {
		return errReserved
	}
	fi, err := lstat(u.s.account.FS, u.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if isDir(u.s.account.FS, path.Dir(u.path)) != nil {
			return errNoParent
		}
		return nil
	case err != nil:
		return err
	case fi.IsDir():
		return errIsDir
	case !u.s.may(PermOverwrite, u.path):
		return errExists
	}
	u.old = fi
	return nil
}

// open begins the upload.
func (u *storedUpload) open(o UploadOptions) (incoming, error) {
	o.Owner, o.Hold = u.s.uploadOwner(), u.s.set.Gate != nil
	if _, ok := u.files.(HoldFs); o.Hold && !ok { // it would be visible before it is checked
		u.unreserve()
		return nil, errNoGate
	}
	ctx, stop := context.WithCancel(u.s.ctx())
	inner, err := u.files.Upload(ctx, u.name, o)
	if err != nil {
		stop()
		u.unreserve()
		if o.Offset > 0 && errors.Is(err, syscall.ESTALE) { // it was interrupted before another file took its name
			return nil, errWasCut
		}
		return nil, u.meaning(err)
	}
	u.inner, u.stop = inner, stop
	if u.held, _ = inner.(HeldUpload); u.held == nil && o.Hold {
		_ = inner.Abort(u.s.ctx())
		u.release()
		return nil, errNoGate
	}
	return u, nil
}

// keptStored returns how much of an interrupted upload of the account is kept, and since when. With a Gate, only what is held
// back can be resumed.
func (s *session) keptStored(files UploadFs, name string) (int64, time.Time, error) {
	if s.set.Gate == nil {
		return files.Kept(s.ctx(), name, s.uploadOwner())
	}
	if holder, ok := files.(HoldFs); ok {
		return holder.KeptHeld(s.ctx(), name, s.uploadOwner())
	}
	return 0, time.Time{}, fs.ErrNotExist
}

// storedUpload prepares a STOR that starts at offset. For asked, see openNamed.
func (s *session) storedUpload(files UploadFs, p, inside, asked string, offset int64) (incoming, error) {
	u := &storedUpload{s: s, quota: s.quotaAt(p), files: files, path: p, name: inside}
	if asked != "" {
		r := reservationOf(s.account, p)
		if !s.srv.uploads.reserve(r, false) { // reserve first, as in openUnique
			return nil, errTaken
		}
		u.reserved = r
	}
	if err := u.look(); err != nil {
		u.unreserve()
		return nil, err
	}
	if offset > 0 {
		if err := u.mayResume(offset); err != nil {
			return nil, err
		}
	}
	return u.open(UploadOptions{Offset: offset, New: u.old == nil && !s.may(PermOverwrite, p)})
}

// mayResume returns nil if an interrupted upload of the account or, if there is none, the existing file has that
// many bytes.
func (u *storedUpload) mayResume(offset int64) error {
	kept, _, err := u.kept()
	switch {
	case err == nil && offset > kept:
		return errWasCut
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case u.old == nil || offset > u.old.Size():
		return errPastEnd
	}
	return nil
}

func (u *storedUpload) kept() (int64, time.Time, error) {
	return u.s.keptStored(u.files, u.name)
}

// storedAppend prepares APPE (see openAppend).
func (s *session) storedAppend(files UploadFs, p, inside string) (incoming, error) {
	u := &storedUpload{s: s, quota: s.quotaAt(p), files: files, path: p, name: inside}
	if err := u.look(); err != nil {
		return nil, err
	}
	switch {
	case u.old != nil && s.set.Gate != nil:
		return nil, errUnchecked
	case u.old != nil:
		if _, since, err := u.kept(); err == nil && s.mayHaveKept(p, since) {
			return nil, errPaused
		}
	}
	u.newOnly = u.old == nil
	return u.open(UploadOptions{Append: true, New: u.newOnly})
}

// storedUnique prepares STOU to a name that r reserves among the sessions of this server.
func (s *session) storedUnique(files UploadFs, p, inside string, r reservation) (incoming, error) {
	u := &storedUpload{s: s, quota: s.quotaAt(p), files: files, path: p, name: inside, unique: true, reserved: r}
	return u.open(UploadOptions{New: true})
}

// meaning returns an error that uploadError has a reply for.
func (u *storedUpload) meaning(err error) error {
	switch {
	case errors.Is(err, syscall.ESTALE):
		return errMoved
	case errors.Is(err, syscall.EBUSY):
		return errBusy
	case errors.Is(err, errors.ErrUnsupported) && u.s.set.Gate != nil:
		return errUnchecked
	case !errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY):
		return err
	case u.newOnly:
		return errAppeared
	}
	return errTaken
}

func (u *storedUpload) where() (string, int64, bool) { return u.path, u.inner.Start(), u.unique }

// sink hides all methods but Write, because the storage may have others that package io would prefer.
func (u *storedUpload) sink() io.Writer { return storedSink{u} }

type storedSink struct{ u *storedUpload }

func (w storedSink) Write(p []byte) (int, error) {
	n, err := w.u.inner.Write(p)
	w.u.written.Add(int64(n))
	return n, err
}

func (u *storedUpload) oldSize() int64 { return sizeIn(u.old) }

func (u *storedUpload) isRemote() bool { return true }

func (u *storedUpload) begin() error { return nil }

func (u *storedUpload) complete() { u.whole = true }

// beside makes the end of the task end the wait of a Write.
func (u *storedUpload) beside(ctx context.Context) { u.detach = context.AfterFunc(ctx, u.stop) }

// ended lets the storage complete what it does in the background for an earlier Write, because the task may have
// ended well.
func (u *storedUpload) ended() {
	if u.detach != nil {
		u.detach()
	}
}

// awaitVerdict does nothing: what the storage holds back is not swept while it is checked.
func (u *storedUpload) awaitVerdict() {}

func (u *storedUpload) hold(ctx context.Context) error {
	if err := u.held.Hold(ctx); err != nil {
		return u.meaning(err)
	}
	return nil
}

func (u *storedUpload) content(ctx context.Context) (*gateContent, error) {
	content, size, err := u.held.Content(ctx)
	if err != nil {
		return nil, err
	}
	return &gateContent{ReaderAt: content, size: size, unchanged: func() error { return nil }, close: func() {}}, nil
}

func (u *storedUpload) commit(ctx context.Context, modified time.Time) error {
	defer u.release()
	size := u.inner.Start() + u.written.Load()
	if u.inner.Start() > 0 && u.s.set.Gate == nil { // what follows in an existing file is kept
		size = max(size, sizeIn(u.old))
	}
	asked := false
	err := u.quota.put(ctx, u.path, size, func() error {
		asked = true
		return u.inner.Commit(ctx, modified)
	})
	switch {
	case asked:
	case errors.Is(err, errQuota):
		_ = u.inner.Abort(ctx)
	case err != nil: // the storage must be told that the upload has ended
		_, _ = u.keep(ctx)
	}
	if err != nil {
		return u.meaning(err)
	}
	return nil
}

func (u *storedUpload) abandon(ctx context.Context, _ bool, err error) (kept int64) {
	defer u.release()
	if noSpace(err) || u.unique || errors.As(err, new(*GateRefusal)) { // an interrupted STOU can't be resumed: its client does not ask for the same name again
		_ = u.inner.Abort(ctx)
		return 0
	}
	kept, keepErr := u.keep(ctx)
	if keepErr != nil {
		u.s.set.Log.Warn("an interrupted upload could not be kept", "session", u.s.control.ID, "err", keepErr)
		return 0
	}
	return kept
}

// keep calls Keep. If it has kept all of a whole upload, which a client would take for stored, that is removed.
func (u *storedUpload) keep(ctx context.Context) (int64, error) {
	kept, err := u.inner.Keep(ctx)
	if u.whole && err == nil && kept > 0 && kept >= u.inner.Start()+u.written.Load() {
		return 0, u.files.Discard(ctx, u.name, u.s.uploadOwner())
	}
	return kept, err
}

func (u *storedUpload) release() {
	u.stop()
	u.unreserve()
}

func (u *storedUpload) unreserve() {
	if u.reserved != (reservation{}) {
		u.s.srv.uploads.release(u.reserved)
	}
}

// uploadOwner identifies to a storage the user to whom interrupted uploads belong.
func (s *session) uploadOwner() string {
	return s.account.owner(cmp.Or(s.account.Name, s.identity.user))
}
