package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/spf13/afero"
)

// commit closes the file and gives it its final name, or confirms that a file written in place still has that
// name. If it fails, a hidden file stays to be resumed.
//
// If another upload has taken the name, and this one may have another one (asked), commit returns errTaken and can be called
// again after another.
func (u *upload) commit(ctx context.Context, _ time.Time) error {
	var err error
	if !u.closed {
		err = u.close(ctx)
	}
	made := u.own.made
	if u.hidden && err == nil {
		if err = u.takeName(ctx); u.asked != "" && errors.Is(err, errTaken) {
			u.closed = true
			return err
		}
	}
	defer u.release()
	if err != nil {
		u.leaveIncomplete()
		u.keep(err)
		return err
	}
	if d, ok := u.fs.(SyncDirFs); ok && u.s.set.Sync == SyncFull && made {
		return d.SyncDir(path.Dir(u.name))
	}
	return nil
}

// close is the part of commit that comes before the final name.
func (u *upload) close(ctx context.Context) error {
	err := u.own.identify()
	if u.quota != nil {
		var sizeErr error
		if u.size, sizeErr = sizeNow(u.own.File); err == nil {
			err = sizeErr
		}
	}
	if err == nil && u.s.set.Sync != SyncOff {
		err = u.own.Sync()
	}
	// A file written in place must still have its final name. While the file is open its inode can't be reused, so
	// the check is exact. Storages without inode numbers, such as a remote one, may show the file only after
	// Close: they are checked then.
	known := false
	if err == nil && !u.hidden {
		if _, known = fileID(u.own.info); known && !u.own.at(u.name) {
			err = errMoved
		}
	}
	if closeErr := u.own.Close(); err == nil {
		err = closeErr
	}
	if err == nil && !u.hidden && !known && !u.own.at(u.name) {
		err = errMoved
	}
	if !u.hidden {
		u.countInPlace(ctx, u.size)
		u.closeInPlace(err == nil)
	}
	return err
}

// leaveIncomplete removes the last byte of a hidden file that is whole and did not get its name; see shorten.
func (u *upload) leaveIncomplete() {
	if !u.hidden {
		return
	}
	f, err := u.own.reopen()
	if err != nil {
		return
	}
	defer f.Close()
	if size, err := sizeNow(f); err == nil && size > 0 {
		_ = f.Truncate(size - 1)
	}
}

