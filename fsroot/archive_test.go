package fsroot

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/afero"
)

// entry is an entry of an archive. A name that ends in a slash is a directory.
type entry struct {
	name, content string
	mode          fs.FileMode
	link          string // of a symlink
	hard          string // of a hard link, in tar archives only
}

var entryTime = time.Date(2020, 2, 29, 10, 20, 30, 0, time.UTC)

func zipOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, e := range entries {
		h := &zip.FileHeader{Name: e.name, Modified: entryTime, Method: uint16(i % 2 * 8)} // stored and deflated
		mode, content := e.mode|0o644, e.content
		if strings.HasSuffix(e.name, "/") {
			mode |= fs.ModeDir
			h.Method = zip.Store
		}
		if e.link != "" {
			mode, content = fs.ModeSymlink|0o777, e.link
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		check(t, err)
		_, err = io.WriteString(f, content)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, ModTime: entryTime, Typeflag: tar.TypeReg, Size: int64(len(e.content)), Mode: int64(e.mode.Perm() | 0o644)}
		switch {
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case e.hard != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.hard
		case e.mode&fs.ModeNamedPipe != 0:
			h.Typeflag = tar.TypeFifo
		}
		check(t, w.WriteHeader(h))
		_, err := io.WriteString(w, e.content)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

func gzipOf(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	check(t, errors.Join(err, z.Close()))
	return out.Bytes()
}

// writeArchive writes a file and returns what Open takes.
func writeArchive(t *testing.T, kind string, b []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a."+kind)
	check(t, os.WriteFile(name, b, 0o644))
	return kind + ":" + name
}

// eachArchive opens an archive with the entries in each format.
func eachArchive(t *testing.T, entries []entry, f func(t *testing.T, fsys afero.Fs)) {
	t.Helper()
	for kind, spec := range map[string]string{
		"zip": writeArchive(t, "zip", zipOf(t, entries...)), "tar": writeArchive(t, "tar", tarOf(t, entries...)),
		"tar.gz": writeArchive(t, "tar", gzipOf(t, tarOf(t, entries...))),
	} {
		t.Run(kind, func(t *testing.T) {
			fsys, closer, err := Open(spec)
			check(t, err)
			f(t, fsys)
			check(t, closer.Close())
		})
	}
}

// walked returns the paths of all files and directories, and the targets of symlinks.
func walked(t *testing.T, fsys afero.Fs) (all []string) {
	t.Helper()
	check(t, afero.Walk(fsys, "/", func(name string, fi fs.FileInfo, err error) error {
		if fi != nil && fi.Mode()&fs.ModeSymlink != 0 {
			target, err := fsys.(afero.Symlinker).ReadlinkIfPossible(name)
			check(t, err)
			name += " -> " + target
		}
		all = append(all, name)
		return err
	}))
	return all
}

func TestArchiveNames(t *testing.T) {
	long := strings.Repeat("n", 255)
	eachArchive(t, []entry{
		{name: "no/entry/of/the/directory", content: "deep"},
		{name: "/absolute", content: "absolute"},
		{name: "./dot", content: "dot"},
		{name: "../outside", content: "outside"},
		{name: "a/../../outside", content: "outside"},
		{name: "..", content: "outside"},
		{name: "empty/"},
		{name: "//twice//slashed", content: "slashed"},
		{name: "twin", content: "old"},
		{name: "twin", content: "the last one counts"},
		{name: "twin/below", content: "a file is not a directory"},
		{name: "no", content: "a directory is not a file"},
		{name: "ä 日本 -*?[", content: "odd"},
		{name: long, content: "long"},
		{name: strings.Repeat("d/", maxLevels) + "x", content: "too deep"},
		{name: "z" + strings.Repeat("/"+long, 16), content: "too long"},
	}, func(t *testing.T, fsys afero.Fs) {
		want := []string{"/", "/absolute", "/dot", "/empty", "/" + long, "/no", "/no/entry", "/no/entry/of", "/no/entry/of/the", "/no/entry/of/the/directory", "/twice", "/twice/slashed", "/twin", "/ä 日本 -*?["}
		if got := walked(t, fsys); !slices.Equal(got, want) {
			t.Errorf("the archive contains\n%q, want\n%q", got, want)
		}
		for name, content := range map[string]string{"/no/entry/of/the/directory": "deep", "/absolute": "absolute", "/twin": "the last one counts", "/ä 日本 -*?[": "odd", "x/../dot": "dot"} {
			if got := get(t, fsys, name); got != content {
				t.Errorf("%s contains %q", name, got)
			}
		}
		for name, want := range map[string]error{"/outside": fs.ErrNotExist, "/twin/below": syscall.ENOTDIR, "/no/x": fs.ErrNotExist, "/\x00": fs.ErrInvalid} {
			_, err := fsys.Stat(name)
			wantErr(t, err, want, name, "")
			_, err = fsys.Open(name)
			wantErr(t, err, want, name, "")
		}
		fi, err := fsys.Stat("/dot")
		check(t, err)
		if fi.Name() != "dot" || fi.Size() != 3 || fi.Mode() != 0o644 || !fi.ModTime().Equal(entryTime) {
			t.Errorf("%s: size %d, mode %v, time %v", fi.Name(), fi.Size(), fi.Mode(), fi.ModTime())
		}
	})
}

func TestArchiveLinks(t *testing.T) {
	entries := []entry{
		{name: "d/f", content: "f"},
		{name: "d/rel", link: "../d/f"},
		{name: "abs", link: "/d/rel"},
		{name: "dir", link: "d"},
		{name: "out", link: "../../etc/passwd"},
		{name: "loop", link: "loop"},
		{name: "none", link: "missing"},
		{name: "below", link: "d/f/x"},
	}
	eachArchive(t, entries, func(t *testing.T, fsys afero.Fs) {
		for _, name := range []string{"/d/rel", "/abs", "/dir/f", "/dir/rel"} {
			if got := get(t, fsys, name); got != "f" {
				t.Errorf("%s contains %q", name, got)
			}
			if fi, err := fsys.Stat(name); err != nil || !fi.Mode().IsRegular() || fi.Name() != filepath.Base(name) {
				t.Errorf("stat %s: %v, %v", name, fi, err)
			}
		}
		for name, want := range map[string]error{"/out": fs.ErrNotExist, "/loop": syscall.ELOOP, "/none": fs.ErrNotExist, "/below": syscall.ENOTDIR} {
			_, err := fsys.Stat(name)
			wantErr(t, err, want, name, "")
			if fi, _, err := fsys.(afero.Symlinker).LstatIfPossible(name); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("lstat %s: %v, %v", name, fi, err)
			}
		}
		_, err := fsys.(afero.Symlinker).ReadlinkIfPossible("/d/f")
		wantErr(t, err, syscall.EINVAL, "/d/f", "")
	})
}

