package client

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/afero"

	"miniftp/internal/osfile"
)

// part is the local file that a download is written to until it is whole.
//
// Invariants: No two runs write to the same part, because it is created exclusively or opened under
// a lock. It is renamed, changed or removed by name only while the name still refers to it (stillNamed),
// so nothing that another program has put there is lost.
//
//	newPart, openPart → written → finish: renamed to final
//	                            → keep: left for a resume
//	                            → remove
type part struct {
	fsys  afero.Fs
	name  string // current name
	final string
	f     afero.File   // nil after close
	info  fs.FileInfo  // identifies the file
	old   fs.FileInfo  // the file that it replaces; nil if there was none
	perms *fs.FileMode // the permissions to set; nil: those of old, or of a new file
	free  func()       // releases the lock within this process
}

// errPartBusy is returned for a part that another run is writing to.
var errPartBusy = errors.New("another run of the program is writing to it; try again when it has ended")

// newPart creates the part of the file final. An existing file with that name is replaced only if
// the name shows that this program made it and no other run is writing to it. tag becomes part of
// the name and identifies the version of the file; "" gives a name for people to read.
func newPart(fsys afero.Fs, final, tag string, perms *fs.FileMode) (*part, error) {
	return newPartNamed(fsys, final, final, tag, perms)
}

// newPartNamed is like newPart with a name made from stem.
func newPartNamed(fsys afero.Fs, final, stem, tag string, perms *fs.FileMode) (*part, error) {
	p := &part{fsys: fsys, final: final, perms: perms}
	if old, err := lstat(fsys, final); err == nil && old.Mode().IsRegular() {
		p.old = old
	}
	mode := fs.FileMode(0o600)
	if p.old == nil && perms == nil {
		mode = 0o666
	}
	names := []string{partName(stem, tag)}
	if tag == "" {
		names = append(names, partName(stem, untagged))
	}
	for _, name := range names {
		err := p.create(name, mode)
		if errors.Is(err, fs.ErrExist) && IsPart(filepath.Base(name)) && removeDead(fsys, name) {
			err = p.create(name, mode)
		}
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return p, p.ready(err)
		}
	}
	return p, p.ready(p.create(partName(stem, randomTag()), mode))
}

// ready gives a new part the attributes of the file that it replaces, before the first byte is
// written: a file that others may not read must not be readable while it is downloaded.
func (p *part) ready(err error) error {
	if err == nil && p.old != nil {
		err = p.inherit()
	}
	if err != nil {
		p.close()
		p.remove()
	}
	return localError(err)
}

// create creates the file exclusively and locks it. Between these two steps another run may open it
// in removeDead, to see whether it was abandoned. Then create fails as if the name were in use.
func (p *part) create(name string, mode fs.FileMode) error {
	free, ok := reserve(p.fsys, name)
	if !ok {
		return fs.ErrExist
	}
	f, err := p.fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		free()
		return err
	}
	p.name, p.f, p.free = name, bare(f), free
	if held, err := lockPart(p.f); err == nil && !held { // another run checks whether it was abandoned
		p.close()
		return fs.ErrExist
	}
	if p.info, err = p.f.Stat(); err == nil && !p.stillNamed() { // that run has removed it
		p.close()
		return fs.ErrExist
	}
	return err
}

// openPart opens a part that an earlier run or try has left. The error is errPartBusy if another run
// is writing to it, and fs.ErrNotExist if there is no such regular file.
func openPart(fsys afero.Fs, name, final string, perms *fs.FileMode) (*part, error) {
	was, err := lstat(fsys, name)
	if err == nil && !was.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, localError(err)
	}
	free, ok := reserve(fsys, name)
	if !ok {
		return nil, localError(&fs.PathError{Op: "resume", Path: name, Err: errPartBusy})
	}
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		free()
		return nil, localError(err)
	}
	p := &part{fsys: fsys, name: name, final: final, f: bare(f), free: free, perms: perms}
	if old, err := lstat(fsys, final); err == nil && old.Mode().IsRegular() && name != final {
		p.old = old
	}
	held, err := lockPart(p.f)
	if err == nil && !held {
		err = &fs.PathError{Op: "resume", Path: name, Err: errPartBusy}
	}
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		p.info, err = p.f.Stat()
	}
	if err == nil && !sameFile(was, p.info) {
		err = fs.ErrNotExist
	}
	if err != nil {
		p.close()
		return nil, localError(err)
	}
	return p, nil
}

// inherit gives the part the owner and permissions of the file that it replaces. If it may not
// change the owner, it sets the permissions only.
func (p *part) inherit() error {
	mode := p.old.Mode().Perm()
	to, ok := p.f.(*os.File)
	if !ok {
		return p.fsys.Chmod(p.name, mode|0o600)
	}
	opened, err := p.fsys.OpenFile(p.final, os.O_RDONLY, 0)
	if err == nil {
		defer opened.Close()
		from, ok := bare(opened).(*os.File)
		if ok && osfile.Inherit(to, from) == nil {
			if mode&0o600 == 0o600 {
				return nil
			}
			return to.Chmod(mode | 0o600) // writable until it is whole; see setMode
		}
	}
	return to.Chmod(mode | 0o600)
}

