// Package runas gives the process to another user: for a moment, or for good.
//
// It uses the user database of the system, and does not know what the process does. On Windows, where a service has an
// account of its own, it returns errors.
package runas

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// User is a user whom this process can become.
type User struct {
	Name     string // as it was written, without the group
	UID, GID int
	Groups   []int  // all groups, GID included
	Home     string // "" if unknown
}

// Lookup returns the user that USER[:GROUP] names. Both may be numbers, which need not be in the user database. With a GROUP,
// the user has no other group; without one, those of the database.
func Lookup(spec string) (*User, error) {
	if !supported {
		return nil, errUnsupported
	}
	name, group, hasGroup := strings.Cut(spec, ":")
	if name == "" || hasGroup && group == "" {
		return nil, fmt.Errorf("%q: write USER or USER:GROUP", spec)
	}
	u := &User{Name: name}
	found, err := find(name)
	switch {
	case err == nil:
		u.UID, u.Home = number(found.Uid), found.HomeDir
		u.GID = number(found.Gid)
	case number(name) < 0:
		return nil, fmt.Errorf("%q: there is no such user", name)
	case !hasGroup:
		return nil, fmt.Errorf("%q: there is no such user, so write USER:GROUP", name)
	default:
		u.UID = number(name)
	}
	if hasGroup {
		if u.GID, err = findGroup(group); err != nil {
			return nil, err
		}
		u.Groups = []int{u.GID}
	} else if err := u.addGroups(found); err != nil {
		return nil, err
	}
	if u.UID == 0 {
		return nil, fmt.Errorf("%q is root: name another user", name)
	}
	return u, nil
}

// find returns the user of a name or number.
func find(name string) (*user.User, error) {
	found, err := user.Lookup(name)
	if err != nil && number(name) >= 0 {
		found, err = user.LookupId(name)
	}
	if err == nil && (number(found.Uid) < 0 || number(found.Gid) < 0) {
		err = errors.New("has no number")
	}
	return found, err
}

func findGroup(name string) (gid int, err error) {
	if g, err := user.LookupGroup(name); err == nil && number(g.Gid) >= 0 {
		return number(g.Gid), nil
	}
	if n := number(name); n >= 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%q: there is no such group", name)
}

// addGroups sets the groups of u to those of the database.
func (u *User) addGroups(found *user.User) error {
	u.Groups = []int{u.GID}
	ids, err := found.GroupIds()
	if err != nil {
		return fmt.Errorf("%q: its groups are unknown: %w; write USER:GROUP", u.Name, err)
	}
	for _, id := range ids {
		if n := number(id); n >= 0 && n != u.GID {
			u.Groups = append(u.Groups, n)
		}
	}
	return nil
}

// number returns the number of a user or group, or -1 if s is not one. The largest number means "no change" to the kernel.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || int64(n) >= 1<<32-1 {
		return -1
	}
	return n
}
