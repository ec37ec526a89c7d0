package fstest_test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/fsroot/fstest"
	"miniftp/fsroot/s3fs"
	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
	"miniftp/internal/s3peer"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func disk(t *testing.T) afero.Fs { return afero.NewBasePathFs(afero.NewOsFs(), t.TempDir()) }

// filled returns a filesystem with a few files.
func filled(t *testing.T) afero.Fs {
	fsys := fsroot.NewMem()
	check(t, fsys.MkdirAll("/dir/deep", 0o755))
	for name, size := range map[string]int{"/dir/deep/file": 300_000, "/dir/small": 5, "/empty": 0} {
		check(t, afero.WriteFile(fsys, name, []byte(strings.Repeat("0123456789", size/10+1))[:size], 0o644))
	}
	return fsys
}

func opened(t *testing.T, spec string) afero.Fs {
	fsys, closer, err := fsroot.Open(spec)
	check(t, err)
	t.Cleanup(func() { _ = closer.Close() })
	return fsys
}

func zipped(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "a.zip")
	f, err := os.Create(name)
	check(t, err)
	w := zip.NewWriter(f)
	check(t, w.AddFS(afero.NewIOFS(filled(t))))
	check(t, errors.Join(w.Close(), f.Close()))
	return name
}

func tarred(t *testing.T, packed bool) string {
	name := filepath.Join(t.TempDir(), "a.tar")
	f, err := os.Create(name)
	check(t, err)
	z := gzip.NewWriter(f)
	w := tar.NewWriter(f)
	if packed {
		w = tar.NewWriter(z)
	}
	check(t, w.AddFS(afero.NewIOFS(filled(t))))
	check(t, w.Close())
	if packed {
		check(t, z.Close())
	}
	check(t, f.Close())
	return name
}

// remote returns a tree of a miniftp server that serves fsys.
func remote(t *testing.T, fsys afero.Fs) afero.Fs {
	srv := ftptest.NewServer(t, fsys, ftptest.WithUser("u", "p", server.ReadWrite))
	p := client.NewPool(srv.Addr, 16, &client.Options{User: "u", Password: "p"})
	t.Cleanup(func() { p.Close() })
	f, err := ftpfs.New(t.Context(), p, "/")
	check(t, err)
	return f
}

