package target

import (
	"path"
	"strings"
)

func Join(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// Base is the last component of a remote path.
func Base(p string) string { return path.Base(strings.TrimRight(p, "/")) }
