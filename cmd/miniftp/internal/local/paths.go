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

// Abs is like filepath.Abs, but if name has a "..", links before it are resolved first, as the system does.
func Abs(name string) (string, error) {
	if goesUp(name) {
		if found, err := filepath.EvalSymlinks(name); err == nil {
			name = found
		}
	}
	return filepath.Abs(name)
}

// goesUp reports whether a name has the component "..".
func goesUp(name string) bool {
	return slices.Contains(strings.FieldsFunc(name, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }), "..")
}