func TestTarSpecials(t *testing.T) {
	fsys, closer, err := Open(writeArchive(t, "tar", tarOf(t,
		entry{name: "f", content: "f"}, entry{name: "g", hard: "f"}, entry{name: "h", hard: "../f"}, entry{name: "i", hard: "none"}, entry{name: "fifo", mode: fs.ModeNamedPipe})))
	check(t, err)
	defer closer.Close()
	if got := walked(t, fsys); !slices.Equal(got, []string{"/", "/f", "/g"}) {
		t.Errorf("the archive contains %q", got)
	}
	if got := get(t, fsys, "/g"); got != "f" {
		t.Errorf("the hard link contains %q", got)
	}
}

// sparseTar is an archive with a sparse file (GNU, PAX format 0.1): 1000 bytes, of which only the last 3 are stored.
func sparseTar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	record := ""
	for _, r := range []string{"GNU.sparse.size=1000", "GNU.sparse.numblocks=1", "GNU.sparse.map=997,3", "GNU.sparse.name=sparse"} {
		n := len(r) + 4
		if n > 99 || n < 10 {
			t.Fatal(r)
		}
		record += fmt.Sprintf("%02d %s\n", n, r)
	}
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: int64(len(record))}))
	_, err := io.WriteString(w, record)
	check(t, errors.Join(err, w.Flush()))
	b.Bytes()[156] = 'x'
	sum := 0
	copy(b.Bytes()[148:156], "        ")
	for _, c := range b.Bytes()[:512] {
		sum += int(c)
	}
	copy(b.Bytes()[148:156], fmt.Sprintf("%06o\x00 ", sum))
	check(t, w.WriteHeader(&tar.Header{Name: "sparse", Typeflag: tar.TypeReg, Size: 3, Format: tar.FormatUSTAR}))
	_, err = io.WriteString(w, "end")
	check(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func TestTarSparse(t *testing.T) {
	fsys, closer, err := Open(writeArchive(t, "tar", sparseTar(t)))
	check(t, err)
	defer closer.Close()
	if got := get(t, fsys, "/sparse"); got != strings.Repeat("\x00", 997)+"end" {
		t.Errorf("the sparse file contains %q", got)
	}
}

// TestZipFromWindows: backslashes separate directories unless the archive was made on Unix.
func TestZipFromWindows(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, by := range map[string]uint16{`dos\f`: 0, `unix\f`: 3 << 8} {
		_, err := w.CreateRaw(&zip.FileHeader{Name: name, CreatorVersion: by})
		check(t, err)
	}
	check(t, w.Close())
	fsys, closer, err := Open(writeArchive(t, "zip", b.Bytes()))
	check(t, err)
	defer closer.Close()
	if got := walked(t, fsys); !slices.Equal(got, []string{"/", "/dos", "/dos/f", `/unix\f`}) {
		t.Errorf("the archive contains %q", got)
	}
}

// TestArchiveReads reads at random positions, and compares with the content.
func TestArchiveReads(t *testing.T) {
	content := make([]byte, 3*chunkSize/2)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(r.IntN(16)) // compressible
	}
	eachArchive(t, []entry{{name: "a", content: string(content)}, {name: "b", content: string(content)}}, func(t *testing.T, fsys afero.Fs) {
		for _, name := range []string{"a", "b"} {
			f, err := fsys.Open(name)
			check(t, err)
			for range 30 {
				off, n := r.IntN(len(content)+10), r.IntN(5000)
				want := content[min(off, len(content)):min(off+n, len(content))]
				seek(t, f, int64(off), io.SeekStart, int64(off))
				got, err := io.ReadAll(io.LimitReader(f, int64(n)))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes from %d: got %d bytes, %v", name, n, off, len(got), err)
				}
				b := make([]byte, n)
				got = b[:must(f.ReadAt(b, int64(off)))]
				if !bytes.Equal(got, want) {
					t.Errorf("%s: ReadAt of %d bytes from %d: got %d bytes", name, n, off, len(got))
				}
				seek(t, f, 0, io.SeekCurrent, int64(off+len(want)))
			}
			if _, err := f.Seek(-1, io.SeekStart); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("Seek to -1: %v", err)
			}
			if _, err := f.ReadAt(content[:1], -1); err == nil {
				t.Error("ReadAt of -1 succeeds")
			}
			check(t, f.Close())
			if _, err := f.Read(content[:1]); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Read of a closed file: %v", err)
			}
		}
	})
}

