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
	path   string    // the final name, for people
	name   string    // the final name in fs
	temp   string    // where the bytes go; name itself when in place
	dir    io.Closer // fs, if it is the directory of the file and not the account's storage
	file   afero.File
	offset int64
	had    fs.FileInfo // what it replaces, if anything
	empty  bool        // what is there goes when the transfer begins
	unique bool        // STOU: the name was made for it
	append bool
	umask  fs.FileMode // of SITE UMASK
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
	u := s.newUpload(p)
	u.offset = offset
	err := u.look(s.account)
	switch {
	case err != nil:
	case offset > 0:
		err = u.resume()
	default:
		err = u.create(s.set.UploadInPlace)
	}
	return u.prepared(err)
}

// directory is a storage that is one directory, held open.
type directory = interface {
	afero.Fs
	io.Closer
}

// newUpload begins an upload. A storage that can hold a directory open is asked to:
// else each step of an upload walks to it anew.
func (s *session) newUpload(p string) *upload {
	u := &upload{fs: s.account.FS, path: p, name: p, umask: s.umask}
	storage, ok := u.fs.(interface {
		Dir(name string) (directory, error)
	})
	if parent, base := path.Split(p); ok && parent != "/" {
		if d, err := storage.Dir(parent); err == nil { // else the first step tells what is wrong
			u.fs, u.dir, u.name = d, d, base
		}
	}
	return u
}

// prepared is u, unless preparing it went wrong.
func (u *upload) prepared(err error) (*upload, error) {
	if err != nil {
		u.letGo()
		return nil, err
	}
	return u, nil
}

// letGo gives up the directory.
func (u *upload) letGo() {
	if u.dir != nil {
		_ = u.dir.Close()
		u.dir = nil
	}
}

// follow goes by the whole path: a link may lead out of its directory.
func (u *upload) follow(storage afero.Fs) {
	u.letGo()
	u.fs, u.name = storage, u.path
}

// look finds out what is at the final name.
func (u *upload) look(account *Account) error {
	fi, err := lstat(u.fs, u.name)
	switch {
	case err == nil && fi.IsDir():
		return errIsDir
	case err == nil && fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice|fs.ModeIrregular) != 0:
		return errNoFile
	case err == nil && !account.Perm.Has(PermOverwrite):
		return errExists
	case err == nil:
		if u.had = fi; u.isLink() {
			u.follow(account.FS)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case u.dir == nil && isDir(u.fs, path.Dir(u.name)) != nil:
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
		u.temp = tempName(u.name)
		err := u.open(os.O_WRONLY | os.O_CREATE | os.O_EXCL)
		if err == nil || u.had == nil || !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	u.temp, u.empty = u.name, true
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
	u.temp = u.name
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
	_, err := lstat(u.fs, keptName(u.name))
	return err == nil
}

// claim takes the kept part of an earlier upload, if it has that many bytes, so
// that nobody else goes on with it too. It makes the part new before that: under
// the name of an upload that is coming in nothing old may stand, as Sweep takes
// what is old there for a leftover.
func (u *upload) claim(offset int64) bool {
	kept := keptName(u.name)
	fi, err := lstat(u.fs, kept)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() < offset {
		return false
	}
	u.temp = tempName(u.name)
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
	u.file, err = u.fs.OpenFile(u.temp, flag, 0o666&^u.umask)
	return err
}

// openAppend prepares APPE: at the end of the file, or of what is kept of an
// upload that was cut, or in a new file.
func (s *session) openAppend(p string) (*upload, error) {
	u := s.newUpload(p)
	u.append = true
	if err := u.look(s.account); err != nil {
		return u.prepared(err)
	}
	switch {
	case u.had != nil && u.wasCut():
		return u.prepared(errWasCut) // as in resume
	case u.had != nil:
		u.temp = u.name
	case u.claim(0):
	default:
		u.append = false
		return u.prepared(u.create(s.set.UploadInPlace))
	}
	if err := u.open(os.O_WRONLY | os.O_APPEND); err != nil {
		return u.prepared(err)
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
	u := &upload{fs: s.account.FS, unique: true, umask: s.umask}
	var err error
	for n := range 10_000 {
		u.path = p
		if n > 0 {
			u.path = fmt.Sprintf("%s.%d", p, n)
		}
		u.name, u.temp = u.path, u.path
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
	defer u.letGo()
	if u.temp != u.name && u.had != nil && u.had.Mode().IsRegular() {
		u.chmod(u.had.Mode().Perm())
	}
	if err := u.file.Close(); err != nil {
		u.keep()
		return err
	}
	if u.temp == u.name {
		return nil
	}
	if err := u.fs.Rename(u.temp, u.name); err != nil {
		u.keep()
		return err
	}
	_ = u.fs.Remove(keptName(u.name)) // an older part is of no use any more
	return nil
}

// chmod changes the mode of the open file, by its descriptor if it has one.
func (u *upload) chmod(mode fs.FileMode) {
	if f, ok := u.file.(*os.File); ok {
		_ = f.Chmod(mode)
		return
	}
	_ = u.fs.Chmod(u.temp, mode)
}

// abandon closes a file that is not whole. It returns how many bytes of it are
// kept to go on from; a new name that got no byte leaves nothing.
func (u *upload) abandon(opened bool) int64 {
	defer u.letGo()
	size := int64(0)
	if fi, err := u.file.Stat(); err == nil {
		size = fi.Size()
	}
	_ = u.file.Close()
	switch {
	case u.unique, u.temp == u.name && u.had == nil && !opened:
		_ = u.fs.Remove(u.name)
		return 0
	case u.temp == u.name:
		return size
	case size == 0 || !opened && u.offset == 0:
		_ = u.fs.Remove(u.temp)
		return 0
	}
	u.keep()
	return size
}

func (u *upload) keep() {
	if u.temp != u.name {
		_ = u.fs.Rename(u.temp, keptName(u.name))
	}
}
