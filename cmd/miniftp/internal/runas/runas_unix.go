//go:build unix

package runas

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const supported = true

var errUnsupported = errors.New("is not supported on this system")

// Possible reports whether the process may become u: it is root. If it is u already, there is nothing to do. Otherwise
// Possible returns an error.
func (u *User) Possible() (needed bool, err error) {
	switch id := os.Geteuid(); {
	case id == 0:
		return true, nil
	case id == u.UID && os.Getuid() == u.UID:
		return false, nil
	default:
		return false, fmt.Errorf("%q: only root can become another user, but this is user %d: start it as root, or without this setting", u.Name, id)
	}
}

// Do calls f while the process has the effective user and the groups of u. The process must be root, and nothing else may
// use files meanwhile.
func (u *User) Do(f func() error) (err error) {
	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	gid := os.Getegid()
	defer func() {
		// In this order: only root can change the groups.
		if back := errors.Join(syscall.Setreuid(-1, 0), syscall.Setregid(-1, gid), syscall.Setgroups(groups)); back != nil {
			err = errors.Join(err, fmt.Errorf("can't become root again: %w", back))
		}
	}()
	if err := errors.Join(syscall.Setgroups(u.Groups), syscall.Setregid(-1, u.GID), syscall.Setreuid(-1, u.UID)); err != nil {
		return fmt.Errorf("can't become user %s: %w", u.Name, err)
	}
	return f()
}

// Drop makes the process that of u, for good, in all threads. If it returns an error, the process must end: it may have
// some of its privileges.
func (u *User) Drop() error {
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("can't take the groups of user %s: %w", u.Name, err)
	}
	if err := syscall.Setgid(u.GID); err != nil {
		return fmt.Errorf("can't take the group %d: %w", u.GID, err)
	}
	if err := syscall.Setuid(u.UID); err != nil {
		return fmt.Errorf("can't become user %s: %w", u.Name, err)
	}
	if os.Getuid() != u.UID || os.Geteuid() != u.UID || os.Getgid() != u.GID || os.Getegid() != u.GID {
		return fmt.Errorf("the process did not become user %s", u.Name)
	}
	// With a capability that was kept, for example, these would succeed.
	if syscall.Setuid(0) == nil || syscall.Setreuid(-1, 0) == nil || u.GID != 0 && syscall.Setgid(0) == nil {
		return fmt.Errorf("user %s can become root again, so nothing is gained: does the process keep capabilities?", u.Name)
	}
	return nil
}

// Append opens a file for appending as u, and creates it if it is missing. If u may not create files there, root creates
// the file for u, provided that u can't change the path: otherwise u could have put a link there. The process must be root.
func (u *User) Append(name string, perm fs.FileMode) (f *os.File, err error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK
	err = u.Do(func() (err error) {
		f, err = os.OpenFile(name, flags, perm)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		return f, err
	}
	if _, exists := os.Lstat(name); exists == nil {
		return nil, fmt.Errorf("user %s, as whom the server runs, may not write to it: change its owner", u.Name)
	}
	if !u.fixed(filepath.Dir(name)) {
		return nil, fmt.Errorf("user %s, as whom the server runs, may not create it", u.Name)
	}
	if f, err = os.OpenFile(name, flags|os.O_EXCL, perm); err != nil {
		return nil, err
	}
	if err = f.Chown(u.UID, u.GID); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// fixed reports whether dir and all directories that contain it belong to root, and u may not change them. A sticky
// directory such as /tmp may contain dir, because u can't replace there what belongs to root.
func (u *User) fixed(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for inner := false; ; inner = true {
		fi, err := os.Lstat(dir)
		if err != nil {
			return false
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		mode := fi.Mode()
		writable := mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && slices.Contains(u.Groups, int(st.Gid))
		if st.Uid != 0 || !mode.IsDir() || writable && !(inner && mode&fs.ModeSticky != 0) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

// Directory makes a directory for u, with mode 0700, or gives u an existing one of root. u must not be able to put a link
// there.
func (u *User) Directory(dir string) error {
	if !u.fixed(filepath.Dir(dir)) {
		return fmt.Errorf("%s: user %s can change the path", dir, u.Name)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !fi.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case !ok || st.Uid != 0:
		return nil
	}
	return os.Lchown(dir, u.UID, u.GID)
}
