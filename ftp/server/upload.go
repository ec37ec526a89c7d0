package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// upload is a file that is being received. Its bytes go to a hidden file beside the
// final name, and commit renames that: a reader of the final name finds the old file or
// the whole new one. An upload that is interrupted stays under another hidden name, from
// which its owner can resume it by REST or APPE.
//
// Some uploads are written in place: those that append to a file or change a part of
// it, those through a symlink, and those for which a new file could not take the place
// of the old one without losing what belongs to that (see create).
type upload struct {
	s      *session
	fs     afero.Fs
	path   string    // the final name, for people
	name   string    // the final name in fs
	dir    io.Closer // fs, if it is the directory of the file and not the account's storage
	own    *ownFile  // what is written to
	part   partialName
	hidden bool        // own has a hidden name
	had    fs.FileInfo // what is at the final name, if anything
	offset int64
	cut    bool // own is cut at offset when the transfer begins
	unique bool // STOU: the name is reserved
	told   reservation
	append bool
	adds   bool // APPE: it replaces no file
	id     any  // of a final file, in uploads
	writes bool
}

// Sync says what has reached the disk when an upload is answered 226.
type Sync uint8

// The values of Sync.
const (
	SyncOff  Sync = iota // nothing: the system writes it within seconds
	SyncFile             // the file's content (fsync)
	SyncFull             // its content and its name: it survives a power failure
)

// Errors that uploads refuse with.
var (
	errExists   = errors.New("exists, and may not be replaced")
	errIsDir    = errors.New("is a directory")
	errNoFile   = errors.New("is a pipe, a socket or a device")
	errPastEnd  = errors.New("starts past the end")
	errWasCut   = errors.New("an upload was interrupted before that")
	errNoParent = errors.New("no such directory")
	errReserved = errors.New("the name is reserved")
	errTaken    = errors.New("the name was taken meanwhile")
	errAppeared = errors.New("the file was made meanwhile")
	errMoved    = errors.New("the file was replaced or removed meanwhile")
	errPaused   = errors.New("an upload was interrupted a moment ago")
)

func uploadError(err error, p string) ftp.Reply {
	switch {
	case errors.Is(err, errExists):
		return ftp.Replyf(550, "%s: permission denied: it exists, and this account may not replace files.", p)
	case errors.Is(err, errIsDir):
		return ftp.Replyf(550, "%s: is a directory.", p)
	case errors.Is(err, errNoFile):
		return ftp.Replyf(550, "%s: is a pipe, a socket or a device and is not replaced.", p)
	case errors.Is(err, errPastEnd):
		return ftp.Replyf(554, "%s: it has fewer bytes than that: an upload leaves no holes.", p)
	case errors.Is(err, errWasCut):
		return ftp.Replyf(554, "%s: an upload of it was interrupted earlier than that: send it whole.", p)
	case errors.Is(err, errNoParent):
		return ftp.Replyf(550, "%s: no such directory.", path.Dir(p))
	case errors.Is(err, errReserved):
		return ftp.Replyf(450, "%s: the name is reserved for a STOU that is running.", p)
	case errors.Is(err, errBusy):
		return ftp.Replyf(450, "%s: another upload is writing to it: try again later.", p)
	case errors.Is(err, errTaken):
		return ftp.Replyf(550, "%s: it was stored by another upload meanwhile, and this one may not replace it.", p)
	case errors.Is(err, errAppeared):
		return ftp.Replyf(450, "%s: another upload made it meanwhile, and APPE replaces no file: append again.", p)
	case errors.Is(err, errMoved):
		return ftp.Replyf(450, "%s: it was replaced or removed while you wrote to it: what you sent is lost.", p)
	case errors.Is(err, errPaused):
		return ftp.Replyf(450, "%s: an upload of it was interrupted a moment ago: resume it by REST, send it whole, or append in %d minutes.", p, int(appendPause.Minutes()))
	case noSpace(err):
		r := fileError(err, p)
		r.Lines[0] += " Nothing of this upload is kept."
		return r
	}
	return fileError(err, p)
}