// must returns n unless err is another error than io.EOF.
func must(n int, err error) int {
	if err != nil && !errors.Is(err, io.EOF) {
		panic(err)
	}
	return n
}

func TestArchiveIsFS(t *testing.T) {
	eachArchive(t, []entry{{name: "d/e/f", content: "f"}, {name: "g", content: strings.Repeat("g", 10_000)}, {name: "h/"}}, func(t *testing.T, fsys afero.Fs) {
		if err := fstest.TestFS(afero.NewIOFS(fsys), "d/e/f", "g", "h"); err != nil {
			t.Error(err)
		}
		f, err := fsys.Open("/")
		check(t, err)
		var names []string
		for {
			some, err := f.Readdirnames(1)
			if errors.Is(err, io.EOF) {
				break
			}
			check(t, err)
			names = append(names, some...)
		}
		if !slices.Equal(names, []string{"d", "g", "h"}) {
			t.Errorf("/ contains %q", names)
		}
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, syscall.EISDIR) {
			t.Errorf("Read of a directory: %v", err)
		}
		for name, change := range map[string]func() error{
			"create": func() error { _, err := fsys.Create("/x"); return err },
			"open":   func() error { _, err := fsys.OpenFile("/g", os.O_WRONLY, 0); return err },
			"mkdir":  func() error { return fsys.Mkdir("/x", 0o755) },
			"remove": func() error { return fsys.Remove("/g") },
			"rename": func() error { return fsys.Rename("/g", "/x") },
		} {
			if err := change(); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestBadArchives: what can't be used is refused with an error that says why.
func TestBadArchives(t *testing.T) {
	content := make([]byte, 100_000)
	for i := range content {
		content[i] = byte(rand.IntN(256))
	}
	e := entry{name: "f", content: string(content)}
	goodZip, goodTar := zipOf(t, e), tarOf(t, e, e)
	for _, tt := range []struct {
		name, kind string
		bytes      []byte
		want       string
	}{
		{"a text", "zip", []byte("this is not an archive"), "is not a zip archive"},
		{"a text", "tar", []byte("this is not an archive"), "is not a tar archive"},
		{"a long text", "tar", bytes.Repeat([]byte("this is not an archive"), 1000), "is not a tar archive"},
		{"nothing", "zip", nil, "is not a zip archive"},
		{"nothing", "tar", nil, "is not a tar archive"},
		{"a tar archive", "zip", goodTar, "is not a zip archive"},
		{"a zip archive", "tar", goodZip, "is not a tar archive"},
		{"the half", "zip", goodZip[:len(goodZip)/2], "is damaged: the directory at its end is missing or wrong"},
		{"the half", "tar", goodTar[:len(goodTar)/2], "is damaged: it ends too early"},
		{"a part of a header", "tar", goodTar[:len(goodTar)/2+700], "is damaged: it ends too early"},
		{"the half, compressed", "tar", gzipOf(t, goodTar)[:5000], "is damaged: it ends too early"},
		{"a wrong header", "tar", append(slices.Clone(goodTar[:len(goodTar)-1024]), bytes.Repeat([]byte("x"), 1024)...), "is damaged after 2 entries"},
		{"compressed with xz", "tar", []byte("\xfd7zXZ\x00..."), "is compressed with xz, and only gzip is supported"},
		{"not even compressed", "tar", []byte("\x1f\x8bxx"), "is damaged: it ends too early"},
		{"too large", "tar", gzipOf(t, make([]byte, maxInMemory+1)), "has more than 256 MiB when it is decompressed"},
	} {
		_, _, err := Open(writeArchive(t, tt.kind, tt.bytes))
		if err == nil || !strings.Contains(err.Error(), "a."+tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s as %s: the error is %q, want %q", tt.name, tt.kind, err, tt.want)
		}
	}
	dir := t.TempDir()
	for spec, want := range map[string]string{
		"zip:": "zip: needs the name of a file: zip:FILE", "tar:": "tar:FILE", "zip:///x.zip": "zip:FILE",
		"zip:" + dir: "is not a file, so it is no zip archive", "ZIP:" + dir + "/none.zip": "no such file",
	} {
		if _, _, err := Open(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %q, want %q", spec, err, want)
		}
	}
}

// TestDamagedFiles: an archive can be used if only a file in it is damaged.
func TestDamagedFiles(t *testing.T) {
	content := strings.Repeat("0123456789", 1000)
	b := zipOf(t, entry{name: "stored", content: content}, entry{name: "packed", content: content}, entry{name: "good", content: "good"})
	b[bytes.Index(b, []byte("0123456789"))] = 'x'
	b[bytes.Index(b, []byte("packed"))+20] ^= 0xff
	fsys, closer, err := Open(writeArchive(t, "zip", b))
	check(t, err)
	defer closer.Close()
	for _, name := range []string{"stored", "packed"} {
		_, err := afero.ReadFile(fsys, name)
		var inPath *fs.PathError
		if !errors.As(err, &inPath) || inPath.Path != "/"+name {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if got := get(t, fsys, "/good"); got != "good" {
		t.Errorf("the good file contains %q", got)
	}
}

func TestEncryptedZip(t *testing.T) {
	b := zipOf(t, entry{name: "f", content: "f"})
	central := bytes.Index(b, []byte("PK\x01\x02"))
	b[central+8] |= 1
	fsys, closer, err := Open(writeArchive(t, "zip", b))
	check(t, err)
	defer closer.Close()
	if _, err := afero.ReadFile(fsys, "f"); !errors.Is(err, errEncrypted) {
		t.Errorf("the error is %v", err)
	}
}

// TestLargeArchives: the memory for the directory of a zip archive, and the number of files, are bounded.
func TestLargeArchives(t *testing.T) {
	limit := &limitedReaderAt{ReaderAt: bytes.NewReader(zipOf(t, entry{name: "f"}))}
	limit.left.Store(10)
	if _, err := zip.NewReader(limit, 100); err == nil || !strings.Contains(err.Error(), "its directory has more than") {
		t.Errorf("the error is %v", err)
	}
	tr := newTree(time.Time{})
	tr.nodes = maxNodes - 1
	e := zipOf(t, entry{name: "a/b/c"})
	if err := tr.readZip(bytes.NewReader(e), int64(len(e))); !errors.Is(err, errManyNodes) {
		t.Errorf("zip: the error is %v", err)
	}
	tr.nodes = maxNodes - 1
	e = tarOf(t, entry{name: "x/y/z"})
	if _, err := tr.readTar(bytes.NewReader(e), int64(len(e)), 0); !errors.Is(err, errManyNodes) {
		t.Errorf("tar: the error is %v", err)
	}
}

// FuzzTar and FuzzZip: no archive makes the server panic, and all names in it are clean.
func FuzzTar(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := newTree(time.Time{})
		_, _ = tr.readTar(bytes.NewReader(b), int64(len(b)), 1<<20)
		checkTree(t, tr)
	})
}

func FuzzZip(f *testing.F) {
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := newTree(time.Time{})
		_ = tr.readZip(bytes.NewReader(b), int64(len(b)))
		checkTree(t, tr)
	})
}

func checkTree(t *testing.T, tr *tree) {
	t.Helper()
	fsys := &archive{top: tr.top}
	for _, name := range walked(t, fsys) {
		name, _, _ = strings.Cut(name, " -> ")
		if fi, err := fsys.Stat(name); err == nil && fi.Mode().IsRegular() && fi.Size() < 1<<20 {
			_, _ = afero.ReadFile(fsys, name)
		}
	}
}
