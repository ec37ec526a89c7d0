package server

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// upload is a file that comes in. Unless it is written in place, its bytes go to
// a hidden name beside the final one, and commit renames it: whoever reads the
// final name finds the old file or the whole new one. An upload that is cut
// short is kept under another hidden name, from which REST or APPE go on.
type upload struct {
	fs     afero.Fs
	path   string // the final name
	temp   string // where the bytes go; path itself when in place
	file   afero.File
	offset int64
	had    fs.FileInfo // what it replaces, if anything
	empty  bool        // what is there goes when the transfer begins
	unique bool        // STOU: the name was made for it
	append bool
}

// Hidden names: ".NAME.RANDOM.upload" while bytes come in, ".NAME.upload" for
// what is kept of one that was cut. Listings do not show them. The one becomes the
// other by leaving RANDOM out, for every NAME: Sweep knows nothing else of it.
const uploadSuffix = ".upload"

func isUpload(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, uploadSuffix) && len(name) > len("."+uploadSuffix)
}

// isKept is isUpload without those that are coming in.
func isKept(name string) bool { return isUpload(name) && !comingIn.MatchString(name) }

var (
	comingIn = regexp.MustCompile(`(?s)^\..+\.[0-9a-f]{8}\.upload$`)
	tagged   = regexp.MustCompile(`[.~][0-9a-f]{8}$`)
)

// keptName is the hidden name of what was kept of an upload to p.
func keptName(p string) string { return hiddenName(p, "") }

func tempName(p string) string { return hiddenName(p, fmt.Sprintf(".%08x", rand.Uint32())) }

// hiddenName shortens names that leave no room for the rest, and gives a hash to
// them and to those that look as if they had RANDOM or a hash at their end, such as
// log.20240131: what is kept of that must not be taken for an upload to log.
func hiddenName(p, tag string) string {
	const (
		longest = 255
		room    = longest - len(".") - len(".RANDOM--") - len(uploadSuffix)
		hashLen = len("~HASH----")
	)
	dir, base := path.Split(p)
	if len(base) > room || tagged.MatchString(base) {
		h := fnv.New32a()
		_, _ = io.WriteString(h, base)
		base = fmt.Sprintf("%s~%08x", base[:min(len(base), room-hashLen)], h.Sum32())
	}
	return dir + "." + base + tag + uploadSuffix
}

// Errors that uploads refuse with.
var (
	errExists   = errors.New("exists, and may not be replaced")
	errIsDir    = errors.New("is a directory")
	errNoFile   = errors.New("is a pipe, a socket or a device")
	errPastEnd  = errors.New("starts past the end")
	errWasCut   = errors.New("an upload was cut before that")
	errNoParent = errors.New("no such directory")
)

func uploadError(err error, p string) ftp.Reply {
	switch {
	case errors.Is(err, errExists):
		return ftp.Replyf(550, "%s: permission denied: it exists, and this account may not replace files.", p)
	case errors.Is(err, errIsDir):
		return ftp.Replyf(550, "%s: is a directory.", p)
	case errors.Is(err, errNoFile):
		return ftp.Replyf(550, "%s: is a pipe, a socket or a device, and stays one.", p)
	case errors.Is(err, errPastEnd):
		return ftp.Replyf(554, "%s: there are fewer bytes than that: a file has no holes.", p)
	case errors.Is(err, errWasCut):
		return ftp.Replyf(554, "%s: an upload of it was cut, and less than that is kept: send it whole.", p)
	case errors.Is(err, errNoParent):
		return ftp.Replyf(550, "%s: no such directory.", path.Dir(p))
	}
	return fileError(err, p)
}

// openUpload prepares STOR, from offset on.
func (s *session) openUpload(p string, offset int64) (*upload, error) {
	u := &upload{fs: s.account.FS, path: p, offset: offset}
	if err := u.look(s.account.Perm); err != nil {
		return nil, err
	}
	if offset > 0 {
		return u, u.resume()
	}
	return u, u.create(s.set.UploadInPlace)
}

// look finds out what is at the final name.
func (u *upload) look(perm Perm) error {
	fi, err := lstat(u.fs, u.path)
	switch {
	case err == nil && fi.IsDir():
		return errIsDir
	case err == nil && fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice|fs.ModeIrregular) != 0:
		return errNoFile
	case err == nil && !perm.Has(PermOverwrite):
		return errExists
	case err == nil:
		u.had = fi
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case isDir(u.fs, path.Dir(u.path)) != nil:
		return errNoParent
	}
	return nil
}

func (u *upload) isLink() bool { return u.had != nil && u.had.Mode()&fs.ModeSymlink != 0 }

