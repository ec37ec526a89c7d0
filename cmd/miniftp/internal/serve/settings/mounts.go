package settings

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot/mountfs"
	"miniftp/ftp"
)

// maxMounts limits the mounts of a user, because each of them is opened at a login and looked at for each path.
const maxMounts = 100

// Mount is a storage that a user sees at a directory of its own: [users.NAME.mounts].
type Mount struct {
	Path       string   // of the directory
	Root       string   // as it is written, with placeholders
	Perms      []string // nil: those of the user
	Quota      int64    // bytes, 0 for no limit
	QuotaFiles int64    // 0 for no limit

	rootless error // why the name of the user can't be in Root
}

// Tree is a storage that a user sees: the root, or that of a mount.
type Tree struct {
	*Account
	Mount *Mount // nil: the root

	template string // what names it, as it is written
	spec     string // what names it, with the names of the user and the group
	cf       *Config
}

func (cf *Config) tree(a *Account, m *Mount, template string) Tree {
	return Tree{Account: a, Mount: m, template: template, spec: expand(template, a), cf: cf}
}

// Trees returns the storages that a user sees: the root, and the mounts in their order.
func (cf *Config) Trees(a *Account) []Tree {
	all := []Tree{cf.tree(a, nil, cf.Template(a))}
	for _, m := range a.Mounts {
		if m.rootless == nil && m.Root != "" {
			all = append(all, cf.tree(a, m, m.Root))
		}
	}
	return all
}

// AllTrees returns the storages of Everybody. The caller must not change them.
func (cf *Config) AllTrees() []Tree { return cf.trees }

// Spec returns the storage of the tree, for fsroot.Open and the like.
func (t Tree) Spec() string { return t.spec }

// Storage names what is opened for the tree. Trees on demand in a bucket share that.
func (t Tree) Storage() string {
	if base, _, ok := t.OnDemand(); ok && !storage.IsDirectory(t.template) {
		return base
	}
	return t.Spec()
}

// Perms returns what the user may do there.
func (t Tree) Perms() []string {
	if t.Mount != nil && t.Mount.Perms != nil {
		return t.Mount.Perms
	}
	return t.Account.Perms
}

// Writes reports whether the user may change anything there.
func (t Tree) Writes() bool { return writes(t.Perms()) }

// Field returns the pointer to the field that names the storage, for UserFrom and LocatedUser.
func (t Tree) Field() any {
	if t.Mount != nil {
		return &t.Mount.Root
	}
	return &t.Account.Root
}

// PermField is like Field for the permissions.
func (t Tree) PermField() any {
	if t.Mount != nil && t.Mount.Perms != nil {
		return &t.Mount.Perms
	}
	return &t.Account.Perms
}

// Owner returns whose tree it is, for messages: user alice, or user alice: mount /in, or users of --auth.
func (t Tree) Owner() string {
	if t.Mount == nil {
		return t.who()
	}
	return t.who() + ": mount " + ftp.Printable(t.Mount.Path)
}

// checkName finds out whether the name of the user can be in the root of the mount.
func (m *Mount) checkName(a *Account) { m.rootless = checkName(a, m.Root) }

// Rootless returns why the name of the user can't be in the root of the mount, or nil.
func (m *Mount) Rootless() error { return m.rootless }

// mount returns the mount of a user at a path. If there is none, it adds one.
func (a *Account) mount(path string) *Mount {
	for _, m := range a.Mounts {
		if m.Path == path {
			return m
		}
	}
	m := &Mount{Path: path}
	a.Mounts = append(a.Mounts, m)
	return m
}

// mountKeys returns the keys of a mount.
func mountKeys(m *Mount) []userKey {
	return []userKey{
		{field: &m.Root, name: "root", root: true, set: setText(&m.Root), doc: "what is mounted: a directory or another storage, as in the `root` of a user; `{user}` and `{group}` in it are replaced", otherwise: "none: it must be set"},
		{field: &m.Perms, name: "perm", set: setPerms(&m.Perms), shown: func() any {
			if m.Perms == nil {
				return nil
			}
			return May(m.Perms)
		}, doc: "what the user may do there, as in the `perm` of a user", otherwise: "the `perm` of the user"},
		{field: &m.Quota, name: "quota", set: setBytes(&m.Quota), shown: unlessZero(&m.Quota), doc: "how many bytes the files below it may have together", otherwise: "no limit"},
		{field: &m.QuotaFiles, name: "quota-files", set: setCount(&m.QuotaFiles), shown: unlessZero(&m.QuotaFiles), doc: "how many files may be below it", otherwise: "no limit"},
	}
}

