package server

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// resume continues an interrupted upload of the same account, or a file: after the new
// bytes a file keeps its tail (RFC 3659 §5.3 leaves that open). A client that asks for
// more than was received has taken the size of the file that the upload was to replace,
// or of one that replaced that since, for what arrived of its own: they must not mix.
func (u *upload) resume() error {
	if err := u.claim(u.offset); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case u.had == nil:
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

// claim takes the partial upload of the same account to the same version of the file, if
// it has at least that many bytes; else the error is fs.ErrNotExist. Nothing of it is
// changed before the data connection is open. Under a running upload's name nothing old
// may be: other servers would take it for abandoned.
func (u *upload) claim(least int64) error {
	u.part = partialOf(path.Base(u.name), u.s.owner, u.had)
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
	if err == nil && !own.at(name) { // it became another upload's between the two steps
		_ = renameNew(u.fs, name, kept)
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = own.Close()
		u.s.srv.uploads.drop(u.part.String())
		u.own, u.hidden = nil, false
		return err
	}
	u.cut = !u.append
	return u.seek(nil)
}

// seek goes to the offset, unless opening failed.
func (u *upload) seek(err error) error {
	if err == nil && !u.append {
		_, err = u.own.Seek(u.offset, io.SeekStart)
	}
	if err != nil {
		u.abandon(false, nil)
	}
	return err
}

// openAppend prepares APPE: at the end of the file, or of an interrupted upload of the
// same account, or in a new file.
func (s *session) openAppend(p string) (*upload, error) {
	u := s.newUpload(p)
	u.append, u.adds = true, true
	err := u.look()
	switch {
	case err != nil:
	case u.had != nil && u.mayBeRunning():
		err = errBusy
	case u.had != nil && u.mayBeResuming():
		err = errPaused
	case u.had != nil:
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

// mayBeResuming reports whether an upload to replace the file was interrupted just now,
// and this client may be the one: clients such as curl resume by APPE from the size that
// they are told, which is that of the old file. A session that began before, and is
// another one, is no client that comes back.
func (u *upload) mayBeResuming() bool {
	fi, err := lstat(u.fs, partialOf(path.Base(u.name), u.s.owner, u.had).sibling(u.name))
	if err != nil { // a server that was killed just now has left it under another name
		left := func(n partialName) bool { return n.random != 0 && n.target == fingerprint(u.had) }
		return time.Since(u.s.srv.uploads.since) < appendPause && u.wasInterrupted(left)
	}
	return time.Since(fi.ModTime()) < appendPause && (u.s.interrupted == u.path || u.s.began.After(fi.ModTime()))
}

// mayBeRunning reports whether an upload of the same account to the file is running that
// began before this session: the client may have lost its connection without the server's
// knowledge, and come back to resume.
func (u *upload) mayBeRunning() bool {
	for _, name := range u.s.srv.uploads.older(path.Base(u.name), u.s.owner, u.s.began) {
		if _, err := lstat(u.fs, path.Join(path.Dir(u.name), name)); err == nil {
			return true
		}
	}
	return false
}

// wasInterrupted reports whether there is an interrupted upload of the same account to any
// version of the file for which match is true.
func (u *upload) wasInterrupted(match func(partialName) bool) bool {
	return hasPartials(u.fs, path.Dir(u.name), path.Base(u.name), u.s.owner, u.s.srv.uploads, match)
}