// bucket returns an empty bucket of VersityGW.
func bucket(t *testing.T) afero.Fs {
	f, err := s3fs.Open(t.Context(), s3peer.Start(t, t.TempDir()).URL("", ""), &s3fs.Options{AccessKey: s3peer.AccessKey, SecretKey: s3peer.SecretKey})
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// storages holds the storages that are examined. The table in docs/storages.md has a column for each that has a
// heading.
var storages = []struct {
	name, heading string
	open          func(t *testing.T) afero.Fs
}{
	{"fsroot.Root", "directory", func(t *testing.T) afero.Fs { return opened(t, t.TempDir()) }},
	{"fsroot.NewMem", "`mem://`", func(*testing.T) afero.Fs { return fsroot.NewMem() }},
	{"zip", "`zip:`", func(t *testing.T) afero.Fs { return opened(t, "zip:"+zipped(t)) }},
	{"tar", "`tar:`", func(t *testing.T) afero.Fs { return opened(t, "tar:"+tarred(t, false)) }},
	{"tar.gz", "", func(t *testing.T) afero.Fs { return opened(t, "tar:"+tarred(t, true)) }},
	{"s3", "`s3://`", bucket},
	{"ftpfs", "`ftp://`", func(t *testing.T) afero.Fs { return remote(t, opened(t, t.TempDir())) }},
	{"fsroot.ReadOnly", "", func(t *testing.T) afero.Fs { return fsroot.ReadOnly(filled(t)) }},
	{"BasePathFs", "`BasePathFs`", disk},
	{"MemMapFs", "`MemMapFs`", func(*testing.T) afero.Fs { return afero.NewMemMapFs() }},
	{"CopyOnWriteFs", "`CopyOnWriteFs`", func(t *testing.T) afero.Fs {
		return afero.NewCopyOnWriteFs(afero.NewReadOnlyFs(disk(t)), fsroot.NewMem())
	}},
	{"CacheOnReadFs", "`CacheOnReadFs`", func(t *testing.T) afero.Fs {
		return afero.NewCacheOnReadFs(disk(t), afero.NewMemMapFs(), time.Minute)
	}},
	{"ReadOnlyFs", "", func(t *testing.T) afero.Fs { return afero.NewReadOnlyFs(filled(t)) }},
}

// deviations holds what the storages do not do as miniftp's server expects: all verdicts Wrong, and those of
// required checks that are No. A change in a version of afero fails the test, and may allow simpler code in
// ftp/server/storage.go.
var deviations = map[string][]string{
	"s3": {
		"list the time that was set (minor): wrong", // unless the URL has times=exact
	},
	"BasePathFs": {
		"symlinks (optional): wrong", // Readlink returns the path on the host
	},
	"MemMapFs": {
		"ReadAt and wrong positions (minor): wrong",
		"keep a directory that is full (required): wrong",
		"refuse a missing directory (minor): wrong",
		"refuse a file as a directory (minor): wrong",
		"refuse to replace a directory (optional): wrong",
		"a FileInfo does not change (minor): wrong",
	},
	"CopyOnWriteFs": {
		"refuse an existing directory (minor): wrong",
		"refuse a missing directory (minor): wrong",
	},
	"CacheOnReadFs": {
		"ReadAt and wrong positions (minor): wrong",
		"write a file (required): no", // OpenFile creates no file, but Create does
		"create only a new file (O_EXCL) (required): no",
		"list 600 files in batches (required): wrong",
		"set the mode (minor): wrong",
		"a FileInfo does not change (minor): wrong",
	},
}

// onlyRead holds the storages that can't be written to.
var onlyRead = []string{"zip", "tar", "tar.gz", "fsroot.ReadOnly", "ReadOnlyFs"}

// TestStorages examines the storages, and compares the results with deviations and with the table in
// docs/storages.md.
func TestStorages(t *testing.T) {
	verdicts := map[string][]fstest.Result{}
	for _, s := range storages {
		t.Run(s.name, func(t *testing.T) {
			fsys := s.open(t)
			results := fstest.Examine(t.Context(), fsys)
			if slices.ContainsFunc(results, func(r fstest.Result) bool { return deadlocks(s.name, r.Err) }) {
				results = fstest.Examine(t.Context(), s.open(t))
			}
			verdicts[s.heading] = results
			var got []string
			for i, r := range results {
				if r.Name != fstest.Names()[i] {
					t.Errorf("result %d is %q, want %q", i, r.Name, fstest.Names()[i])
				}
				if r.Verdict == fstest.Wrong || r.Need == fstest.Required && r.Verdict == fstest.No {
					text, _, _ := strings.Cut(r.String(), ": "+r.Err.Error())
					got = append(got, text)
				}
				if (r.Err == nil) != (r.Verdict == fstest.Yes) {
					t.Errorf("%v has the error %v", r, r.Err)
				}
			}
			if !slices.Equal(got, deviations[s.name]) {
				t.Errorf("deviations:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(deviations[s.name], "\n"))
				for _, r := range results {
					t.Log(r)
				}
			}
			if readOnly := results[0].Verdict == fstest.No; readOnly != slices.Contains(onlyRead, s.name) {
				t.Errorf("read-only is %v: %v", readOnly, results[0])
			}
			if left, err := afero.ReadDir(s.open(t), "/"); err != nil || slices.ContainsFunc(left, func(fi fs.FileInfo) bool { return strings.HasPrefix(fi.Name(), ".") }) {
				t.Errorf("left at the top: %v, %v", left, err)
			}
		})
	}
	table(t, verdicts)
}

// deadlocks reports whether a storage did what happens to it now and then: two goroutines of a MemMapFs, of which one renames,
// can wait for each other for ever. The examination is then repeated.
func deadlocks(name string, err error) bool {
	return name == "MemMapFs" && err != nil && strings.Contains(err.Error(), "a method of the storage does not return")
}

// TestErrors checks which storages pass as a whole.
func TestErrors(t *testing.T) {
	for _, s := range storages {
		err := fstest.TestFS(s.open(t))
		if deadlocks(s.name, err) {
			err = fstest.TestFS(s.open(t))
		}
		switch {
		case slices.Contains(onlyRead, s.name):
			if !errors.Is(err, fstest.ErrReadOnly) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: TestFS returns %v", s.name, err)
			}
			if err := fstest.TestReadFS(s.open(t)); err != nil {
				t.Errorf("%s: TestReadFS returns %v", s.name, err)
			}
		case (err != nil) != (len(deviations[s.name]) > 0):
			t.Errorf("%s: TestFS returns %v", s.name, err)
		case err != nil && strings.Count(err.Error(), "\n")+1 != len(deviations[s.name]):
			t.Errorf("%s: TestFS returns %v, want %d errors", s.name, err, len(deviations[s.name]))
		}
	}
	if err := fstest.TestReadFS(fsroot.NewMem()); err == nil || !strings.Contains(err.Error(), "there is no file to read") {
		t.Errorf("TestReadFS of an empty storage returns %v", err)
	}
	mem := filled(t)
	if err := fstest.TestReadFS(mem); err != nil {
		t.Error(err)
	}
	if left, err := afero.ReadDir(mem, "/"); err != nil || len(left) != 2 {
		t.Errorf("TestReadFS changed the storage: %v, %v", left, err)
	}
}

var update = flag.Bool("update", false, "write the table of docs/storages.md anew")

// table compares the table in docs/storages.md with the verdicts, by heading.
func table(t *testing.T, verdicts map[string][]fstest.Result) {
	if runtime.GOOS != "linux" || t.Failed() {
		return // the table is that of Linux
	}
	const file, begin, end = "../../docs/storages.md", "<!-- storages: begin -->\n", "<!-- storages: end -->"
	doc, err := os.ReadFile(file)
	check(t, err)
	before, rest, ok := strings.Cut(string(doc), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no table", file)
	}
	var b strings.Builder
	b.WriteString("| ability | need |")
	line := "\n|---|---|"
	for _, s := range storages {
		if s.heading != "" {
			fmt.Fprintf(&b, " %s |", s.heading)
			line += "---|"
		}
	}
	b.WriteString(line + "\n")
	for i, name := range fstest.Names() {
		fmt.Fprintf(&b, "| %s | %s |", name, verdicts["directory"][i].Need)
		for _, s := range storages {
			if s.heading == "" {
				continue
			}
			if verdicts[s.heading] == nil { // a server for the test is missing
				fmt.Fprintf(&b, " %s |", cellOf(have, s.heading, name))
				continue
			}
			word := map[fstest.Verdict]string{fstest.Yes: "yes", fstest.No: "no", fstest.Wrong: "**wrong**", fstest.Skipped: ""}[verdicts[s.heading][i].Verdict]
			fmt.Fprintf(&b, " %s |", word)
		}
		b.WriteString("\n")
	}
	if have == b.String() {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is not what was measured (go test -update writes it):\n%s", file, b.String())
	}
	check(t, os.WriteFile(file, []byte(before+begin+b.String()+end+after), 0o644))
}

// cellOf returns a cell of a table in Markdown.
func cellOf(table, column, row string) string {
	at := -1
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if at < 0 {
			at = slices.Index(cells, " "+column+" ")
		}
		if at >= 0 && at < len(cells) && cells[1] == " "+row+" " {
			return strings.TrimSpace(cells[at])
		}
	}
	return ""
}
