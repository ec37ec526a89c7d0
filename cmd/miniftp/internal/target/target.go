// Package target is how a command line names things on a server: URLs, patterns, and paths
// below them. The rules of URLs are those of ftp.ParseURL.
//
// It stands on verb, for its errors. It dials nothing.
package target

import (
	"path"
	"strings"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Parse parses a URL; an error is one of usage.
func Parse(s string) (*ftp.URL, error) {
	u, err := ftp.ParseURL(s)
	if err != nil {
		return nil, verb.Usagef("%v", err)
	}
	return u, nil
}

// NamesSeveral reports whether the path of the URL is a pattern. The host, the user and the
// password are not looked at: [::1] is no pattern.
func NamesSeveral(url string) bool {
	u, err := ftp.ParseURL(url)
	return err == nil && u.Pattern != ""
}

// Join returns the path of a name in a remote directory; "" is that of the login.
func Join(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// Base returns the last component of a remote path.
func Base(p string) string { return path.Base(strings.TrimRight(p, "/")) }
