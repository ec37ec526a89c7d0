package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/spf13/afero"
)

// create prepares a file that replaces what is at the final name.
//
// It is written under a hidden name, except in these cases, in which the file at the final name is overwritten
// in place:
//
//   - Options.UploadInPlace is set,
//   - the final name is a symlink, or a file with several hard links, whose other names would keep the old content,
//   - the sticky bit of the directory forbids replacing the file, or its permissions forbid new names,
//   - the new file can't get the owner, mode or attributes of the old one,
//   - the storage can't rename, or the hidden name is too long or not valid there.
//
// A file that this process may not write to is not replaced, although the permissions of the directory would allow
// that.
func (u *upload) create() error {
	if u.s.set.UploadInPlace || u.isLink() || u.old != nil && (hasLinks(u.old) || u.keptBySticky()) {
		return u.openInPlace()
	}
	var old afero.File
	if u.old != nil && onDisk(u.old) { // fails if the file may not be written to
		var err error
		if old, err = openFile(u.fs, u.name, os.O_WRONLY, 0); err != nil {
			return err
		}
		defer old.Close()
	}
	perm := fs.FileMode(0o666) &^ u.s.umask
	if u.old != nil {
		perm = u.old.Mode().Perm() // the new file must never be readable by more users than the old one
	}
	err := u.createHidden(perm)
	if errors.Is(err, errNoRename) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		return u.openInPlace() // if that fails too, its error is the better one
	}
	if err != nil || u.old == nil {
		return err
	}
	err = u.inherit(old)
	if err == nil {
		return nil
	}
	u.discard()
	if noSpace(err) { // in place the old content would be lost, and the new one has no room
		return err
	}
	return u.openInPlace()
}

// keptBySticky reports whether the sticky bit of the directory keeps this process from replacing the file.
func (u *upload) keptBySticky() bool {
	if !ownedByOther(u.old) {
		return false
	}
	dir, err := u.fs.Stat(path.Dir(u.name))
	return err == nil && dir.Mode()&fs.ModeSticky != 0 && ownedByOther(dir)
}

// ability records whether a storage can do something that can only be found out by trying.
type ability uint8

const (
	untried ability = iota
	able
	unable
)

// errNoRename is returned if the storage can't rename, or reports success and does nothing.
var errNoRename = errors.New("the storage has no rename")

// renames returns whether the storage can rename, as far as it is known.
func (u *upload) renames() ability {
	if len(u.s.account.Mounts) > 0 { // it may be another storage than that of the last upload
		return untried
	}
	return u.s.renames
}