// mountKey reads a key of [users.NAME.mounts] or of that of a group, and reports whether it has no mistake.
func (cf *Config) mountKey(a *Account, k fileKey) bool {
	if len(k.path) == 3 {
		return true
	}
	path := k.path[3]
	if err := mountfs.CheckPath(path); err != nil {
		cf.wrongKey(k, "a storage can't be mounted there: %v", err)
		return false
	}
	m := a.mount(path)
	if a.lines[m] == 0 {
		a.lines[m] = k.line
	}
	switch {
	case len(k.path) == 4 && k.value == nil:
		return true
	case len(k.path) == 4:
		root, perm, err := shortMount(k.value)
		a.lines[&m.Root] = k.line
		if err != nil {
			cf.wrongKey(k, "%v", err)
			return false
		}
		m.Root = cf.Beside(root)
		if perm != "" {
			m.Perms = presets[perm]
			a.lines[&m.Perms] = k.line
		}
		return true
	}
	return cf.keyOf(a, mountKeys(m), "mount", k, 4)
}

// anyPerm matches the end of a root that looks like a permission.
var anyPerm = regexp.MustCompile(`:([a-z]{1,6})$`)

// shortMount splits ROOT[:PERM].
func shortMount(raw any) (root, perm string, err error) {
	s, ok := raw.(string)
	if !ok || s == "" {
		return "", "", errors.New(`a mount is "ROOT", "ROOT:PERM" or a table: { root = "…", perm = "ro" }`)
	}
	end := anyPerm.FindStringSubmatch(s)
	switch {
	case end == nil:
		return s, "", nil
	case presets[end[1]] == nil:
		return "", "", fmt.Errorf(`%q ends in :%s, which is no permission: write :ro, :rw or :drop, or { root = "…" } if it is a part of the name`, ftp.MaskURL(s), end[1])
	case len(end[0]) == len(s):
		return "", "", errors.New("there is no root before the permission")
	}
	return s[:len(s)-len(end[0])], end[1], nil
}

// checkMounts records mistakes in the mounts of the users, and in those of the groups, in each of which an external user may be.
func (cf *Config) checkMounts() {
	all := slices.Clone(cf.Users)
	if cf.AsksOthers() {
		for _, group := range slices.Sorted(maps.Keys(cf.groups)) {
			all = append(all, cf.externalUser(anyUser, group))
		}
	}
	seen := map[int]bool{} // lines of mistakes, which may be those of a group that many users have
	for _, a := range all {
		if n := len(a.Mounts); n > maxMounts {
			if m := a.Mounts[n-1]; !seen[a.lines[m]] {
				seen[a.lines[m]] = true
				cf.Problem(cf.LocatedUser(a, m, verb.Usagef("%s: there are %d mounts, but at most %d are possible", a.who(), n, maxMounts)))
			}
		}
		for _, m := range a.Mounts {
			cf.checkMount(a, m, seen)
		}
	}
}

func (cf *Config) checkMount(a *Account, m *Mount, seen map[int]bool) {
	if m.Root == "" {
		if a.lines[&m.Root] == 0 && !seen[a.lines[m]] && !cf.badMounts[[2]string{a.Group, m.Path}] { // else the mistake in it is recorded already
			seen[a.lines[m]] = true
			cf.Problem(cf.LocatedUser(a, m, verb.Usagef("%s: mount %s has no root", a.who(), ftp.Printable(m.Path))))
		}
		return
	}
	line := a.lines[&m.Root]
	if err := checkTemplate(m.Root); err != nil {
		if !seen[line] {
			cf.Problem(cf.LocatedUser(a, &m.Root, verb.Usagef("%s: mount %s: %v", a.who(), ftp.Printable(m.Path), err)))
		}
		seen[line] = true
		return
	}
	if m.checkName(a); m.rootless != nil {
		cf.Warn("%s: %s: mount %s can't be opened: %v", cf.UserFrom(a, &m.Root), a.who(), ftp.Printable(m.Path), m.rootless)
	}
}

// showMounts returns the lines of config show for the mounts of a user.
func (cf *Config) showMounts(a *Account) (all []Shown) {
	for _, m := range a.Mounts {
		for _, k := range mountKeys(m) {
			v := any(ftp.MaskURL(expand(m.Root, a)))
			if !k.root {
				v = k.shown()
			}
			if v != nil {
				key := "users." + users.QuotedKey(a.Name) + ".mounts." + users.QuotedKey(m.Path) + "." + k.name
				all = append(all, Shown{Key: key, Value: v, From: cf.UserFrom(a, k.field)})
			}
		}
	}
	return all
}

// writes reports whether permissions let a user change anything.
func writes(perms []string) bool {
	return slices.ContainsFunc(perms, func(perm string) bool { return !slices.Contains(presets["ro"], perm) })
}

// May returns what permissions permit: ro, rw, drop, or a list.
func May(perms []string) string {
	for word, preset := range presets {
		if slices.Equal(preset, perms) {
			return word
		}
	}
	return strings.Join(perms, ", ")
}
