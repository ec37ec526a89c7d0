package server

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// upload is a file that is being received.
//
// Usually its bytes go to a file with a hidden name in the directory of the final name (partial.go), and commit
// renames that file. So a reader of the final name finds the old file or the whole new one, never a part. An
// upload that is interrupted stays under another hidden name, from which its owner can resume it with REST or
// APPE.
//
//	createHidden ─→ hidden, running ──── commit ───→ final name
//	                    ↑     │
//	                  claim  abandon
//	                    │     ↓
//	                hidden, interrupted ─ 30 days ─→ removed (sweep.go)
//
// Some uploads are written in place: those that append to a file or change a part of it, those through a
// symlink, and those where a new file could not replace the old one without losing something that belongs to
// the old one (create). With Options.Gate, they are refused (openFinal).
//
// No file that existed before is changed until the data connection is open (begin), because a client that can't
// open it must not lose the old content.
type upload struct {
	s        *session
	fs       afero.Fs
	path     string      // the final name in the session's tree, for messages
	name     string      // the final name in fs
	dir      io.Closer   // fs, if that is only the directory of the file; else nil
	own      *ownFile    // the file that is written to
	part     partialName // hidden name, if hidden
	hidden   bool        // own has a hidden name
	old      fs.FileInfo // the file at the final name when last looked at; nil: none
	offset   int64
	truncate bool        // begin truncates own at offset
	unique   bool        // STOU: the name is reserved
	reserved reservation // the name, if unique
	append   bool        // own is opened with O_APPEND
	newOnly  bool        // APPE to a new file: must not replace one that appears meanwhile
	id       any         // own's key in uploads.inPlace, if it is written in place
	writing  bool        // beginWrite has succeeded
	whole    bool        // all data has arrived; see shorten
	size     int64       // of the whole hidden file, if there is a quota
	closed   bool        // own is closed, and commit has still to give it its final name
	asked    string      // the name that the client has sent, if the upload may have a number (numbered.go)
	numbers  int         // how often it was given another one
	quota    *quota      // of the path; nil: none
	before   int64       // size of a file written in place when the upload began; -1: it was new
}

// Sync says what is safely on the disk when the server answers an upload with 226.
type Sync uint8

// The values of Sync.
const (
	SyncOff  Sync = iota // nothing: the system writes it within seconds
	SyncFile             // the content of the file (fsync)
	SyncFull             // content and name: the file survives a power failure
)

// Why an upload is refused. uploadError makes replies of them.
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

// A resumesAt is the error of an UploadFs for an interrupted upload that can be resumed only at that offset.
type resumesAt interface{ ResumeAt() int64 }

// uploadError returns the reply to an upload to p that failed with err.
func uploadError(err error, p string) ftp.Reply {
	if at, ok := errors.AsType[interface {
		error
		resumesAt
	}](err); ok {
		return ftp.Replyf(554, "%s: its interrupted upload can be resumed only at byte %d: send REST %d, or the whole file.", p, at.ResumeAt(), at.ResumeAt())
	}
	switch {
	case errors.Is(err, errExists):
		return ftp.Replyf(550, "%s: permission denied: it exists, and this account may not replace files.", p)
	case errors.Is(err, errIsDir):
		return ftp.Replyf(550, "%s: is a directory.", p)
	case errors.Is(err, errNoFile):
		return ftp.Replyf(550, "%s: is a pipe, a socket or a device, which can't be replaced.", p)
	case errors.Is(err, errPastEnd):
		return ftp.Replyf(554, "%s: has fewer bytes than that: an upload can't start past its end.", p)
	case errors.Is(err, errWasCut):
		return ftp.Replyf(554, "%s: its interrupted upload has fewer bytes than that: send the whole file.", p)
	case errors.Is(err, errNoParent):
		return ftp.Replyf(550, "%s: no such directory.", path.Dir(p))
	case errors.Is(err, errReserved):
		return ftp.Replyf(450, "%s: the name is reserved for a running STOU.", p)
	case errors.Is(err, errBusy):
		return ftp.Replyf(450, "%s: another upload is writing to it: try again later.", p)
	case errors.Is(err, errTaken):
		return ftp.Replyf(550, "%s: another upload has stored it meanwhile, and this one may not replace it.", p)
	case errors.Is(err, errAppeared):
		return ftp.Replyf(450, "%s: another upload has made it meanwhile: append again.", p)
	case errors.Is(err, errMoved):
		return ftp.Replyf(450, "%s: was replaced or removed during the upload: what you sent is lost.", p)
	case errors.Is(err, errUnchecked):
		return ftp.Replyf(550, "%s: uploads are checked here before they become visible, so no file can be changed in place, appended to, or written through a link: send the whole file under a name of its own.", p)
	case errors.Is(err, errNoGate):
		return ftp.Replyf(550, "%s: uploads are checked here before they become visible, which is not possible in this directory.", p)
	case errors.Is(err, errPaused):
		return ftp.Replyf(450, "%s: an upload of it was interrupted a moment ago: resume it with REST, send the whole file, or append in %d minutes.", p, int(appendPause.Minutes()))
	case noSpace(err):
		r := fileError(err, p)
		r.Lines[0] += " Nothing of this upload is kept."
		return r
	}
	return fileError(err, p)
}

