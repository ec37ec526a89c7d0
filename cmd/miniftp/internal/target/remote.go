package target

import (
	"strings"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Remote is what a client verb works on: a path on a server, or in a storage such as a bucket.
type Remote struct {
	// URL is that of the server. A storage has only a Path, Pattern and ASCII, and its scheme; the Path is
	// absolute, and the Addr is that of its bridge, once there is one.
	ftp.URL
	Storage string // the storage, for storage.Open; "" for a server

	place storage.Place
	given string
}

// ParseRemote parses the URL of a server or of a storage. Its errors are usage errors.
func ParseRemote(s string) (*Remote, error) {
	if !storage.Is(s) {
		u, err := Parse(s)
		if name, _, ok := strings.Cut(s, "://"); err != nil && ok && ftp.DefaultPort(strings.ToLower(name)) == "" {
			return nil, verb.Usagef("%v, and storages: %s", err, storage.URLs())
		}
		if err != nil {
			return nil, err
		}
		return &Remote{URL: *u}, nil
	}
	place, err := storage.Split(s)
	if err != nil {
		return nil, err
	}
	// Paths follow the same rules in all URLs. Those in a storage are absolute.
	u, err := Parse("ftp://storage//" + place.Path)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(s, ":")
	u.Scheme, u.Addr = strings.ToLower(name), ""
	return &Remote{URL: *u, Storage: place.Root, place: place, given: s}, nil
}

// Join returns the URL of path p on the same server or in the same storage, without the password.
func (r *Remote) Join(p string) string {
	if r.Storage == "" {
		return r.URL.Join(p)
	}
	return r.JoinEscaped(ftp.PathEscape(p))
}

// JoinEscaped is like Join for a path in which the special characters of URLs are escaped, except wildcards.
func (r *Remote) JoinEscaped(p string) string {
	rest, absolute := strings.CutPrefix(p, "/")
	switch {
	case r.Storage != "":
		return r.place.Head + rest + r.place.Tail
	case absolute:
		return r.URL.Server() + "/%2F" + rest
	}
	return r.URL.Server() + "/" + rest
}

// Around returns what precedes and follows the path in a URL of the same server or storage.
func (r *Remote) Around() (head, tail string) {
	if r.Storage == "" {
		return r.URL.Server() + "/", ""
	}
	return r.place.Head, r.place.Tail
}

// String returns the URL without its password.
func (r *Remote) String() string { return r.Join(r.Path) }

// Given returns the URL with its path as it was given, without the password.
func (r *Remote) Given() string {
	if r.Storage == "" {
		return r.URL.Given()
	}
	return ftp.MaskURL(r.given)
}

// Server returns the URL of the server, or the name of the storage, without a path.
func (r *Remote) Server() string {
	if r.Storage == "" {
		return r.URL.Server()
	}
	return r.Storage
}

// SameServer reports whether both can use the same connection.
func (r *Remote) SameServer(o *Remote) bool {
	return r.Storage == o.Storage && (r.Storage != "" || r.URL.SameServer(&o.URL))
}

// SameTree reports whether both are on the same server, whatever the user, or in the same storage.
func (r *Remote) SameTree(o *Remote) bool {
	return r.Storage == o.Storage && (r.Storage != "" || r.Addr == o.Addr)
}

// SameLogin reports whether both are on the same server for the same user, or in the same storage.
func (r *Remote) SameLogin(o *Remote) bool {
	return r.SameTree(o) && r.Scheme == o.Scheme && r.User == o.User
}