// noSpace reports whether err is a lack of room.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// newUpload begins an upload. A storage that can hold a directory open is asked to:
// else each step of an upload walks to it anew.
func (s *session) newUpload(p string) *upload {
	u := &upload{s: s, fs: s.account.FS, path: p, name: p}
	parent, base := path.Split(p)
	if storage, ok := u.fs.(dirOpener); ok && parent != "/" {
		if d, err := storage.Dir(parent); err == nil { // else the first step tells what is wrong
			u.fs, u.dir, u.name = d, d, base
		}
	}
	return u
}

// prepared returns u, unless preparing it failed.
func (u *upload) prepared(err error) (*upload, error) {
	if err != nil {
		u.release()
		return nil, err
	}
	return u, nil
}

// release ends what the upload holds besides its file.
func (u *upload) release() {
	running := u.s.srv.uploads
	if u.hidden {
		running.drop(path.Base(u.own.name))
		running.drop(u.part.String())
	}
	if u.unique {
		running.release(u.told)
	}
	u.closeDir()
}

func (u *upload) closeDir() {
	if u.dir != nil {
		_ = u.dir.Close()
		u.dir = nil
	}
}

// openUpload prepares STOR, from offset on.
func (s *session) openUpload(p string, offset int64) (*upload, error) {
	u := s.newUpload(p)
	u.offset = offset
	err := u.look()
	switch {
	case err != nil:
	case offset > 0:
		err = u.resume()
	default:
		err = u.create()
	}
	return u.prepared(err)
}

// look finds out what is at the final name, and whether it may be written to.
func (u *upload) look() error {
	if u.s.srv.uploads.isReserved(u.s.account, u.path) {
		return errReserved
	}
	fi, err := lstat(u.fs, u.name)
	switch {
	case err == nil:
		return u.replaces(fi)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case u.dir == nil && isDir(u.fs, path.Dir(u.name)) != nil:
		return errNoParent
	}
	u.had = nil
	return nil
}

// replaces notes what is to be replaced, or refuses it.
func (u *upload) replaces(fi fs.FileInfo) error {
	switch {
	case fi.IsDir():
		return errIsDir
	case fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice|fs.ModeIrregular) != 0:
		return errNoFile
	case !u.s.account.Perm.Has(PermOverwrite):
		return errExists
	}
	u.had = fi
	if u.isLink() && u.dir != nil { // it may lead out of the directory
		u.closeDir()
		u.fs, u.name = u.s.account.FS, u.path
	}
	return nil
}

