package s3fs

import (
	"io/fs"
	"path"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

const (
	maxKey   = 1024       // the longest key of S3, in bytes
	reserved = ".miniftp" // the name that clients never see, also not with other letter cases: a store may be a disk that ignores them
)

// virtual returns a path in the form that errors show: absolute, clean, with slashes.
func virtual(name string) string { return path.Clean("/" + name) }

// checkName checks whether a component of a key can be a file name.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fs.ErrInvalid
	case !utf8.ValidString(name):
		return syscall.EILSEQ
	case strings.ContainsFunc(name, unicode.IsControl):
		return fs.ErrInvalid
	case strings.EqualFold(name, reserved):
		return fs.ErrPermission
	}
	return nil
}

// key returns the key of a path, which is "" for the root of a bucket without prefix. That of a directory has no
// slash at the end. A path that can't be a key is an error.
func (f *Fs) key(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", fs.ErrInvalid
	}
	rest := virtual(name)[1:]
	if rest == "" {
		return f.root, nil
	}
	for part := range strings.SplitSeq(rest, "/") {
		if err := checkName(part); err != nil {
			return "", err
		}
	}
	key := f.below(f.root) + rest
	if len(key) >= maxKey { // a directory has a slash more
		return "", syscall.ENAMETOOLONG
	}
	return key, nil
}

// below returns the prefix of the keys in the directory with that key.
func (f *Fs) below(key string) string {
	if key == "" {
		return ""
	}
	return key + "/"
}

// parent returns the key of the directory that contains key, which is not the root.
func parent(key string) string {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		return key[:i]
	}
	return ""
}

// base returns the last component of a key.
func base(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// child returns the name that a key, or a common prefix, has in a listing of the directory with that prefix. dir
// reports whether it is a directory. If ok is false, the key is not listed; odd reports that it can't be a path.
func child(prefix, key string) (name string, dir, ok, odd bool) {
	name, ok = strings.CutPrefix(key, prefix)
	if !ok || name == "" {
		return "", false, false, !ok // an empty name is the directory itself
	}
	name, dir = strings.CutSuffix(name, "/")
	if strings.EqualFold(name, reserved) {
		return "", false, false, false
	}
	if checkName(name) != nil || strings.Contains(name, "/") || len(key) > maxKey {
		return "", false, false, true
	}
	return name, dir, true, false
}
