package fsroot

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/spf13/afero"
)

// openZip opens a zip archive.
func openZip(name string) (afero.Fs, io.Closer, error) {
	f, fi, err := openArchive("zip", name)
	if err != nil {
		return nil, nil, err
	}
	t := newTree(fi.ModTime())
	if err := t.readZip(f, fi.Size()); err != nil {
		if errors.Is(err, zip.ErrFormat) {
			err = errFormat
			head := make([]byte, 4)
			if _, short := f.ReadAt(head, 0); short == nil && string(head) == "PK\x03\x04" {
				err = errNoDirectory
			}
		}
		_ = f.Close()
		return nil, nil, badArchive("zip", name, 0, err)
	}
	return &archive{kind: "Zip", top: t.top}, f, nil
}

func (t *tree) readZip(f io.ReaderAt, size int64) error {
	limit := &limitedReaderAt{ReaderAt: f}
	limit.left.Store(maxDirectory)
	z, err := zip.NewReader(limit, size)
	if errors.Is(err, zip.ErrInsecurePath) { // such names are left out below
		err = nil
	}
	if err != nil {
		return err
	}
	limit.left.Store(-1)
	for _, entry := range z.File {
		entryName := entry.Name
		if by := entry.CreatorVersion >> 8; by != 3 && by != 19 { // not Unix, not macOS
			entryName = strings.ReplaceAll(entryName, `\`, "/")
		}
		n := zipNode(entry, strings.HasSuffix(entryName, "/"))
		if n == nil {
			continue
		}
		if err := t.add(entryName, n); err != nil {
			return err
		}
	}
	return nil
}

// zipNode returns the node of an entry, or nil if the entry has to be left out.
func zipNode(entry *zip.File, isDir bool) *node {
	n := &node{mode: entry.Mode(), modTime: entry.Modified}
	switch n.mode.Type() {
	case fs.ModeDir:
		isDir = true
	case fs.ModeSymlink:
		if n.link = zipLink(entry); n.link == "" {
			return nil
		}
		n.size = int64(len(n.link))
		return n
	case 0:
	default:
		return nil
	}
	n.mode = n.mode.Perm()
	if isDir {
		n.mode |= fs.ModeDir
		n.inside = map[string]*node{}
		return n
	}
	if entry.UncompressedSize64 > 1<<62 {
		return nil
	}
	n.size = int64(entry.UncompressedSize64)
	n.open = func(name string) afero.File {
		open := func() (io.ReadCloser, error) {
			if entry.Flags&1 != 0 {
				return nil, errEncrypted
			}
			return entry.Open()
		}
		return &packedFile{archiveFile: archiveFile{name: name, info: n.info()}, main: stream{open: open}, other: stream{open: open}}
	}
	return n
}

var errEncrypted = errors.New("the file is encrypted in the archive")

// zipLink returns the target of a symlink, or "" if it can't be read.
func zipLink(entry *zip.File) string {
	r, err := entry.Open()
	if err != nil {
		return ""
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxPath+1))
	if err != nil || len(b) > maxPath || strings.IndexByte(string(b), 0) >= 0 {
		return ""
	}
	return string(b)
}

// limitedReaderAt fails when more than left bytes are read, unless left is negative. It bounds the memory that
// package zip takes for the directory of an archive.
type limitedReaderAt struct {
	io.ReaderAt
	left atomic.Int64
}

func (l *limitedReaderAt) ReadAt(b []byte, off int64) (int, error) {
	if l.left.Load() >= 0 && l.left.Add(-int64(len(b))) < 0 {
		l.left.Store(0)
		return 0, fmt.Errorf("its directory has more than %d MiB", maxDirectory>>20)
	}
	return l.ReaderAt.ReadAt(b, off)
}
