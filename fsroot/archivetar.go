package fsroot

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/afero"
)

// openTar opens a tar archive, which may be compressed with gzip.
func openTar(name string) (afero.Fs, io.Closer, error) {
	f, fi, err := openArchive("tar", name)
	if err != nil {
		return nil, nil, err
	}
	t := newTree(fi.ModTime())
	seen, closer, err := t.readTarFile(f, fi.Size())
	if err != nil {
		_ = f.Close()
		if errors.Is(err, tar.ErrHeader) || errors.Is(err, gzip.ErrHeader) {
			err = errFormat
		}
		return nil, nil, badArchive("tar", name, seen, err)
	}
	return &archive{kind: "Tar", top: t.top}, closer, nil
}

// packers holds what the files of compressors begin with.
var packers = []struct{ name, magic string }{
	{"gzip", "\x1f\x8b"}, {"xz", "\xfd7zXZ\x00"}, {"bzip2", "BZh"}, {"zstd", "\x28\xb5\x2f\xfd"},
}

// readTarFile returns the number of entries, and what has to be closed when the tree is no longer used.
func (t *tree) readTarFile(f *os.File, size int64) (seen int, closer io.Closer, err error) {
	head := make([]byte, 6)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, err
	}
	for _, p := range packers {
		if !strings.HasPrefix(string(head), p.magic) {
			continue
		}
		if p.name != "gzip" {
			return 0, nil, fmt.Errorf("it is compressed with %s, and only gzip is supported", p.name)
		}
		all, n, err := gunzip(f)
		if err != nil {
			return 0, nil, err
		}
		_ = f.Close()
		seen, err = t.readTar(all, n, maxInMemory-n)
		return seen, noClose{}, err
	}
	seen, err = t.readTar(f, size, maxInMemory)
	return seen, f, err
}

// readTar reads the headers of an archive. Files are read from src when they are opened, except
// sparse ones: these are held in memory, of which they may take spare bytes.
func (t *tree) readTar(src io.ReaderAt, size, spare int64) (seen int, err error) {
	at := io.NewSectionReader(src, 0, size)
	r := tar.NewReader(at)
	for ; ; seen++ {
		h, err := r.Next()
		if seen == 0 && size < 1024 && err != nil { // an archive without entries has two blocks of zeros
			return 0, tar.ErrHeader
		}
		if errors.Is(err, io.EOF) {
			return seen, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // such names are left out by add
			return seen, err
		}
		n := &node{mode: h.FileInfo().Mode().Perm(), modTime: h.ModTime}
		content := src
		start, err := at.Seek(0, io.SeekCurrent)
		if err != nil {
			return seen, err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			n.mode |= fs.ModeDir
			n.inside = map[string]*node{}
		case tar.TypeSymlink:
			if len(h.Linkname) > maxPath {
				continue
			}
			n.mode |= fs.ModeSymlink
			n.link, n.size = h.Linkname, int64(len(h.Linkname))
		case tar.TypeLink:
			if n = t.linked(h.Linkname); n == nil {
				continue
			}
		case tar.TypeReg, tar.TypeGNUSparse:
			if n.size = h.Size; isSparse(h) {
				if n.size > spare {
					return seen, fmt.Errorf("its sparse files need more than %d MiB of memory", maxInMemory>>20)
				}
				spare -= n.size
				b, err := io.ReadAll(r)
				if err != nil {
					return seen, err
				}
				content, start = bytes.NewReader(b), 0
			}
			n.open = tarOpener(n, content, start)
		default:
			continue
		}
		if err := t.add(h.Name, n); err != nil {
			return seen, err
		}
	}
}

func tarOpener(n *node, src io.ReaderAt, start int64) func(string) afero.File {
	return func(name string) afero.File {
		return &storedFile{archiveFile{name: name, info: n.info()}, io.NewSectionReader(src, start, n.size)}
	}
}

// isSparse reports whether the content of a file is stored without its holes.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// linked returns a node for another name of the file name, or nil if there is no such file.
func (t *tree) linked(name string) *node {
	all, ok := parts(name)
	if !ok {
		return nil
	}
	n := t.top
	for _, part := range all {
		if n = n.inside[part]; n == nil {
			return nil
		}
	}
	if n.inside != nil {
		return nil
	}
	other := *n
	return &other
}

// gunzip decompresses a file into memory and returns its size.
func gunzip(f io.Reader) (io.ReaderAt, int64, error) {
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, 0, err
	}
	var all chunks
	for size := int64(0); ; {
		b := make([]byte, chunkSize)
		n, err := io.ReadFull(z, b)
		all = append(all, b[:n])
		if size += int64(n); size > maxInMemory {
			return nil, 0, fmt.Errorf("it has more than %d MiB when it is decompressed: decompress it first, because tar:FILE holds only compressed archives in memory", maxInMemory>>20)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && len(b) != n && atEnd(z) {
			return all, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// atEnd reports whether a reader that has returned fewer bytes than wanted did so because it ended well. For
// that, io.ReadFull returns the same error as for a file that ends too early.
func atEnd(r io.Reader) bool {
	_, err := r.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

const chunkSize = 1 << 20

// chunks holds bytes in pieces of chunkSize, of which only the last may be smaller.
type chunks [][]byte

func (c chunks) ReadAt(b []byte, off int64) (done int, err error) {
	for done < len(b) {
		i, at := int(off/chunkSize), int(off%chunkSize)
		if i >= len(c) || at >= len(c[i]) {
			return done, io.EOF
		}
		n := copy(b[done:], c[i][at:])
		done += n
		off += int64(n)
	}
	return done, nil
}