// size returns how many bytes the part has.
func (p *part) size() int64 {
	info, err := p.f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// syncFrom is the size from which a new file is synced to the disk before it gets its name. A file
// that replaces another is always synced: after a power failure one of the two must exist.
const syncFrom = 1 << 20

// finish gives the whole file its time and its final name, and closes it. A zero time leaves the time
// unchanged.
func (p *part) finish(modified time.Time) error {
	defer p.close()
	size := p.size()
	err := p.setMode()
	// The final name comes last: a file that has it has everything else, too.
	if err == nil && (p.old != nil || size >= syncFrom) {
		err = p.f.Sync()
	}
	if _, onDisk := p.f.(*os.File); err == nil && (!onDisk || runtime.GOOS == "windows") {
		err = p.f.Close() // a storage may set the time when it closes the file, and Windows can't rename an open one
		p.f = nil
	}
	if err == nil && !modified.IsZero() {
		_ = p.fsys.Chtimes(p.name, time.Now(), modified) // the file is complete without it
	}
	if err == nil && !p.stillNamed() {
		err = &fs.PathError{Op: "rename", Path: p.name, Err: errReplaced}
	}
	if err == nil {
		err = p.fsys.Rename(p.name, p.final)
	}
	if err == nil {
		p.name = p.final
		p.sweep(size)
	}
	return localError(err)
}

// rename gives the part another name, if its present name still refers to it.
func (p *part) rename(name string) error {
	if !p.stillNamed() {
		return localError(&fs.PathError{Op: "rename", Path: p.name, Err: errReplaced})
	}
	if runtime.GOOS == "windows" { // open files can't be renamed there
		if err := p.f.Close(); err != nil {
			return localError(err)
		}
	}
	err := p.fsys.Rename(p.name, name)
	if err == nil {
		p.name = name
	}
	if runtime.GOOS == "windows" {
		f, again := p.fsys.OpenFile(p.name, os.O_RDWR, 0)
		if err = errors.Join(err, again); again == nil {
			p.f = bare(f)
		}
	}
	return localError(err)
}

// errReplaced is returned for a part whose name refers to another file now.
var errReplaced = errors.New("another program has replaced the file")

// setMode gives the part its final permissions, if it does not have them already.
func (p *part) setMode() error {
	switch {
	case p.perms != nil:
		return p.fsys.Chmod(p.name, *p.perms)
	case p.old != nil && p.old.Mode().Perm()&0o600 != 0o600:
		return p.fsys.Chmod(p.name, p.old.Mode().Perm())
	}
	return nil
}

// stillNamed reports whether the name of the part still refers to it.
func (p *part) stillNamed() bool {
	now, err := lstat(p.fsys, p.name)
	return err == nil && sameFile(now, p.info)
}

// keep closes the part and leaves it for a resume. Its time is set to that of the remote file, so
// that a later run can compare the versions.
func (p *part) keep(version time.Time) {
	empty := p.size() == 0
	p.close()
	switch {
	case empty:
		p.remove()
	case !version.IsZero() && p.stillNamed():
		_ = p.fsys.Chtimes(p.name, time.Now(), version)
	}
}

// remove removes the part, if its name still refers to it.
func (p *part) remove() {
	if p.info != nil && p.name != p.final && p.stillNamed() {
		_ = p.fsys.Remove(p.name)
	}
}

func (p *part) close() {
	if p.f != nil {
		_ = p.f.Close()
		p.f = nil
	}
	if p.free != nil {
		p.free()
		p.free = nil
	}
}

// sweep removes what earlier runs have left of the file, now that it is whole: the part whose name
// shows that this program made it, and the part with the plain name if the whole file begins with
// its contents.
func (p *part) sweep(size int64) {
	removeDead(p.fsys, partName(p.final, untagged))
	plain := partName(p.final, "")
	info, err := lstat(p.fsys, plain)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > size {
		return
	}
	left, err := openPart(p.fsys, plain, p.final, nil)
	if err != nil {
		return
	}
	whole, err := p.fsys.Open(p.final)
	if err == nil {
		var same bool
		if same, err = begins(whole, left.f); err == nil && same {
			defer left.remove()
		}
		_ = whole.Close()
	}
	left.close()
}

// begins reports whether the file whole begins with the contents of head.
func begins(whole, head io.Reader) (bool, error) {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(head, a)
		if n > 0 {
			if _, err := io.ReadFull(whole, b[:n]); err != nil || !bytes.Equal(a[:n], b[:n]) {
				return false, err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return false, err
		}
	}
}

// removeDead removes a part whose name shows that this program made it, unless a run is writing to
// it. It reports whether it removed the file.
func removeDead(fsys afero.Fs, name string) bool {
	p, err := openPart(fsys, name, name, nil)
	if err != nil {
		return false
	}
	err = errPartBusy
	if p.stillNamed() {
		err = fsys.Remove(name)
	}
	p.close()
	return err == nil
}

// PartBusy reports whether a run of the program is writing to the part with that name in fsys.
func PartBusy(fsys afero.Fs, name string) bool {
	p, err := openPart(fsys, name, name, nil)
	if err == nil {
		p.close()
	}
	return errors.Is(err, errPartBusy)
}

// lockPart locks an open part, until it is closed. The error is errors.ErrUnsupported on file systems
// without locks.
func lockPart(f afero.File) (bool, error) {
	if file, ok := f.(*os.File); ok {
		return osfile.Lock(file)
	}
	return false, errors.ErrUnsupported
}
