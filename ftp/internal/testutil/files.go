package testutil

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"
)

// LongAgo is a modification time for files, in whole seconds.
var LongAgo = time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)

// Grow creates files with the given contents, by path. In the order of their paths, their times
// start at LongAgo and increase by a minute. A path that ends with a slash is a directory.
func Grow(t *testing.T, fsys afero.Fs, files map[string]string) {
	t.Helper()
	for i, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		name = "/" + strings.TrimPrefix(name, "/")
		if strings.HasSuffix(name, "/") {
			Must(t, fsys.MkdirAll(name, 0o755))
			continue
		}
		Plant(t, fsys, name, text, LongAgo.Add(time.Duration(i)*time.Minute))
	}
}

// Plant creates a file with the given time, and its missing directories.
func Plant(t *testing.T, fsys afero.Fs, name, content string, at time.Time) {
	t.Helper()
	Must(t, fsys.MkdirAll(path.Dir(name), 0o755))
	Must(t, afero.WriteFile(fsys, name, []byte(content), 0o644))
	Must(t, fsys.Chtimes(name, at, at))
}

// Shape returns everything below a directory, by relative path: the content of a file, "link" for
// a symbolic link, and "" for a directory, whose path ends with a slash.
func Shape(t *testing.T, fsys afero.Fs, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := afero.Walk(fsys, root, func(name string, info fs.FileInfo, err error) error {
		rel := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(name, root), "/"))
		switch {
		case err != nil || rel == "":
			return err
		case info.IsDir():
			all[rel+"/"] = ""
			return nil
		case info.Mode()&fs.ModeSymlink != 0:
			all[rel] = "link"
			return nil
		}
		b, err := afero.ReadFile(fsys, name)
		all[rel] = string(b)
		return err
	})
	Must(t, err)
	return all
}

// SameShape reports where two results of Shape differ.
func SameShape(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if have, ok := got[name]; !ok || have != text {
			t.Errorf("%q: exists %v, %d bytes, want %d", name, ok, len(have), len(text))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q should not exist", name)
		}
	}
}

// NamesIn returns the names in the root directory of a filesystem.
func NamesIn(t *testing.T, fsys afero.Fs) (all []string) {
	t.Helper()
	infos, err := afero.ReadDir(fsys, "/")
	Must(t, err)
	for _, info := range infos {
		all = append(all, info.Name())
	}
	return all
}

// Contents returns the content of a file. If the file cannot be read, the test fails but continues.
func Contents(t *testing.T, fsys afero.Fs, name string) string {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Errorf("%v", err)
	}
	return string(b)
}

// ManySmall returns n files of at most 250 bytes below /x for Grow, 250 in each directory.
func ManySmall(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("/x/%03d/%d", i/250, i)] = strings.Repeat(fmt.Sprint(i), i%50)
	}
	return files
}
