package settings

import (
	"fmt"
	"maps"
	"slices"

	"miniftp/cmd/miniftp/internal/users"
	"miniftp/ftp"
)

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
	return checkName(a, cf.Template(a))
}
