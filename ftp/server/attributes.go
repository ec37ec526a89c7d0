package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// attributes are what SITE CHMOD, SITE UTIME, MFMT, MDTM with a time and MFF set. A nil field leaves the
// attribute unchanged.
type attributes struct {
	mode *fs.FileMode // permission bits
	time *time.Time   // modification time
	// timeStored says that the file was stored with that time (receive), so only the reply is needed.
	timeStored bool
}

// errNotStored is returned by applyAttributes if the storage reports success but the attribute has not changed.
var errNotStored = errors.New("the storage can't store that")

// setAttributes sets all attributes of the file at p, or none. It returns the state of the file afterwards, for
// the reply. If it returns nil, the reply says why.
func (s *session) setAttributes(p string, a attributes) (fs.FileInfo, ftp.Reply) {
	fsys := s.account.FS
	was, err := fsys.Stat(p)
	switch {
	case p != "/" && isFixed(s.account.Mounts, p):
		return nil, s.fixed(p)
	case err != nil:
		return nil, fileError(err, p)
	case a.mode != nil && s.locksOut(*a.mode, p, was):
		return nil, ftp.Replyf(550, "%s: is the home of a user: without all rights of its owner (7xx) nobody could log in.", p)
	case a.time != nil && !time.Unix(0, a.time.UnixNano()).Equal(*a.time): // package os would set another time
		return nil, ftp.Replyf(501, "%s: times before 1678 and after 2262 can't be set.", p)
	}
	is, err := applyAttributes(fsys, p, was, a)
	if err == nil {
		return is, ftp.Reply{}
	}
	if a.mode != nil {
		_ = fsys.Chmod(p, was.Mode())
	}
	if a.time != nil {
		_ = fsys.Chtimes(p, was.ModTime(), was.ModTime())
	}
	if errors.Is(err, errNotStored) {
		return nil, ftp.Replyf(504, "%s: this storage can't store that: nothing was changed.", p)
	}
	return nil, fileError(err, p)
}

// coarse is the precision of times on the coarsest file system, which is FAT.
const coarse = 2 * time.Second

// applyAttributes sets the attributes and reads them back, because some storages accept a mode or a time that
// they can't store, and store another.
func applyAttributes(fsys afero.Fs, p string, was fs.FileInfo, a attributes) (fs.FileInfo, error) {
	if a.mode != nil {
		mode := *a.mode
		if was.IsDir() { // like chmod with a number: a set-gid bit stays
			mode |= was.Mode() & (fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		}
		if err := fsys.Chmod(p, mode); err != nil {
			return nil, err
		}
	}
	if a.time != nil && (!a.timeStored || was.ModTime().Sub(*a.time).Abs() >= coarse) {
		if err := fsys.Chtimes(p, *a.time, *a.time); err != nil {
			return nil, err
		}
	}
	is, err := fsys.Stat(p)
	switch {
	case err != nil:
		return nil, err
	case a.mode != nil && is.Mode().Perm() != *a.mode, a.time != nil && is.ModTime().Sub(*a.time).Abs() >= coarse:
		return nil, errNotStored
	}
	return is, nil
}

// locksOut reports whether mode would take rights from the owner, usually the server itself, of a directory
// that is the root or the home of a user. Nobody could log in there any more, and for "/" no FTP command could
// undo that.
func (s *session) locksOut(mode fs.FileMode, p string, fi fs.FileInfo) bool {
	const owner = 0o700
	if mode&owner == owner || !fi.IsDir() {
		return false
	}
	if isHomeOf(s.account, s.account.FS, p, fi) {
		return true
	}
	auth := s.srv.set.Load().Auth
	users, _ := auth.(Static)
	if others, ok := auth.(UsersAuthenticator); ok {
		users = others.Users()
	}
	for _, u := range users {
		if u.Account.Open == nil && u.Account.FS != nil && isHomeOf(&u.Account, s.account.FS, p, fi) || u.Account.hasOnHost(fi) {
			return true
		}
	}
	return false
}

// hasOnHost reports whether fi is the root or the home of an account that opens its files at the login. It opens nothing.
func (a *Account) hasOnHost(fi fs.FileInfo) bool {
	if a.Open == nil || a.Dir == "" || !os.SameFile(fi, fi) {
		return false
	}
	for _, place := range []string{"/", cleanPath(a.Home)} {
		home, err := os.Stat(filepath.Join(a.Dir, filepath.FromSlash(place)))
		if err == nil && os.SameFile(home, fi) {
			return true
		}
	}
	return false
}

// isHomeOf reports whether the directory fi at path p of fsys is the root or the home of an account. The
// account may see it under another path.
func isHomeOf(a *Account, fsys afero.Fs, p string, fi fs.FileInfo) bool {
	places := []string{"/", cleanPath(a.Home)}
	if sameStorage(a.FS, fsys) && (p == places[0] || p == places[1]) {
		return true
	}
	if !os.SameFile(fi, fi) { // not on disk: no other storage has the same directory
		return false
	}
	for _, place := range places {
		if mountOf(a.Mounts, place) != nil { // its storage may make the session wait
			continue
		}
		if home, err := a.FS.Stat(place); err == nil && os.SameFile(home, fi) {
			return true
		}
	}
	return false
}

// sameStorage compares two storages without a panic if their type is not comparable.
func sameStorage(a, b afero.Fs) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}
