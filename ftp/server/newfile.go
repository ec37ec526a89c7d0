package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/spf13/afero"
)

// create prepares a new file. It is written in place if the server is told so, if a
// symlink leads to it, and if a new file could not take its place: because it has other
// names, the directory lets nobody but its owner replace it or takes no new names, the
// new file can't have its owner, its mode or its attributes, or the storage has no
// rename or takes no names as long as the hidden one. What is written in place keeps its content until the data connection is open.
func (u *upload) create() error {
	if u.s.set.UploadInPlace || u.isLink() || u.had != nil && (hasLinks(u.had) || u.keptBySticky()) {
		return u.openInPlace()
	}
	var old afero.File
	if u.had != nil && onDisk(u.had) { // what may not be written to is not replaced either
		var err error
		if old, err = openFile(u.fs, u.name, os.O_WRONLY, 0); err != nil {
			return err
		}
		defer old.Close()
	}
	perm := fs.FileMode(0o666) &^ u.s.umask
	if u.had != nil {
		perm = u.had.Mode().Perm() // never more open than what it replaces
	}
	err := u.createHidden(perm)
	if errors.Is(err, errNoRename) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		return u.openInPlace() // which fails for a reason of its own, if it does
	}
	if err != nil || u.had == nil {
		return err
	}
	err = u.inherit(old)
	if err == nil {
		return nil
	}
	u.discard()
	if noSpace(err) { // in place, the old content would go for new one that has no room
		return err
	}
	return u.openInPlace()
}

// keptBySticky reports whether the sticky bit of the directory lets only others replace
// the file.
func (u *upload) keptBySticky() bool {
	if !othersOwn(u.had) {
		return false
	}
	dir, err := u.fs.Stat(path.Dir(u.name))
	return err == nil && dir.Mode()&fs.ModeSticky != 0 && othersOwn(dir)
}

// ability is what a session has found out about a storage that does not say it.
type ability uint8

const (
	untried ability = iota
	able
	unable
)

// errNoRename is returned where the storage can't rename, or pretends to.
var errNoRename = errors.New("the storage has no rename")

// createHidden opens a new file under a hidden name.
func (u *upload) createHidden(perm fs.FileMode) error {
	if u.s.renames == unable {
		return errNoRename
	}
	u.part = partialOf(path.Base(u.name), u.s.owner, u.had)
	for {
		name := u.hide()
		own, err := openOwn(u.fs, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err != nil {
			u.s.srv.uploads.drop(u.part.String())
			if errors.Is(err, fs.ErrExist) {
				continue // one of four billion names
			}
			return err
		}
		u.own, u.hidden = own, true
		return u.tryRename()
	}
}

// hide chooses a new hidden name and notes it as running.
func (u *upload) hide() string {
	u.part = u.part.running()
	u.s.srv.uploads.add(u.part.String())
	return u.part.sibling(u.name)
}

// tryRename finds out, before the client sends anything, whether a storage of which that
// is not known can rename.
func (u *upload) tryRename() error {
	if _, ok := u.fs.(RenameNewFs); ok || u.s.renames == able {
		return nil
	}
	before := u.own.name
	err := u.own.moveOver(u.hide())
	u.s.srv.uploads.drop(path.Base(before))
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

// discard closes and removes a hidden file that nothing was written to.
func (u *upload) discard() {
	_ = u.own.Close()
	_ = u.fs.Remove(u.own.name)
	u.s.srv.uploads.drop(u.part.String())
	u.own, u.hidden = nil, false
}

// inherit gives the new file what belongs to the old one, before the first byte.
func (u *upload) inherit(old afero.File) error {
	if i, ok := u.fs.(InheritFs); ok && old != nil {
		return i.Inherit(u.own.File, old)
	}
	if old != nil && !mine(u.had) {
		return fs.ErrPermission
	}
	if f, ok := u.own.File.(*os.File); ok {
		return f.Chmod(u.had.Mode().Perm())
	}
	_ = u.fs.Chmod(u.own.name, u.had.Mode().Perm()) // not every storage has modes
	return nil
}

// openInPlace opens the final file itself.
func (u *upload) openInPlace() error {
	flag := os.O_WRONLY
	switch {
	case u.had == nil:
		flag |= os.O_CREATE | os.O_EXCL
	case u.isLink(): // which may lead nowhere yet
		flag |= os.O_CREATE
	}
	err := u.openFinal(flag)
	if u.had == nil && errors.Is(err, fs.ErrExist) { // since it was looked for
		if u.unique {
			return errTaken
		}
		if err = u.look(); err == nil {
			err = u.openFinal(os.O_WRONLY)
		}
	}
	u.cut = err == nil
	return err
}

// openFinal opens the final file.
func (u *upload) openFinal(flag int) error {
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
		id = reserves(u.s.account, u.path)
	}
	u.own, u.id = own, id
	u.s.srv.uploads.open(id, own.made)
	return nil
}

// begin is called when the data connection is open: what was only opened so far is
// changed now.
func (u *upload) begin() error {
	if !u.hidden {
		if err := u.s.srv.uploads.enter(u.id, u.append); err != nil {
			return err
		}
		u.writes = true
	}
	if !u.cut {
		return nil
	}
	return u.own.Truncate(u.offset)
}

// beside is called when the transfer takes longer than a moment: other processes that
// share the disk can tell from then on that the file is in use.
func (u *upload) beside() {
	if u.hidden {
		_, _ = lock(u.fs, u.own.File)
	}
}

// openUnique prepares STOU: a name that nobody has and nobody else is told
// (RFC 1123 §4.1.2.9).
func (s *session) openUnique(p string) (*upload, error) {
	if isDir(s.account.FS, path.Dir(p)) != nil {
		return nil, errNoParent
	}
	for n := range 10_000 {
		name := p
		if n > 0 {
			name = fmt.Sprintf("%s.%d", p, n)
		}
		told := reserves(s.account, name)
		if !s.srv.uploads.reserve(told) { // before the look: whoever had it may have stored the file since
			continue
		}
		if _, err := lstat(s.account.FS, name); !errors.Is(err, fs.ErrNotExist) {
			s.srv.uploads.release(told)
			if err != nil {
				return nil, err
			}
			continue
		}
		u := s.newUpload(name)
		u.unique, u.told = true, told
		err := u.create()
		if errors.Is(err, errTaken) { // in place: it has appeared
			u.release()
			continue
		}
		return u.prepared(err)
	}
	return nil, fs.ErrExist
}