func (u *upload) isLink() bool { return u.had != nil && u.had.Mode()&fs.ModeSymlink != 0 }

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
	if errors.Is(err, errNoRename) || errors.Is(err, syscall.ENAMETOOLONG) || u.had != nil && errors.Is(err, fs.ErrPermission) {
		return u.openInPlace()
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

// errNoRename is returned where the storage can't rename, or pretends to.
var errNoRename = errors.New("the storage has no rename")

// createHidden opens a new file under a hidden name.
func (u *upload) createHidden(perm fs.FileMode) error {
	if u.s.noRename {
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
	if _, ok := u.fs.(exclusiveRenamer); ok || u.s.canRename {
		return nil
	}
	before := u.own.name
	err := u.own.moveOver(u.hide())
	u.s.srv.uploads.drop(path.Base(before))
	if err == nil {
		_, err = lstat(u.fs, u.own.name)
	}
	if err != nil {
		u.s.noRename = true
		u.own.name = before
		u.discard()
		return errNoRename
	}
	u.s.canRename = true
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
	if i, ok := u.fs.(inheritor); ok && old != nil {
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

// appendPause is how long a client that may be resuming an interrupted upload can't
// append to the file that the upload was to replace.
const appendPause = 5 * time.Minute

// openAppend prepares APPE: at the end of the file, or of an interrupted upload of the
// same account, or in a new file.
func (s *session) openAppend(p string) (*upload, error) {
	u := s.newUpload(p)
	u.append, u.adds = true, true
	err := u.look()
	switch {
	case err != nil:
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

// wasInterrupted reports whether there is an interrupted upload of the same account to any
// version of the file for which match is true.
func (u *upload) wasInterrupted(match func(partialName) bool) bool {
	return hasPartials(u.fs, path.Dir(u.name), path.Base(u.name), u.s.owner, u.s.srv.uploads, match)
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

// sink returns where the bytes go: the bare file, which the kernel can fill by
// itself. One opened to append can't be spliced into; hiding that it is a file
// gets it the large buffer instead of the small one.
func (u *upload) sink() io.Writer {
	if u.append {
		return struct{ io.Writer }{u.own.File}
	}
	return u.own.File
}

// commit closes the file and gives it its final name.
func (u *upload) commit() error {
	defer u.release()
	sync := u.s.set.Sync
	err := u.own.identify()
	if err == nil && sync != SyncOff {
		err = u.own.Sync()
	}
	if err == nil && !u.hidden && !u.own.at(u.name) { // while it is open no other file can have its inode
		err = errMoved
	}
	if closeErr := u.own.Close(); err == nil {
		err = closeErr
	}
	made := u.own.made
	switch {
	case !u.hidden:
		u.shut(err == nil)
	case err == nil:
		err = u.takeName()
	}
	if err != nil {
		u.keep(err)
		return err
	}
	if d, ok := u.fs.(dirSyncer); ok && sync == SyncFull && made {
		return d.SyncDir(path.Dir(u.name))
	}
	return nil
}

// shut is for an upload in place whose file is closed. It reports whether the file may be
// removed if it is of no use.
func (u *upload) shut(completed bool) (removable bool) {
	running := u.s.srv.uploads
	if u.writes {
		running.leave(u.id)
		u.writes = false
	}
	return running.shut(u.id, completed)
}

// takeName gives the hidden file its final name. What has appeared there since it was
// looked at is looked at as what was there then.
func (u *upload) takeName() error {
	older := u.part.interrupted()
	for range maxTries {
		err := u.move()
		switch {
		case err == nil:
			if u.s.srv.uploads.parts.Load() {
				_ = u.fs.Remove(older.sibling(u.name)) // is of no use any more
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

// move renames the hidden file, if what is at the final name is what was looked at.
func (u *upload) move() error {
	if u.had == nil {
		return u.own.moveNew(u.name)
	}
	now, err := lstat(u.fs, u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && (!sameFile(now, u.had) || now.Mode() != u.had.Mode()):
		return errMoved // the mode tells, too, that a new file has got the inode of a removed one
	case err != nil:
		return err
	}
	return u.own.moveOver(u.name)
}

// maxTries is how often an upload looks at its final name again because others changed
// it at that very moment.
const maxTries = 10

// appeared looks at what has come to the final name since the upload began.
func (u *upload) appeared() error {
	fi, err := lstat(u.fs, u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.had = nil
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
	case u.adds:
		return errAppeared
	case !onDisk(fi):
		return nil
	}
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
	if i, ok := u.fs.(inheritor); ok {
		return i.Inherit(f, old)
	}
	return nil
}

// wasSwept finds the file where another server's sweep, which took it for abandoned, has
// put it.
func (u *upload) wasSwept() bool {
	kept := u.part.interrupted().sibling(u.name)
	if u.own.name == kept || !u.own.at(kept) {
		return false
	}
	u.own.name = kept
	return true
}

// abandon closes a file that is not whole, because of err. It returns how many bytes of
// it are kept to be resumed. A new file that got no byte leaves nothing, and neither
// does one that filled the disk: it would keep it full.
func (u *upload) abandon(opened bool, err error) (kept int64) {
	defer u.release()
	size := int64(0)
	if fi, statErr := u.own.Stat(); statErr == nil {
		size = fi.Size()
	}
	_ = u.own.identify()
	_ = u.own.Close()
	if !u.hidden {
		u.own.made = u.shut(false)
	}
	switch {
	case noSpace(err), size == 0, u.unique:
		u.own.remove()
		return 0
	case !u.hidden:
		return size
	}
	u.keep(err)
	if opened {
		u.s.interrupted = u.path
	}
	return size
}

// keep gives a hidden file the name under which it can be resumed.
func (u *upload) keep(err error) {
	switch {
	case !u.hidden:
	case noSpace(err):
		u.own.remove()
	default:
		u.s.srv.uploads.parts.Store(true)
		_ = u.own.moveOver(u.part.interrupted().sibling(u.name))
	}
}
