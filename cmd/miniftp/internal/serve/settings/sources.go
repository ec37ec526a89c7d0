package settings

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// This file has what the settings mean for users who are in none of them, because another source of --auth has accepted them.

// FileSource names the source of --auth that consists of the users of the configuration.
const FileSource = "file"

// Sources returns the sources of --auth, in order.
func (cf *Config) Sources() []string {
	if len(cf.Auth) == 0 {
		return []string{FileSource}
	}
	return cf.Auth
}

// AsksOthers reports whether users who are not in the configuration may log in.
func (cf *Config) AsksOthers() bool {
	return slices.ContainsFunc(cf.Auth, func(s string) bool { return s != FileSource })
}

// checkSources records mistakes in --auth.
func (cf *Config) checkSources() {
	seen := map[string]bool{}
	for _, s := range cf.Auth {
		if seen[s] {
			cf.Wrong(&cf.Auth, "%q: named twice", ftp.Printable(ftp.MaskURL(s)))
		}
		seen[s] = true
	}
	if len(cf.Auth) == 0 && cf.Given(&cf.Auth) {
		cf.Wrong(&cf.Auth, "is empty: name a source, such as %s", FileSource)
	}
	if len(cf.Auth) > 0 && !seen[FileSource] && len(cf.Users) > 0 {
		a := cf.Users[0]
		cf.Wrong(&cf.Auth, "does not name %s, so user %s (%s) could not log in: add %s, or remove the users", FileSource, a.shown(), a.from, FileSource)
	}
	cf.checkOverlaps()
}

// notInAnswers holds the keys of a user that a source can't set. It can set neither the root nor mounts, so that an answer
// never opens what the configuration does not.
var notInAnswers = []string{"password", "root", mountsKey}

// Accepted returns the account of a user whom a source has accepted, with those keys of [users.NAME]. The group, the root and
// the mounts are those of the configuration.
func (cf *Config) Accepted(name string, keys map[string]any) (*Account, error) {
	a := &Account{Name: name, lines: map[any]int{}}
	all := userKeys(a)
	for _, key := range slices.Sorted(maps.Keys(keys)) { // so that the same mistake is always the first
		i := slices.IndexFunc(all, func(u userKey) bool { return u.name == key && !slices.Contains(notInAnswers, key) })
		if i < 0 {
			return nil, fmt.Errorf("key %q is not one that a source can set", key)
		}
		if err := all[i].set(keys[key]); err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		a.lines[all[i].field] = 1 // so that the group does not set it
	}
	if a.Group != "" {
		group, ok := cf.groups[a.Group]
		if !ok {
			return nil, fmt.Errorf("key group: there is no [groups.%s]", users.QuotedKey(a.Group))
		}
		cf.join(a, group)
	}
	if a.Perms == nil {
		a.Perms = presets["ro"]
	}
	a.rootless = cf.checkNames(a)
	return a, nil
}

// checkNames finds out whether the name of a user can be in the roots of the mounts, and returns why it can't be in that of the
// user, or nil.
func (cf *Config) checkNames(a *Account) error {
	for _, m := range a.Mounts {
		m.checkName(a)
	}
	return checkName(Tree{Account: a, template: cf.Template(a)})
}

// stranger is used as the name of a user whom a source may accept. No real user is likely to have it.
const stranger = "users of --auth"

// Strangers returns the accounts that a source could give a user of that name, one for each root and set of
// mounts that they can have: without a group, and in each of [groups]. They may do everything. There are none if no source is asked. With an empty name, they
// represent all users whom a source may accept.
func (cf *Config) Strangers(name string) (all []*Account) {
	if !cf.AsksOthers() {
		return nil
	}
	if name == "" {
		name = stranger
	}
	for _, group := range slices.Concat([]string{""}, slices.Sorted(maps.Keys(cf.groups))) {
		a := &Account{Name: name, Group: group, from: cf.Label(&cf.Auth), lines: map[any]int{}}
		cf.join(a, cf.groups[group])
		a.Perms = permissions
		same := func(other *Account) bool { return slices.EqualFunc(cf.Trees(other), cf.Trees(a), sameTree) }
		if cf.checkNames(a) == nil && !slices.ContainsFunc(all, same) {
			all = append(all, a)
		}
	}
	return all
}

