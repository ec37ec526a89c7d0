package server

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/sys/unix"

	"miniftp/ftp"
)

// fastDir reads a directory of the disk through its descriptor: names with getdents, and attributes with
// fstatat into one reused record, without a FileInfo per entry. It uses no paths, so it can't be redirected if
// the path changes meanwhile.
type fastDir struct {
	desc   *describer
	f      *os.File
	fd     int
	path   string
	parent rights
	buf    []byte // directory records; those from at on are unread
	text   string // a copy of buf, of which names are substrings: one allocation for many names
	at     int
	st     unix.Stat_t
}

const direntBytes = 32 << 10

// fastDir returns nil if f is not a directory of the disk.
func (l *describer) fastDir(f afero.File, p string, parent rights) dirReader {
	file, ok := f.(*os.File)
	if !ok {
		return nil
	}
	return &fastDir{desc: l, f: file, fd: int(file.Fd()), path: p, parent: parent, buf: make([]byte, 0, direntBytes)}
}

func (d *fastDir) Close() error { return d.f.Close() }

func (d *fastDir) next(e *ftp.Entry) (bool, error) {
	for {
		name, typ, err := d.name()
		if err != nil {
			return false, err
		}
		if name == "." || name == ".." {
			continue
		}
		if d.desc.namesOnly {
			*e = ftp.Entry{Name: name}
			return d.at < len(d.buf), nil
		}
		e.Name = name
		err = unix.Fstatat(d.fd, e.Name, &d.st, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err == nil:
			d.entry(e)
		case errors.Is(err, unix.ENOENT):
			continue // deleted since
		default:
			d.desc.unseen(e, name, fileMode(uint32(typ)<<12)) // DT_DIR is S_IFDIR>>12, and so on
		}
		return d.at < len(d.buf), nil
	}
}

// name returns the name and type of the next directory record (struct linux_dirent64: inode 8 bytes, offset 8,
// length 2, type 1, name).
func (d *fastDir) name() (name string, typ byte, err error) {
	const lengthAt, typeAt, nameAt = 16, 18, 19
	if d.at >= len(d.buf) {
		n, err := unix.Getdents(d.fd, d.buf[:cap(d.buf)])
		if err != nil {
			return "", 0, err
		}
		if n <= 0 {
			return "", 0, io.EOF
		}
		d.buf, d.at = d.buf[:n], 0
		d.text = string(d.buf)
	}
	rec := d.buf[d.at:]
	if len(rec) < nameAt {
		return "", 0, io.ErrUnexpectedEOF
	}
	length := int(binary.NativeEndian.Uint16(rec[lengthAt:]))
	if length < nameAt || length > len(rec) {
		return "", 0, io.ErrUnexpectedEOF
	}
	name = d.text[d.at+nameAt : d.at+length]
	d.at += length
	if i := strings.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return name, rec[typeAt], nil
}

// entry fills in e, whose name is set, from the result of fstatat.
func (d *fastDir) entry(e *ftp.Entry) {
	st := &d.st
	mode := fileMode(st.Mode)
	*e = ftp.Entry{
		Name: e.Name, Type: entryType(mode), Size: st.Size, Modified: time.Unix(st.Mtim.Unix()),
		Mode: mode, HasMode: true, Links: int(st.Nlink),
		Owner: d.desc.ids.owner(st.Uid), Group: d.desc.ids.group(st.Gid),
	}
	if d.desc.facts&ftp.FactUnique != 0 {
		e.Unique = unique(uint64(st.Dev), st.Ino)
	}
	p := ""
	if e.Type == ftp.LinkEntry || len(d.desc.mounts) > 0 {
		p = path.Join(d.path, e.Name)
	}
	d.desc.finish(e, p, rightsOf(mode.Perm(), st.Uid, st.Gid), d.parent)
}

// fileMode converts a kernel mode to an fs.FileMode.
func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFREG:
	default:
		mode |= fs.ModeIrregular
	}
	for _, bit := range []struct {
		kernel uint32
		mode   fs.FileMode
	}{{unix.S_ISUID, fs.ModeSetuid}, {unix.S_ISGID, fs.ModeSetgid}, {unix.S_ISVTX, fs.ModeSticky}} {
		if m&bit.kernel != 0 {
			mode |= bit.mode
		}
	}
	return mode
}
