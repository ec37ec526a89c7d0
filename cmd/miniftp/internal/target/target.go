// Package target parses the URLs and patterns in command lines, and joins remote paths. The rules for URLs are
// those of ftp.ParseURL; package storage knows those of storages.
package target

import (
	"path"
	"strings"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Parse parses the URL of a server. Its errors are usage errors.
func Parse(s string) (*ftp.URL, error) {
	u, err := ftp.ParseURL(s)
	if err != nil {
		return nil, verb.Usagef("%v", err)
	}
	return u, nil
}

// NamesSeveral reports whether the path of the URL is a pattern. Characters in the host, the user or the
// password do not matter: [::1] is not a pattern.
func NamesSeveral(url string) bool {
	r, err := ParseRemote(url)
	return err == nil && r.Pattern != ""
}

// Join returns the path of a name in a remote directory. "" is the login directory.
func Join(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// Base returns the last component of a remote path.
func Base(p string) string { return path.Base(strings.TrimRight(p, "/")) }
