package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Join returns the name of what has the path rel, with slashes, in the directory dir. Unlike filepath.Join it keeps a ".." in
// dir: if a link is before it, the system goes to the directory above the link's target.
func Join(dir, rel string) string {
	rel = filepath.FromSlash(rel)
	switch {
	case rel == "":
		return dir
	case !goesUp(dir):
		return filepath.Join(dir, rel)
	case os.IsPathSeparator(dir[len(dir)-1]):
		return dir + rel
	}
	return dir + string(os.PathSeparator) + rel
}

// Abs is like filepath.Abs, but if name has a "..", links before it are resolved first, as the system does. The end of name need
// not exist.
func Abs(name string) (string, error) {
	if goesUp(name) {
		name = resolved(name)
	}
	return filepath.Abs(name)
}

// resolved returns name with its links resolved, as far as it exists.
func resolved(name string) string {
	if found, err := filepath.EvalSymlinks(name); err == nil {
		return found
	}
	end := len(name)
	for end > 0 && os.IsPathSeparator(name[end-1]) {
		end--
	}
	dir, last := filepath.Split(name[:end])
	if dir == "" || last == "" || last == ".." {
		return name
	}
	return filepath.Join(resolved(dir), last)
}

// goesUp reports whether a name has the component "..".
func goesUp(name string) bool {
	return slices.Contains(strings.FieldsFunc(name, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }), "..")
}
