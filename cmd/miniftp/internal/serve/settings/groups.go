package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/users"
	"miniftp/ftp"
)

// notInGroups holds the keys of a user that a group can't set.
var notInGroups = []string{"password", "group"}

// fileGroups reads [groups.NAME], and checks the keys, also those of groups without users.
func (cf *Config) fileGroups() {
	if cf.file == nil {
		return
	}
	for _, k := range cf.file.keys {
		switch {
		case k.path[0] != "groups" || len(k.path) == 1 && k.value == nil:
		case len(k.path) == 1 || len(k.path) == 2 && k.value != nil:
			cf.wrongKey(k, "a group is a table: [groups.%s] with perm, root and so on", groupName(k))
		case len(k.path) == 2:
			cf.groups[k.path[1]] = append(cf.groups[k.path[1]], fileKey{}) // it exists, even if it is empty
		default:
			if cf.userKey(&Account{lines: map[any]int{}}, k) {
				cf.groups[k.path[1]] = append(cf.groups[k.path[1]], k)
			} else if len(k.path) == 5 && k.path[2] == mountsKey && k.path[4] == "root" {
				cf.badMounts[[2]string{k.path[1], k.path[3]}] = true
			}
		}
	}
}

// groupName returns the name of the group that k is in, or NAME if there is none.
func groupName(k fileKey) string {
	if len(k.path) < 2 {
		return "NAME"
	}
	return ftp.Printable(users.QuotedKey(k.path[1]))
}

// joinGroups gives the users of groups those keys of their groups that they don't have themselves.
func (cf *Config) joinGroups() {
	for _, a := range cf.Users {
		if a.Group == "" {
			continue
		}
		keys, ok := cf.groups[a.Group]
		if !ok {
			cf.BlameUser(a, &a.Group, fmt.Errorf("there is no [groups.%s]%s", ftp.Printable(users.QuotedKey(a.Group)), cf.knownGroups()))
			continue
		}
		cf.join(a, keys)
	}
}

// join gives a user those keys of the group that the user does not have.
func (cf *Config) join(a *Account, keys []fileKey) {
	own := map[string]bool{} // the mounts of the user, which replace those of the group at the same path
	for _, m := range a.Mounts {
		own[m.Path] = true
	}
	for _, k := range keys {
		if len(k.path) > 2 && k.path[2] == mountsKey {
			if len(k.path) > 3 && !own[k.path[3]] {
				cf.mountKey(a, k)
			}
			continue
		}
		for _, u := range userKeys(a) {
			own := a.lines[u.field] > 0 || u.field == any(&a.Perms) && a.Perms != nil // the users file may have it
			if k.path != nil && u.name == k.path[2] && !own {
				cf.userKey(a, k)
			}
		}
	}
}

// knownGroups returns the names of the groups, for a message.
func (cf *Config) knownGroups() string {
	if len(cf.groups) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(cf.groups))
	if len(names) > 8 {
		names = append(names[:8], "others")
	}
	return ": there are " + ftp.Printable(strings.Join(names, ", "))
}