// createHidden creates a new file under a hidden name.
func (u *upload) createHidden(perm fs.FileMode) error {
	if u.renames() == unable {
		return errNoRename
	}
	u.part = partialOf(path.Base(u.name), u.s.owner, u.old)
	for {
		name := u.hide()
		own, err := openOwn(u.fs, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err != nil {
			u.s.srv.uploads.dropHidden(u.part.String())
			if errors.Is(err, fs.ErrExist) {
				continue // a leftover has this name, one of four billion
			}
			return err
		}
		u.own, u.hidden = own, true
		return u.tryRename()
	}
}

// hide chooses a new hidden name and adds it to the running uploads. It does so before the file exists, so that
// a sweep that finds the file also finds the entry.
func (u *upload) hide() string {
	u.part = u.part.running()
	u.s.srv.uploads.addHidden(u.part.String())
	return u.part.sibling(u.name)
}

// tryRename finds out whether the storage can rename, by renaming the empty hidden file. That has to be known
// before the client sends anything. The result is kept for the session.
func (u *upload) tryRename() error {
	if _, ok := u.fs.(RenameNewFs); ok || u.renames() == able {
		return nil
	}
	before := u.own.name
	err := u.own.moveOver(u.hide())
	u.s.srv.uploads.dropHidden(path.Base(before))
	if err == nil {
		_, err = lstat(u.fs, u.own.name)
	}
	if err != nil {
		u.s.renames = unable
		u.own.name = before
		u.discard()
		return errNoRename
	}
	u.s.renames = able
	return nil
}

// discard closes and removes a hidden file that is still empty.
func (u *upload) discard() {
	_ = u.own.Close()
	_ = u.fs.Remove(u.own.name)
	u.s.srv.uploads.dropHidden(u.part.String())
	u.own, u.hidden = nil, false
}

// inherit gives the new file the owner, mode and attributes of the old one. It is called before the first byte
// is written, so the content is never more accessible than the old file was.
func (u *upload) inherit(old afero.File) error {
	if i, ok := u.fs.(InheritFs); ok && old != nil {
		return i.Inherit(u.own.File, old)
	}
	if old != nil && !ownedByProcess(u.old) {
		return fs.ErrPermission
	}
	if f, ok := u.own.File.(*os.File); ok {
		return f.Chmod(u.old.Mode().Perm())
	}
	_ = u.fs.Chmod(u.own.name, u.old.Mode().Perm()) // not every storage has modes
	return nil
}

// openInPlace opens the file at the final name to overwrite it.
func (u *upload) openInPlace() error {
	flag := os.O_WRONLY
	switch {
	case u.old == nil:
		flag |= os.O_CREATE | os.O_EXCL
	case u.isLink(): // the target of the link may not exist yet
		flag |= os.O_CREATE
	}
	err := u.openFinal(flag)
	if u.old == nil && errors.Is(err, fs.ErrExist) { // it has appeared since look
		if u.unique {
			return errTaken
		}
		if err = u.look(); err == nil {
			err = u.openFinal(os.O_WRONLY)
		}
	}
	u.truncate = err == nil
	return err
}

// openFinal opens the file at the final name and enters it in uploads.inPlace. With a Gate nothing may be written there,
// because it would be visible before it is checked.
func (u *upload) openFinal(flag int) error {
	if u.s.set.Gate != nil {
		return errUnchecked
	}
	own, err := openOwn(u.fs, u.name, flag, 0o666&^u.s.umask)
	if err != nil {
		return err
	}
	if err := own.identify(); err != nil {
		_ = own.Close()
		return err
	}
	id, ok := fileID(own.info)
	if !ok {
		id = reservationOf(u.s.account, u.path)
	}
	u.own, u.id, u.before = own, id, own.info.Size()
	if own.made {
		u.before = -1
	}
	u.s.srv.uploads.open(id, own.made, own.info.Size())
	return nil
}

// begin is called when the data connection is open. Only now may a file that existed before be changed.
func (u *upload) begin() error {
	if !u.hidden {
		if err := u.s.srv.uploads.beginWrite(u.id, u.append); err != nil {
			return err
		}
		u.writing = true
	}
	if !u.truncate {
		return nil
	}
	return u.own.Truncate(u.offset)
}

// beside is called if the transfer is not done within a moment and continues beside the session (task.beside). It
// locks the hidden file, so that other servers on this host see that it is in use (sweeper.claim). Short transfers
// save the system call.
func (u *upload) beside(context.Context) {
	if u.hidden {
		_, _ = lock(u.fs, u.own.File)
	}
}

// openUnique prepares STOU: it finds a name that does not exist and reserves it, so that no other session gets
// the same one (RFC 1123 §4.1.2.9).
func (s *session) openUnique(p string) (incoming, error) {
	if isDir(s.account.FS, path.Dir(p)) != nil {
		return nil, errNoParent
	}
	for n := range 10_000 {
		name := p
		if n > 0 {
			name = fmt.Sprintf("%s.%d", p, n)
		}
		r := reservationOf(s.account, name)
		if !s.srv.uploads.reserve(r, true) { // reserve first: another STOU may store the file between a look and a reservation
			continue
		}
		if _, err := lstat(s.account.FS, name); !errors.Is(err, fs.ErrNotExist) {
			s.srv.uploads.release(r)
			if err != nil {
				return nil, err
			}
			continue
		}
		storage, inside := s.at(name)
		if files, ok := storage.(UploadFs); ok {
			return s.storedUnique(files, name, inside, r)
		}
		u := s.newUpload(name)
		u.unique, u.reserved = true, r
		err := u.create()
		if errors.Is(err, errTaken) { // written in place, and the name has appeared
			u.release()
			continue
		}
		return u.prepared(err)
	}
	return nil, fs.ErrExist
}
