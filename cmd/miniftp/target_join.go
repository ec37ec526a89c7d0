package main

import (
	"path"
	"strings"
)

func joinRemote(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// base is the last component of a remote path.
func base(p string) string { return path.Base(strings.TrimRight(p, "/")) }