// sameTree reports whether two trees have the same storage and place.
func sameTree(t, u Tree) bool {
	return t.Spec() == u.Spec() && (t.Mount == nil) == (u.Mount == nil) && (t.Mount == nil || t.Mount.Path == u.Mount.Path)
}

// Everybody returns all users: those of the configuration and Strangers.
func (cf *Config) Everybody() []*Account { return slices.Concat(cf.Users, cf.Strangers("")) }

// StrangersRoot returns a root in which a file could be, if a source accepted a user with the right name.
func (cf *Config) StrangersRoot(file string) (root string, ok bool) {
	for _, a := range cf.Strangers("") {
		for _, t := range cf.Trees(a) {
			if placeholders.MatchString(t.template) && mayHold(t.template, file) {
				return t.template, true
			}
		}
	}
	return "", false
}

// checkOverlaps records roots, also of mounts, in which a user whom a source accepts could have the files of another user,
// because the name chooses a directory that is also, or leads to, the root of that one. With roots /srv/{user} and
// /srv/staff/{user}, a user with the name staff would own the roots of the others.
func (cf *Config) checkOverlaps() {
	var strangers []Tree // one for each way in which a root is written
	for _, a := range cf.Strangers("") {
		if err := checkTemplate(cf.Template(a)); err != nil {
			cf.Problem(cf.LocatedUser(a, &a.Root, err))
		}
		for _, t := range cf.Trees(a) {
			if !slices.ContainsFunc(strangers, func(u Tree) bool { return u.template == t.template }) {
				strangers = append(strangers, t)
			}
		}
	}
	for _, t := range strangers {
		if !placeholders.MatchString(t.template) {
			continue // package fsroot knows of such roots
		}
		for _, u := range strangers {
			if !isIn(u.template, t.template) { // else the two belong to the same user
				cf.checkOverlap(t, u.template)
			}
		}
		for _, a := range cf.Users {
			for _, u := range cf.Trees(a) {
				if !isIn(u.Spec(), expand(t.template, a)) { // else only a user of the same name would have it
					cf.checkOverlap(t, u.Spec())
				}
			}
		}
	}
}

// isIn reports whether a root is written as another one or as a directory in that.
func isIn(root, outer string) bool {
	return root == outer || strings.HasPrefix(root, strings.TrimSuffix(outer, "/")+"/")
}

func (cf *Config) checkOverlap(outer Tree, inner string) {
	if !mayHold(outer.template, inner) {
		return
	}
	err := verb.Usagef("the root %s can be the same as, or in, a root %s of a user whom a source of --auth accepts: use separate directories",
		ftp.Printable(ftp.MaskURL(inner)), ftp.Printable(ftp.MaskURL(outer.template)))
	if a := outer.Account; a.lines[outer.Field()] > 0 {
		cf.Problem(cf.LocatedUser(a, outer.Field(), err))
		return
	}
	cf.Blame(&cf.Root, err)
}

// mayHold reports whether names for the placeholders could make inner the same as outer, or a directory in it.
func mayHold(outer, inner string) bool {
	out, in := elements(outer), elements(inner)
	if len(in) < len(out) {
		return false
	}
	for i := range out {
		if !mayEqual(out[i], in[i]) {
			return false
		}
	}
	return true
}

// elements splits a root at its slashes.
func elements(root string) []string {
	if !strings.Contains(root, "://") {
		if abs, err := filepath.Abs(root); err == nil {
			root = filepath.ToSlash(abs)
		}
	}
	return strings.Split(strings.TrimRight(root, "/"), "/")
}

// mayEqual reports whether names for the placeholders could make two elements of a path the same. It looks only at what
// precedes the first placeholder and what follows the last one.
func mayEqual(a, b string) bool {
	beginA, endA := fixed(a)
	beginB, endB := fixed(b)
	if !placeholders.MatchString(a) && !placeholders.MatchString(b) {
		return strings.EqualFold(a, b)
	}
	begins := strings.HasPrefix(beginA, beginB) || strings.HasPrefix(beginB, beginA)
	return begins && (strings.HasSuffix(endA, endB) || strings.HasSuffix(endB, endA))
}

// fixed returns what precedes the first placeholder in s and what follows the last one, or s twice.
func fixed(s string) (begin, end string) {
	all := placeholders.FindAllStringIndex(s, -1)
	if all == nil {
		return s, s
	}
	return s[:all[0][0]], s[all[len(all)-1][1]:]
}
