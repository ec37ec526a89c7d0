package server

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"miniftp/ftp"
)

// maxNewDirs is how many directories one command makes, for an account whose uploads make them (CompatDevice).
const maxNewDirs = 32

// errTooDeep is returned if more directories than that are missing.
var errTooDeep = errors.New("too many directories are missing")

// mkdir makes a directory. For devices it makes those above it, too, and succeeds if the directory exists: many send MKD
// before each upload, and give up if it is refused.
func (s *session) mkdir(arg string) ftp.Reply {
	p := s.resolve(arg)
	if _, err := lstat(s.account.FS, p); err == nil {
		return s.exists(p)
	}
	if s.account.makesDirs(p) {
		if at, err := s.makeDirs(path.Dir(p)); err != nil {
			return dirError(err, at)
		}
	} else if err := isDir(s.account.FS, path.Dir(p)); err != nil {
		return fileError(err, path.Dir(p))
	}
	if err := s.makeDir(p); errors.Is(err, fs.ErrExist) { // another session was faster
		return s.exists(p)
	} else if err != nil {
		return fileError(err, p)
	}
	return madeReply(p)
}

// exists returns the reply to MKD of a name that exists.
func (s *session) exists(p string) ftp.Reply {
	if !s.account.isDevice() || isDir(s.account.FS, p) != nil {
		return fileError(fs.ErrExist, p)
	}
	s.unchanged = true
	return ftp.NewReply(257, ftp.Quote257(p)+" exists already.")
}

func madeReply(p string) ftp.Reply { return ftp.NewReply(257, ftp.Quote257(p)+" is made.") }

// makeDir makes one directory and records that.
func (s *session) makeDir(p string) error {
	return s.recorded(s.ctx(), Change{Verb: "MKD", Path: p}, func() error { return s.account.FS.Mkdir(p, 0o777&^s.umask) })
}

// makeDirs makes a directory and those above it that are missing. If it fails, at is the directory that it failed with.
func (s *session) makeDirs(dir string) (at string, err error) {
	var missing []string
	for p := dir; ; p = path.Dir(p) {
		err := isDir(s.account.FS, p)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || p == "/" {
			return p, err
		}
		if missing = append(missing, p); len(missing) > maxNewDirs {
			return dir, errTooDeep
		}
	}
	for _, p := range slices.Backward(missing) {
		if isReservedName(path.Base(p)) {
			return p, errReservedName
		}
		err := s.makeDir(p)
		if errors.Is(err, fs.ErrExist) && isDir(s.account.FS, p) == nil { // another session was faster
			continue
		}
		if err != nil {
			return p, err
		}
		s.emitMade(p)
	}
	return "", nil
}

// emitMade reports to the Observer that a directory was made which no command has named.
func (s *session) emitMade(p string) {
	s.emit(ftp.Changed{Verb: "MKD", Path: p, Reply: madeReply(p)})
}

// errReservedName is returned for a directory that would have the hidden name of a partial upload.
var errReservedName = errors.New("the name is reserved for partial uploads")

// dirError returns the reply to a command for which the directory p could not be made.
func dirError(err error, p string) ftp.Reply {
	switch {
	case errors.Is(err, errTooDeep):
		return ftp.Replyf(553, "%s: more than %d directories above it are missing: make them first.", p, maxNewDirs)
	case errors.Is(err, errReservedName):
		return ftp.Replyf(553, "%s: names like that are reserved for partial uploads.", p)
	}
	return fileError(err, p)
}

// openMakingDirs calls open, which begins an upload to p. If its directory is missing, and the account makes directories, it
// makes the directory and calls open again. If the upload is nil, the reply says why.
func (s *session) openMakingDirs(p string, open func() (incoming, error)) (incoming, ftp.Reply) {
	u, err := open()
	if errors.Is(err, errNoParent) && s.account.makesDirs(p) {
		if at, err := s.makeDirs(path.Dir(p)); err != nil {
			return nil, dirError(err, at)
		}
		u, err = open()
	}
	if err != nil {
		return nil, uploadError(err, p)
	}
	return u, ftp.Reply{}
}
