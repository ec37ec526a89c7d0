package server

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"strconv"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"

	"miniftp/ftp"
)

// describer turns file information from the storage into entries. It has copies of what it needs from the
// session, because a listing runs beside the session.
type describer struct {
	fs     afero.Fs
	perm   Perm // except in mounts
	mounts []Mount
	compat Compat
	facts  ftp.Facts // the facts to fill in; 0 for LIST
	base   string    // removed from the headings of LIST -R

	namesOnly bool // only names are needed

	ids idNames
}

// dirReader reads a directory entry by entry, in the order of the disk. more reports whether the next entry is
// already in memory. At the end next returns io.EOF.
type dirReader interface {
	next(e *ftp.Entry) (more bool, err error)
	Close() error
}

// dir opens a directory.
func (l *describer) dir(p string) (dirReader, error) {
	storage, inside := at(l.fs, p)
	if files, ok := storage.(ReadDirFs); ok {
		next, stop := iter.Pull2(files.ReadDirSeq(inside))
		return &streamedDir{desc: l, path: p, pull: next, stop: stop}, nil
	}
	f, err := storage.Open(inside)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	parent := l.rights(fi)
	if d := l.fastDir(f, p, parent); d != nil {
		return d, nil
	}
	return &plainDir{desc: l, f: f, path: p, parent: parent}, nil
}

// plainDir reads a directory of any storage in batches.
type plainDir struct {
	desc   *describer
	f      afero.File
	path   string
	parent rights
	batch  []fs.FileInfo
}

const dirBatch = 256

func (d *plainDir) next(e *ftp.Entry) (bool, error) {
	if len(d.batch) == 0 {
		n := dirBatch
		if _, inMemory := d.f.(*mem.File); inMemory {
			n = -1 // in batches it panics if names vanish meanwhile; it holds all of them anyway
		}
		batch, err := d.f.Readdir(n)
		if name, ok := statFailed(err); ok && len(batch) == 0 {
			d.desc.unseen(e, name, fs.ModeIrregular)
			return true, nil
		}
		if len(batch) == 0 {
			if err == nil {
				err = io.EOF
			}
			return false, err
		}
		d.batch = batch
	}
	fi := d.batch[0]
	d.batch = d.batch[1:]
	d.desc.entry(e, fi, path.Join(d.path, fi.Name()), d.parent)
	return len(d.batch) > 0, nil
}

// streamedDir reads a directory of a ReadDirFs. Its first read may wait for the network, so dir does not read.
type streamedDir struct {
	desc *describer
	path string
	pull func() (fs.FileInfo, error, bool)
	stop func()
}

func (d *streamedDir) next(e *ftp.Entry) (bool, error) {
	fi, err, ok := d.pull()
	switch {
	case !ok:
		return false, io.EOF
	case err != nil:
		return false, err
	}
	d.desc.entry(e, fi, path.Join(d.path, fi.Name()), mayRead|mayWrite|maySearch)
	return true, nil
}

func (d *streamedDir) Close() error {
	d.stop()
	return nil
}

// statFailed returns the name of an entry that package os could not examine. That is not an error of the
// directory.
func statFailed(err error) (string, bool) {
	var p *fs.PathError
	if !errors.As(err, &p) || p.Op != "lstat" {
		return "", false
	}
	return filepath.Base(p.Path), true
}

func (d *plainDir) Close() error { return d.f.Close() }

// entry fills e with what is known of the file at p.
func (l *describer) entry(e *ftp.Entry, fi fs.FileInfo, p string, parent rights) {
	*e = ftp.Entry{
		Name: fi.Name(), Type: entryType(fi.Mode()), Size: fi.Size(), Modified: fi.ModTime(),
		Mode: fi.Mode(), HasMode: true, Links: 1, Owner: "ftp", Group: "ftp",
	}
	l.fromSys(e, fi)
	l.finish(e, p, l.rights(fi), parent)
}

