package settings

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/ftp"
)

// This file has what the settings mean for external users: those who are not in the configuration, and whom another source of
// --auth has accepted.

// anyUser is used as the name of an external user while that is not known. No real user is likely to have it.
const anyUser = "users of --auth"

// ExternalUsers returns the accounts that an external user of that name could have, one for each root and set of mounts: without
// a group, and in each of [groups]. They may do everything. There are none if no source is asked. With an empty name, they
// represent all external users.
func (cf *Config) ExternalUsers(name string) []*Account {
	if name == "" {
		return cf.external
	}
	return cf.externalUsers(name)
}

func (cf *Config) externalUsers(name string) (all []*Account) {
	if !cf.AsksOthers() {
		return nil
	}
	seen := map[string]bool{}
	for _, group := range slices.Concat([]string{""}, slices.Sorted(maps.Keys(cf.groups))) {
		a := cf.externalUser(name, group)
		if cf.checkNames(a) != nil {
			continue
		}
		var key strings.Builder
		for _, t := range cf.Trees(a) {
			at := ""
			if t.Mount != nil {
				at = t.Mount.Path
			}
			key.WriteString(at + "\x00" + t.spec + "\x00" + May(t.Perms()) + "\x00")
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			all = append(all, a)
		}
	}
	return all
}

// externalUser returns the account of an external user in a group, or without one.
func (cf *Config) externalUser(name, group string) *Account {
	a := &Account{Name: name, Group: group, from: cf.Label(&cf.Auth), lines: map[any]int{}}
	cf.join(a, cf.groups[group])
	a.Perms = permissions
	return a
}

// Everybody returns all users: those of the configuration and ExternalUsers.
func (cf *Config) Everybody() []*Account { return slices.Concat(cf.Users, cf.external) }

// ExternalRoot returns a root in which a file could be, if a source accepted a user with the right name.
func (cf *Config) ExternalRoot(file string) (root string, ok bool) {
	if len(cf.byUser) == 0 {
		return "", false
	}
	in := parsePattern(file)
	for _, r := range cf.byUser {
		if r.pattern.mayHold(in) {
			return r.tree.template, true
		}
	}
	return "", false
}

// externalRoot is a root of external users whose directory depends on their name.
type externalRoot struct {
	tree    Tree
	pattern pattern
	writes  bool
	abs     string // the template as an absolute path; "" if it is not a directory
	prefix  string // what precedes the first placeholder in abs
}

// externalRoots returns the roots of external users, also of their mounts, one for each way in which one is written.
func (cf *Config) externalRoots() (all []externalRoot) {
	seen := map[string]int{}
	for _, a := range cf.external {
		for _, t := range cf.Trees(a) {
			key := t.template + "\x00" + t.spec
			if i, ok := seen[key]; ok {
				all[i].writes = all[i].writes || t.Writes()
				continue
			}
			seen[key] = len(all)
			r := externalRoot{tree: t, pattern: parsePattern(t.template), writes: t.Writes()}
			if storage.IsDirectory(t.template) {
				if abs, err := filepath.Abs(t.template); err == nil {
					r.abs = abs
					r.prefix = abs[:len(abs)-len(placeholderAndRest(abs))]
				}
			}
			all = append(all, r)
		}
	}
	return all
}

// placeholderAndRest returns what begins with the first placeholder in s.
func placeholderAndRest(s string) string {
	if at := placeholders.FindStringIndex(s); at != nil {
		return s[at[0]:]
	}
	return ""
}

// Outer returns the directories that may contain the tree, in which an external user of the same name may write. AllTrees has
// them only for a user whose name is not known.
func (t Tree) Outer() (dirs []string) {
	if len(t.cf.byUser) == 0 || !storage.IsDirectory(t.template) {
		return nil
	}
	add := func(dir string) {
		if dir != t.spec && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	abs, err := filepath.Abs(t.spec)
	for _, r := range t.cf.byUser {
		if !r.writes || err != nil || r.abs == "" || !strings.HasPrefix(abs, r.prefix) {
			continue
		}
		dir := expand(r.abs, &Account{Name: t.Name, Group: r.tree.Group})
		if strings.HasPrefix(abs, dir+string(filepath.Separator)) {
			add(dir)
		}
	}
	if t.cf.User(t.Name) != t.Account { // else AllTrees has them
		for _, own := range t.cf.Trees(t.Account) { // a link may lead from one to the other
			if storage.IsDirectory(own.template) && strings.Contains(own.template, "{user}") && (own.Mount == nil || own.Mount.Perms == nil || own.Writes()) {
				add(own.spec)
			}
		}
	}
	return dirs
}

// OfAnyName reports whether the tree is the one of an external user whose name is not known.
func (t Tree) OfAnyName() bool { return t.Name == anyUser && strings.Contains(t.template, "{user}") }

// Who returns the name of the user, or a name for external users, for messages.
func (a *Account) Who() string {
	if a.Name == anyUser && a.Group != "" {
		return anyUser + " in group " + ftp.Printable(a.Group)
	}
	return a.shown()
}

// who is like Who, but says that a name is that of a user.
func (a *Account) who() string {
	if a.Name == anyUser {
		return a.Who()
	}
	return "user " + a.shown()
}

// ShownRoot returns a root, or text with one, for messages: with {user} in place of the name of external users, which is not known.
func ShownRoot(text string) string { return ftp.Printable(strings.ReplaceAll(text, anyUser, "{user}")) }
