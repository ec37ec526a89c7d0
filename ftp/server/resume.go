package server

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// resume continues an interrupted upload of the same account at the offset that REST gave. If there is none, it
// overwrites a part of the existing file and keeps the bytes after that part (RFC 3659 §5.3 leaves that open).
//
// The two must not be confused. SIZE of an existing file returns the size of that file, even if an upload to
// replace it was interrupted. A client might mistake it for the number of bytes that have arrived of its
// upload, and continue the new content at the end of the old. So the existing file is not touched while there
// is an interrupted or running upload to it.
func (u *upload) resume() error {
	if err := u.claim(u.offset); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case u.old == nil:
		return errPastEnd
	case u.mayBeRunning():
		return errBusy
	case u.wasInterrupted(func(partialName) bool { return true }):
		return errWasCut
	}
	if err := u.openFinal(os.O_WRONLY); err != nil {
		return err
	}
	fi, err := u.own.Stat()
	if err == nil && fi.Size() < u.offset {
		err = errPastEnd
	}
	return u.seek(err)
}

// claim takes over the interrupted upload of the same account to the same version of the file. If there is none
// with at least that many bytes, the error is fs.ErrNotExist. The file gets a running name, so that no other
// session can claim it, too. Its content is not changed before begin. Its time is set before the rename: other
// servers would treat a running name with an old time as abandoned.
func (u *upload) claim(least int64) error {
	u.part = partialOf(path.Base(u.name), u.s.owner, u.old)
	kept := u.part.sibling(u.name)
	fi, err := lstat(u.fs, kept)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() < least {
		return fs.ErrNotExist
	}
	flag := os.O_WRONLY
	if u.append {
		flag |= os.O_APPEND
	}
	own, err := openOwn(u.fs, kept, flag, 0)
	if err != nil {
		return err
	}
	own.made = true
	now := time.Now()
	_ = u.fs.Chtimes(kept, now, now)
	name := u.hide()
	if err = own.identify(); err == nil {
		err = own.moveNew(name)
	}
	u.own, u.hidden = own, true
	// The rename may have moved another file than the open one: another session may have claimed the open one in
	// between, and a newer interrupted upload may have got the name kept.
	if err == nil && !own.at(name) {
		_ = renameNew(u.fs, name, kept) // undo the rename of the other file
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = own.Close()
		u.s.srv.uploads.dropHidden(u.part.String())
		u.own, u.hidden = nil, false
		return err
	}
	u.truncate = !u.append && fi.Size() > u.offset // not every storage can truncate to an offset
	return u.seek(nil)
}

// seek moves the file position to the offset if err is nil; otherwise it abandons the upload.
func (u *upload) seek(err error) error {
	if err == nil && !u.append {
		_, err = u.own.Seek(u.offset, io.SeekStart)
	}
	if err != nil {
		u.abandon(u.s.ctx(), false, nil)
	}
	return err
}

// openAppend prepares APPE: at the end of an existing file or of an interrupted upload of the same account,
// else into a new file.
func (s *session) openAppend(p string) (incoming, error) {
	storage, inside := s.at(p)
	if files, ok := storage.(UploadFs); ok {
		return s.storedAppend(files, p, inside)
	}
	u := s.newUpload(p)
	u.append, u.newOnly = true, true
	err := u.look()
	switch {
	case err != nil:
	case u.old != nil && u.mayBeRunning():
		err = errBusy
	case u.old != nil && u.mayBeResuming():
		err = errPaused
	case u.old != nil:
		err = u.openFinal(os.O_WRONLY | os.O_APPEND)
	default:
		if err = u.claim(0); errors.Is(err, fs.ErrNotExist) {
			u.append = false
			return u.prepared(u.create())
		}
	}
	if err == nil {
		if fi, err := u.own.Stat(); err == nil {
			u.offset = fi.Size()
		}
	}
	return u.prepared(err)
}

// mayBeResuming reports whether this client may be resuming an upload that was to replace the file and was
// interrupted less than appendPause ago. Clients such as curl resume with APPE at the size that SIZE returns,
// which is the size of the old file. Only a session in which the upload was interrupted, or one that began
// after that, can belong to such a client.
func (u *upload) mayBeResuming() bool {
	fi, err := lstat(u.fs, partialOf(path.Base(u.name), u.s.owner, u.old).sibling(u.name))
	if err != nil { // a killed server leaves it under its running name
		left := func(n partialName) bool { return n.random != 0 && n.target == fingerprint(u.old) }
		return time.Since(u.s.srv.uploads.since) < appendPause && u.wasInterrupted(left)
	}
	return u.s.mayHaveKept(u.path, fi.ModTime())
}

// mayHaveKept reports whether the interrupted upload to p to which nothing was added since the given time may
// belong to this client, which may be about to resume it.
func (s *session) mayHaveKept(p string, since time.Time) bool {
	return time.Since(since) < appendPause && (s.interrupted == p || s.began.After(since))
}

// mayBeRunning reports whether an upload of the same account to the file is running that is older than this
// session. It may be this client's own: the client has lost its connection, which the server has not noticed
// yet, and is back to resume.
func (u *upload) mayBeRunning() bool {
	for _, name := range u.s.srv.uploads.runningBefore(path.Base(u.name), u.s.owner, u.s.began) {
		if _, err := lstat(u.fs, path.Join(path.Dir(u.name), name)); err == nil {
			return true
		}
	}
	return false
}

// wasInterrupted reports whether there is an interrupted upload of the same account to a version of the file
// that match accepts.
func (u *upload) wasInterrupted(match func(partialName) bool) bool {
	return hasPartials(u.fs, path.Dir(u.name), path.Base(u.name), u.s.owner, u.s.srv.uploads, match)
}