// noSpace reports whether err means that the disk or a quota is full, so that nothing of an upload can be kept.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, errQuota)
}

// newUpload starts an upload to p. If the storage can hold a directory open (DirFs), the upload works in it:
// its steps do not walk the path again, and a path that changes meanwhile can't redirect them.
func (s *session) newUpload(p string) *upload {
	storage, inside := s.at(p)
	u := &upload{s: s, fs: storage, path: p, name: inside, quota: s.quotaAt(p)}
	parent, base := path.Split(inside)
	if storage, ok := u.fs.(DirFs); ok && parent != "/" {
		if d, err := storage.Dir(parent); err == nil { // else the first step reports the error
			u.fs, u.dir, u.name = d, d, base
		}
	}
	return u
}

// prepared returns u if err is nil; otherwise it releases u.
func (u *upload) prepared(err error) (incoming, error) {
	if err == nil && u.s.set.Gate != nil && !u.canBeGated() {
		u.abandon(u.s.ctx(), false, nil)
		return nil, errNoGate
	}
	if err != nil {
		u.release()
		return nil, err
	}
	return u, nil
}

// release gives up all that the upload holds except its file.
func (u *upload) release() {
	running := u.s.srv.uploads
	if u.hidden {
		running.dropHidden(path.Base(u.own.name))
		running.dropHidden(u.part.String())
	}
	if u.unique {
		running.release(u.reserved)
	}
	u.closeDir()
}

func (u *upload) where() (string, int64, bool) { return u.path, u.offset, u.unique }

func (u *upload) oldSize() int64 {
	if u.old == nil && u.own != nil && !u.hidden {
		return u.before
	}
	return sizeIn(u.old)
}

func (u *upload) isRemote() bool { return false }

func (u *upload) ended() {}

func (u *upload) closeDir() {
	if u.dir != nil {
		_ = u.dir.Close()
		u.dir = nil
	}
}

// openUpload prepares a STOR that starts at offset. A new file may get another name than p (numbered.go).
func (s *session) openUpload(p string, offset int64) (incoming, error) {
	if offset > 0 || !s.account.numbersNames(p) {
		return s.openNamed(p, "", offset)
	}
	u, err := s.openNamed(p, p, offset)
	if isTaken(err) {
		return s.openNumbered(p)
	}
	return u, err
}

// openNamed prepares a STOR to p. asked, if not "", is the name that the client has sent: the upload may have another one.
func (s *session) openNamed(p, asked string, offset int64) (incoming, error) {
	storage, inside := s.at(p)
	if files, ok := storage.(UploadFs); ok {
		return s.storedUpload(files, p, inside, asked, offset)
	}
	u := s.newUpload(p)
	u.offset, u.asked = offset, asked
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

// look examines the final name and checks that it may be written to. It sets old.
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
	case u.dir == nil && isDir(u.s.account.FS, path.Dir(u.path)) != nil:
		return errNoParent
	}
	u.old = nil
	return nil
}

// replaces sets old to fi, or returns why that file may not be replaced.
func (u *upload) replaces(fi fs.FileInfo) error {
	switch {
	case fi.IsDir():
		return errIsDir
	case fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice|fs.ModeIrregular) != 0:
		return errNoFile
	case !u.s.may(PermOverwrite, u.path):
		return errExists
	}
	u.old = fi
	if u.isLink() && u.dir != nil { // the link may lead out of the directory
		u.closeDir()
		u.fs, u.name = u.s.at(u.path)
	}
	return nil
}

func (u *upload) isLink() bool { return u.old != nil && u.old.Mode()&fs.ModeSymlink != 0 }

// sink returns where the bytes go. It is the *os.File itself if possible, because the kernel can splice into
// that without copying. It can't splice into a file opened to append. So the type of such a file is hidden,
// which makes package dtp use a large buffer.
func (u *upload) sink() io.Writer {
	if u.append {
		return struct{ io.Writer }{u.own.File}
	}
	return u.own.File
}
