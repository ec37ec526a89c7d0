package server

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// attributes are what SITE CHMOD, SITE UTIME, MFMT, MDTM with a time and MFF set; nil
// leaves one as it is.
type attributes struct {
	mode *fs.FileMode // permission bits
	time *time.Time   // of modification
}

// errNotHeld is returned by applyAttributes when the storage says that it has set an
// attribute, and has not.
var errNotHeld = errors.New("the storage can't hold that")

// setAttributes gives the file at p the attributes, all of them or none. It returns the file as it
// is then, which is what a reply may tell, or nil and the reply that says why not.
func (s *session) setAttributes(p string, a attributes) (fs.FileInfo, ftp.Reply) {
	fsys := s.account.FS
	was, err := fsys.Stat(p)
	switch {
	case err != nil:
		return nil, fileError(err, p)
	case a.mode != nil && s.locksOut(*a.mode, p, was):
		return nil, ftp.Replyf(550, "%s: the home of a user keeps all rights of its owner (7xx): nobody could log in, or undo it.", p)
	case a.time != nil && !time.Unix(0, a.time.UnixNano()).Equal(*a.time): // package os would set another
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
	if errors.Is(err, errNotHeld) {
		return nil, ftp.Replyf(504, "%s: this storage can't hold that: it stays as it was.", p)
	}
	return nil, fileError(err, p)
}

// coarse is how exact the times of the coarsest file system are: those of FAT.
const coarse = 2 * time.Second

// applyAttributes sets the attributes and reads them back: some storages take a mode or a
// time that they can't hold, and keep another.
func applyAttributes(fsys afero.Fs, p string, was fs.FileInfo, a attributes) (fs.FileInfo, error) {
	if a.mode != nil {
		mode := *a.mode
		if was.IsDir() { // as chmod does with a number: its group stays that of new files
			mode |= was.Mode() & (fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		}
		if err := fsys.Chmod(p, mode); err != nil {
			return nil, err
		}
	}
	if a.time != nil {
		if err := fsys.Chtimes(p, *a.time, *a.time); err != nil {
			return nil, err
		}
	}
	is, err := fsys.Stat(p)
	switch {
	case err != nil:
		return nil, err
	case a.mode != nil && is.Mode().Perm() != *a.mode, a.time != nil && is.ModTime().Sub(*a.time).Abs() >= coarse:
		return nil, errNotHeld
	}
	return is, nil
}

// locksOut reports whether mode would take rights of its owner, which is the server as a
// rule, away from a directory where some user's session begins, or whose "/" it is.
// Nobody could log in there then, and of "/" no FTP command could give them back.
func (s *session) locksOut(mode fs.FileMode, p string, fi fs.FileInfo) bool {
	const owner = 0o700
	if mode&owner == owner || !fi.IsDir() {
		return false
	}
	if isHomeOf(s.account, s.account.FS, p, fi) {
		return true
	}
	users, _ := s.srv.set.Load().Auth.(Static)
	for _, u := range users {
		if s.isHomeOfUser(u.Account, p, fi) {
			return true
		}
	}
	return false
}

// isHomeOfUser is isHomeOf for an account that nobody may have logged in as.
func (s *session) isHomeOfUser(a Account, p string, fi fs.FileInfo) bool {
	if a.Open != nil {
		files, closer, err := a.Open(s.ctx())
		if err != nil {
			return false // there is no such directory now
		}
		if closer != nil {
			defer closer.Close()
		}
		a.FS = files
	}
	return a.FS != nil && isHomeOf(&a, s.account.FS, p, fi)
}

// isHomeOf reports whether the directory fi at path p of fsys is the root or the home of
// an account, which may see it under another path.
func isHomeOf(a *Account, fsys afero.Fs, p string, fi fs.FileInfo) bool {
	places := []string{"/", cleanPath(a.Home)}
	if sameStorage(a.FS, fsys) && (p == places[0] || p == places[1]) {
		return true
	}
	if !os.SameFile(fi, fi) { // not of a disk: two storages share nothing
		return false
	}
	for _, place := range places {
		if home, err := a.FS.Stat(place); err == nil && os.SameFile(home, fi) {
			return true
		}
	}
	return false
}

// sameStorage compares without a panic: an afero.Fs may be of a type that == is not for.
func sameStorage(a, b afero.Fs) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}