// sizeNow returns the size of an open file.
func sizeNow(f afero.File) (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// countInPlace counts what an upload has changed in a file that it has written in place. size is that of the open file
// before it was closed. Somebody may have removed the file or its name since, which was counted then.
func (u *upload) countInPlace(ctx context.Context, size int64) {
	if u.quota == nil {
		return
	}
	if fi, err := u.fs.Stat(u.name); err == nil && u.own.at(u.name) { // a remote storage may know the size only now
		size = fi.Size()
	}
	u.quota.note(ctx, u.s.srv.uploads.recount(u.id, size), size)
}

// closeInPlace is called when a file written in place is closed. It reports whether this upload may remove the
// file (see uploads.closed).
func (u *upload) closeInPlace(completed bool) (removable bool) {
	running := u.s.srv.uploads
	if u.writing {
		running.endWrite(u.id)
		u.writing = false
	}
	return running.closed(u.id, completed)
}

// takeName gives the hidden file its final name. If someone else has changed what is at that name, takeName
// examines it again, as at the start, and then tries again.
func (u *upload) takeName(ctx context.Context) error {
	for range maxTries {
		err := u.move(ctx)
		switch {
		case err == nil:
			if u.s.srv.uploads.parts.Load() {
				_ = u.fs.Remove(u.kept()) // an older interrupted upload is obsolete now
			}
			return nil
		case errors.Is(err, fs.ErrExist), errors.Is(err, errMoved):
			if err := u.appeared(); err != nil {
				return err
			}
		case !errors.Is(err, fs.ErrNotExist), !u.wasSwept():
			return err
		}
	}
	return errTaken
}

// move renames the hidden file to the final name. It does so only if that name still leads to the file that was
// found there at the last look, or still to none.
func (u *upload) move(ctx context.Context) error {
	if u.quota == nil {
		return u.moveNow()
	}
	return u.quota.change(ctx, u.path, sizeIn(u.old), u.size, u.moveNow)
}

func (u *upload) moveNow() error {
	if u.old == nil {
		if _, ok := u.fs.(RenameNewFs); !ok {
			defer u.s.srv.uploads.naming(reservationOf(u.s.account, u.path))()
		}
		return u.own.moveNew(u.name)
	}
	now, err := lstat(u.fs, u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && (!sameFile(now, u.old) || now.Mode() != u.old.Mode()):
		return errMoved // a new file may have the inode of a removed one: compare the mode, too
	case err != nil:
		return err
	}
	return u.own.moveOver(u.name)
}

// maxTries is how often an upload tries to take its final name while others change it.
const maxTries = 10

// appeared examines the final name again, because it has changed since the upload began. It returns nil if the
// upload may take the name now.
func (u *upload) appeared() error {
	fi, err := lstat(u.fs, u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.old = nil
		return nil
	case err != nil:
		return err
	case u.unique, fi.Mode()&fs.ModeSymlink != 0: // a link is written through, not replaced
		return errTaken
	}
	err = u.replaces(fi)
	switch {
	case errors.Is(err, errExists):
		return errTaken
	case err != nil:
		return err
	case u.newOnly:
		return errAppeared
	case !onDisk(fi):
		return nil
	}
	// The file at the final name is another one than at the start: the new file needs its owner, mode and
	// attributes now.
	old, err := openFile(u.fs, u.name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	f, err := u.own.reopen()
	if err != nil {
		return err
	}
	defer f.Close()
	if i, ok := u.fs.(InheritFs); ok {
		return i.Inherit(f, old)
	}
	return nil
}

// wasSwept reports whether the sweep of another server has treated the file as abandoned and given it its
// interrupted name. If so, u continues with that name.
func (u *upload) wasSwept() bool {
	kept := u.part.interrupted().sibling(u.name)
	if u.own.name == kept || !u.own.at(kept) {
		return false
	}
	u.own.name = kept
	return true
}

func (u *upload) complete() { u.whole = true }

// abandon closes a file that is not whole because of err. It returns how many of its bytes are kept to be
// resumed. A new file that got no byte is removed; so is one that filled the disk, which would keep the disk
// full, and one that the Gate has refused.
func (u *upload) abandon(ctx context.Context, _ bool, err error) (kept int64) {
	defer u.release()
	if u.closed {
		u.leaveIncomplete()
		fi, statErr := u.fs.Stat(u.own.name)
		u.keep(err)
		if statErr != nil {
			return 0
		}
		return fi.Size()
	}
	size := int64(0)
	if fi, statErr := u.own.Stat(); statErr == nil {
		size = fi.Size()
	}
	_ = u.own.identify()
	if u.whole && u.hidden && size > 0 && u.own.Truncate(size-1) == nil {
		size--
	}
	_ = u.own.Close()
	if !u.hidden {
		u.countInPlace(ctx, size)
		u.own.made = u.closeInPlace(false)
		if u.quota != nil && u.own.made && u.own.at(u.name) {
			defer u.uncountRemoved(ctx, size)
		}
	}
	switch {
	// An interrupted STOU can't be resumed: its client does not ask for the same name again.
	case noSpace(err), size == 0, u.unique, errors.As(err, new(*GateRefusal)):
		u.own.remove()
		return 0
	case !u.hidden:
		return size
	}
	u.keep(err)
	return size
}

// uncountRemoved undoes countInPlace if abandon has removed the file.
func (u *upload) uncountRemoved(ctx context.Context, size int64) {
	if !u.own.at(u.name) {
		u.quota.note(ctx, size, -1)
	}
}

// keep renames a hidden file to the name from which it can be resumed, or removes it if the disk is full.
func (u *upload) keep(err error) {
	switch {
	case !u.hidden:
	case noSpace(err):
		u.own.remove()
	default:
		u.s.srv.uploads.parts.Store(true)
		_ = u.own.moveOver(u.kept())
	}
}

// kept returns the hidden path from which the account can resume an upload to the same version of the file. It has the final
// name, while part, the name of the file that is written to, may have the one before it (another).
func (u *upload) kept() string {
	n := partialOf(path.Base(u.name), u.s.owner, nil)
	n.target = u.part.target
	return n.sibling(u.name)
}