// unseen fills e for an entry that can't be examined, such as the mount point of a lost file system. Its name
// is known, and perhaps its type. MLSD leaves out its other facts; LIST shows a mode without any permissions.
func (l *describer) unseen(e *ftp.Entry, name string, typ fs.FileMode) {
	*e = ftp.Entry{Name: name, Type: entryType(typ), Mode: typ, Size: -1, HasMode: l.facts == 0}
}

// finish fills in what is not part of the file's own record.
func (l *describer) finish(e *ftp.Entry, p string, own, parent rights) {
	if e.Type == ftp.LinkEntry {
		e.Target = readlink(l.fs, p)
	}
	if l.facts&ftp.FactPerm != 0 {
		if isFixed(l.mounts, p) {
			parent = 0
		}
		e.Perm = l.permFact(l.permAt(p), e.IsDir(), own, parent)
	}
}

// permAt returns what the account may do with a path.
func (l *describer) permAt(p string) Perm {
	if m := mountOf(l.mounts, p); m != nil {
		return l.compat.shown(m.Perm)
	}
	return l.compat.shown(l.perm)
}

func entryType(m fs.FileMode) ftp.EntryType {
	switch {
	case m.IsDir():
		return ftp.DirEntry
	case m.IsRegular():
		return ftp.FileEntry
	case m&fs.ModeSymlink != 0:
		return ftp.LinkEntry
	}
	return ftp.OtherEntry
}

// rights are what the server's process may do with a file, as the permission bits of one class: r 4, w 2, x 1.
type rights uint8

const (
	mayRead   rights = 4
	mayWrite  rights = 2
	maySearch rights = 1
)

// permFact returns the perm fact of MLSx (RFC 3659 §7.5.5): what the account may do, limited to what the disk
// permits the server to do.
func (l *describer) permFact(perm Perm, dir bool, own, parent rights) string {
	var b [10]byte
	out := b[:0]
	add := func(c byte, ok bool) {
		if ok {
			out = append(out, c)
		}
	}
	change := parent&mayWrite != 0 && parent&maySearch != 0
	if dir {
		inside := own&mayWrite != 0 && own&maySearch != 0
		add('c', perm.Has(PermStore) && inside)
		add('d', perm.Has(PermDelete) && change)
		add('e', own&maySearch != 0)
		add('f', perm.Has(PermRename) && change)
		add('l', perm.Has(PermList) && own&mayRead != 0)
		add('m', perm.Has(PermMakeDir) && inside)
		add('p', perm.Has(PermDelete) && inside)
	} else {
		add('a', perm.Has(PermStore|PermOverwrite) && own&mayWrite != 0)
		add('d', perm.Has(PermDelete) && change)
		add('f', perm.Has(PermRename) && change)
		add('r', perm.Has(PermRead) && own&mayRead != 0)
		add('w', perm.Has(PermStore|PermOverwrite) && (own&mayWrite != 0 || change))
	}
	return permString(out)
}

// idNames caches the last user and group number as text, because most files of a directory have the same.
type idNames struct {
	uid, gid     uint32
	user, grp    string
	haveU, haveG bool
}

func (n *idNames) owner(uid uint32) string {
	if !n.haveU || n.uid != uid {
		n.uid, n.haveU, n.user = uid, true, strconv.FormatUint(uint64(uid), 10)
	}
	return n.user
}

func (n *idNames) group(gid uint32) string {
	if !n.haveG || n.gid != gid {
		n.gid, n.haveG, n.grp = gid, true, strconv.FormatUint(uint64(gid), 10)
	}
	return n.grp
}

// permString returns string(b), without an allocation for the common sets.
func permString(b []byte) string {
	switch string(b) {
	case "r":
		return "r"
	case "el":
		return "el"
	case "adfrw":
		return "adfrw"
	case "cdeflmp":
		return "cdeflmp"
	}
	return string(b)
}

// unique returns the unique fact of MLSx: device and inode in hexadecimal.
func unique(dev, ino uint64) string {
	var b [34]byte
	out := strconv.AppendUint(b[:0], dev, 16)
	out = append(out, 'g')
	return string(strconv.AppendUint(out, ino, 16))
}