// create starts a new file. A link is written through, not replaced; so is a
// file in a directory that takes no new names. What is written in place keeps its
// content until the data connection stands.
func (u *upload) create(inPlace bool) error {
	if !inPlace && !u.isLink() {
		u.temp = tempName(u.path)
		err := u.open(os.O_WRONLY | os.O_CREATE | os.O_EXCL)
		if err == nil || u.had == nil || !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	u.temp, u.empty = u.path, true
	return u.open(os.O_WRONLY | os.O_CREATE)
}

// begin empties a file that is written in place, once the data connection stands.
func (u *upload) begin() error { return u.file.Truncate(0) }

// resume goes on with what an earlier upload left, or in a file that is there:
// behind the new bytes such a file keeps its tail (RFC 3659 §5.3 leaves it open).
// A client that asks for more than is kept has taken the size of the file that
// the upload was to replace for what arrived of its own: the two must not mix.
func (u *upload) resume() error {
	if u.claim(u.offset) {
		if err := u.open(os.O_WRONLY); err != nil {
			return err
		}
		return u.seek(u.file.Truncate(u.offset))
	}
	switch {
	case u.had == nil:
		return errPastEnd
	case u.wasCut():
		return errWasCut
	}
	u.temp = u.path
	if err := u.open(os.O_WRONLY); err != nil {
		return err
	}
	fi, err := u.file.Stat()
	if err == nil && fi.Size() < u.offset {
		err = errPastEnd
	}
	return u.seek(err)
}

// wasCut reports whether a part is kept of an upload that was cut.
func (u *upload) wasCut() bool {
	_, err := lstat(u.fs, keptName(u.path))
	return err == nil
}

// claim takes the kept part of an earlier upload, if it has that many bytes, so
// that nobody else goes on with it too. It makes the part new before that: under
// the name of an upload that is coming in nothing old may stand, as Sweep takes
// what is old there for a leftover.
func (u *upload) claim(offset int64) bool {
	kept := keptName(u.path)
	fi, err := lstat(u.fs, kept)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() < offset {
		return false
	}
	u.temp = tempName(u.path)
	now := time.Now()
	_ = u.fs.Chtimes(kept, now, now)
	return u.fs.Rename(kept, u.temp) == nil
}

// seek goes to the offset, unless opening went wrong.
func (u *upload) seek(err error) error {
	if err == nil {
		_, err = u.file.Seek(u.offset, io.SeekStart)
	}
	if err != nil {
		u.abandon(false)
	}
	return err
}

func (u *upload) open(flag int) (err error) {
	u.file, err = u.fs.OpenFile(u.temp, flag, 0o666)
	return err
}

// openAppend prepares APPE: at the end of the file, or of what is kept of an
// upload that was cut, or in a new file.
func (s *session) openAppend(p string) (*upload, error) {
	u := &upload{fs: s.account.FS, path: p, append: true}
	if err := u.look(s.account.Perm); err != nil {
		return nil, err
	}
	switch {
	case u.had != nil && u.wasCut():
		return nil, errWasCut // as in resume
	case u.had != nil:
		u.temp = p
	case u.claim(0):
	default:
		u.append = false
		return u, u.create(s.set.UploadInPlace)
	}
	if err := u.open(os.O_WRONLY | os.O_APPEND); err != nil {
		return nil, err
	}
	if fi, err := u.file.Stat(); err == nil {
		u.offset = fi.Size()
	}
	return u, nil
}

// openUnique prepares STOU: a name that nobody has, made at once so that nobody
// else can take it (RFC 1123 §4.1.2.9).
func (s *session) openUnique(p string) (*upload, error) {
	if isDir(s.account.FS, path.Dir(p)) != nil {
		return nil, errNoParent
	}
	u := &upload{fs: s.account.FS, unique: true}
	var err error
	for n := range 10_000 {
		u.path = p
		if n > 0 {
			u.path = fmt.Sprintf("%s.%d", p, n)
		}
		u.temp = u.path
		if err = u.open(os.O_WRONLY | os.O_CREATE | os.O_EXCL); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return u, err
}

// sink is where the bytes go: the bare file, which the kernel can fill by
// itself. One opened to append can't be spliced into; hiding that it is a file
// gets it the large buffer instead of the small one.
func (u *upload) sink() io.Writer {
	if u.append {
		return struct{ io.Writer }{u.file}
	}
	return u.file
}

// commit closes the file and gives it its final name.
func (u *upload) commit() error {
	if err := u.file.Close(); err != nil {
		u.keep()
		return err
	}
	if u.temp == u.path {
		return nil
	}
	if u.had != nil && u.had.Mode().IsRegular() {
		_ = u.fs.Chmod(u.temp, u.had.Mode().Perm())
	}
	if err := u.fs.Rename(u.temp, u.path); err != nil {
		u.keep()
		return err
	}
	_ = u.fs.Remove(keptName(u.path)) // an older part is of no use any more
	return nil
}

// abandon closes a file that is not whole. It returns how many bytes of it are
// kept to go on from; a new name that got no byte leaves nothing.
func (u *upload) abandon(opened bool) int64 {
	size := int64(0)
	if fi, err := u.file.Stat(); err == nil {
		size = fi.Size()
	}
	_ = u.file.Close()
	switch {
	case u.unique, u.temp == u.path && u.had == nil && !opened:
		_ = u.fs.Remove(u.path)
		return 0
	case u.temp == u.path:
		return size
	case size == 0 || !opened && u.offset == 0:
		_ = u.fs.Remove(u.temp)
		return 0
	}
	u.keep()
	return size
}

func (u *upload) keep() {
	if u.temp != u.path {
		_ = u.fs.Rename(u.temp, keptName(u.path))
	}
}
