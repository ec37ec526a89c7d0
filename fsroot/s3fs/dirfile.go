package s3fs

import (
	"io"
	"io/fs"
	"iter"
	"syscall"
)

// dirFile is an open directory. It reads the pages of the listing as they are needed.
type dirFile struct {
	noWrites
	f    *Fs
	name string // virtual
	dir  object

	next func() (fs.FileInfo, error, bool)
	stop func()
}

func (d *dirFile) Name() string               { return d.name }
func (d *dirFile) Stat() (fs.FileInfo, error) { return d.f.info(d.dir), nil }

func (d *dirFile) Close() error {
	if d.stop != nil {
		d.stop()
	}
	return nil
}

// Readdir returns the next count entries, or all that are left if count is not positive. If count is positive and
// no entry is left, the error is io.EOF.
func (d *dirFile) Readdir(count int) ([]fs.FileInfo, error) {
	if d.next == nil {
		d.next, d.stop = iter.Pull2(d.f.ReadDirSeq(d.name))
	}
	var out []fs.FileInfo
	for count <= 0 || len(out) < count {
		fi, err, ok := d.next()
		if err != nil {
			return out, err
		}
		if !ok {
			break
		}
		out = append(out, fi)
	}
	if count > 0 && len(out) == 0 {
		return nil, io.EOF
	}
	return out, nil
}

// Readdirnames is like Readdir, but returns only the names.
func (d *dirFile) Readdirnames(count int) ([]string, error) {
	infos, err := d.Readdir(count)
	names := make([]string, len(infos))
	for i, fi := range infos {
		names[i] = fi.Name()
	}
	return names, err
}

// Seek to the beginning lets Readdir begin anew. Other positions are unsupported.
func (d *dirFile) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, pathError("seek", d.name, syscall.EINVAL)
	}
	if d.stop != nil {
		d.stop()
		d.next, d.stop = nil, nil
	}
	return 0, nil
}

func (d *dirFile) Read([]byte) (int, error) {
	return 0, pathError("read", d.name, syscall.EISDIR)
}

func (d *dirFile) ReadAt([]byte, int64) (int, error) {
	return 0, pathError("read", d.name, syscall.EISDIR)
}
