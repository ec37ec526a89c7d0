package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// Account is a user who may log in.
type Account struct {
	Name     string
	Group    string   // of [groups], "" for none
	Password string   // a hash or clear text
	Anyone   bool     // any password is accepted
	Perms    []string // some of permissions, in the same order

	Root, Home string // if Root is "", the root of the server is used
	Down, Up   int64  // bytes per second, 0 for no limit
	Sessions   int    // at once, 0 for no limit
	Quota      int64  // bytes, 0 for no limit
	QuotaFiles int64  // 0 for no limit
	Networks   []netip.Prefix
	FXP        bool
	Accept     []string // words of --accept-upload
	Compat     string   // a word of --compat; "" for that of the server
	Expires    time.Time
	Umask      fs.FileMode

	Mounts []*Mount

	rootless error // why the name can't be in the root

	expires string      // as it is written
	umask   string      // as it is written, "" if it is not set
	from    string      // where the password comes from, for people: --user, users:3, miniftp.toml:12
	lines   map[any]int // lines in the configuration file by pointer to the field; that of the table by a itself, that of a mount by the mount
}

// shown returns the name with control characters replaced.
func (a *Account) shown() string { return ftp.Printable(a.Name) }

// collectUsers collects the users: [users.NAME] of the file, the users file, --user, and
// anonymous.
func (cf *Config) collectUsers(c *cli.Context) {
	cf.fileGroups()
	cf.fileUsers()
	cf.usersFile()
	if c != nil {
		cf.flagUsers(c)
	}
	cf.joinGroups()
	cf.decideAnonymous(cf.namesUsers(c))
	cf.readFXP()
	cf.checkTemplates()
	cf.checkMounts()
	cf.checkSources()
	cf.external = cf.externalUsers(anyUser)
	for _, r := range cf.externalRoots() {
		if strings.Contains(r.tree.template, "{user}") {
			cf.byUser = append(cf.byUser, r)
		}
	}
	cf.checkOverlaps()
	for _, a := range cf.Users {
		if a.Perms == nil && a.lines[&a.Perms] == 0 {
			a.Perms = presets["rw"]
		}
		if a.Password == "" && !a.Anyone && !cf.TLSClientUser && a.lines[&a.Password] == 0 { // if there is a line, its mistake is recorded already
			cf.BlameUser(a, a, errors.New("no password: miniftp passwd makes the hash of one"))
		}
	}
	for _, a := range cf.Everybody() {
		cf.trees = append(cf.trees, cf.Trees(a)...)
	}
}

// readFXP reads --fxp, which names the users who may copy from server to server.
func (cf *Config) readFXP() {
	for _, name := range cf.Names(&cf.FXP) {
		a := cf.User(name)
		if a == nil {
			cf.Wrong(&cf.FXP, "%s: no such user", ftp.Printable(name))
			continue
		}
		a.FXP = true
	}
	if a := cf.User("anonymous"); a != nil && a.FXP {
		cf.Warn("anonymous may copy from server to server (fxp): anyone can make this server connect to other hosts")
	}
}

// UserFrom returns where the value of a field of a user comes from.
func (cf *Config) UserFrom(a *Account, field any) string {
	line := a.lines[field]
	switch {
	case line > 0 && field != any(&a.Password):
		return cf.file.place(line)
	case field == any(&a.Root):
		return cf.of(&cf.Root).from(cf)
	}
	return a.from
}

// User returns the account with the given name, or nil if there is none.
func (cf *Config) User(name string) *Account { return cf.byName[name] }

// addUser returns the account with the given name. If there is none, it adds one.
func (cf *Config) addUser(name, from string) *Account {
	a := cf.byName[name]
	if a == nil {
		a = &Account{Name: name, from: from, lines: map[any]int{}}
		cf.Users = append(cf.Users, a)
		cf.byName[name] = a
	}
	return a
}

// fileUsers reads [users.NAME].
func (cf *Config) fileUsers() {
	if cf.file == nil {
		return
	}
	for _, k := range cf.file.keys {
		if k.path[0] != "users" || len(k.path) == 1 && k.value == nil {
			continue
		}
		if len(k.path) == 1 || len(k.path) == 2 && k.value != nil {
			name := "NAME"
			if len(k.path) == 2 {
				name = ftp.Printable(users.QuotedKey(k.path[1]))
			}
			cf.wrongKey(k, "a user is a table: [users.%s] with password, perm and so on", name)
			continue
		}
		if k.path[1] == "" || strings.ContainsAny(k.path[1], "\r\n\x00") {
			cf.wrongKey(k, "nobody can log in with this name")
			continue
		}
		a := cf.addUser(k.path[1], cf.file.place(k.line))
		if a.lines[a] == 0 {
			a.lines[a] = k.line
		}
		if len(k.path) > 2 {
			cf.userKey(a, k)
		}
	}
	for _, a := range cf.Users {
		if a.Password != "" && !strings.HasPrefix(a.Password, "$2") && cf.file.shared {
			a.from = cf.file.place(a.lines[&a.Password])
			cf.Warn("%s holds a password in clear text, and every user of this machine can read it: chmod 640 it, or store a hash made by miniftp passwd", a.from)
			break
		}
	}
}

// userKey reads one key of a user or of a group, and reports whether it has no mistake.
func (cf *Config) userKey(a *Account, k fileKey) bool {
	if k.path[2] == mountsKey && (len(k.path) > 3 || k.value == nil) {
		return cf.mountKey(a, k)
	}
	keys := userKeys(a)
	what := strings.TrimSuffix(k.path[0], "s") // user or group
	if what == "group" {
		keys = slices.DeleteFunc(keys, func(u userKey) bool { return slices.Contains(notInGroups, u.name) })
	}
	return cf.keyOf(a, keys, what, k, 2)
}

// keyOf reads a key of a table, which is one of keys and has its name at that position of the path. It reports whether
// the key has no mistake.
func (cf *Config) keyOf(a *Account, keys []userKey, what string, k fileKey, at int) bool {
	var known []string
	for _, u := range keys {
		known = append(known, u.name)
		if len(k.path) != at+1 || k.path[at] != u.name {
			continue
		}
		if k.value == nil {
			break
		}
		a.lines[u.field] = k.line
		if err := u.set(k.value); err != nil {
			cf.wrongKey(k, "%v", err)
			return false
		} else if root, ok := u.field.(*string); ok && u.root {
			*root = cf.Beside(*root)
		}
		return true
	}
	if near := verb.Nearest(k.path[at], known); near != "" {
		cf.wrongKey(k, "unknown setting of a %s: did you mean %s?", what, near)
		return false
	}
	cf.wrongKey(k, "unknown setting of a %s: there are %s", what, strings.Join(known, ", "))
	return false
}

// usersFile reads --users-file. If a user is also in the configuration file, the users file may give
// only what that file does not: the password, and perm if it is not set there.
func (cf *Config) usersFile() {
	name := cf.UsersFile
	if name == "" {
		if cf.Given(&cf.UsersFile) {
			cf.Wrong(&cf.UsersFile, "is empty: name a file, or remove it")
		}
		return
	}
	lines, shared, err := users.Read(name)
	if err == nil && !slices.ContainsFunc(lines, func(l users.Line) bool { return l.Name != "" }) {
		err = verb.Usagef("%s: the file holds no user: add one with miniftp passwd --file, or remove %s", ftp.Printable(name), cf.Word(&cf.UsersFile))
	}
	if err != nil {
		cf.Blame(&cf.UsersFile, err)
		return
	}
	inClear := false
	for i, line := range lines {
		if line.Name == "" {
			continue
		}
		from := fmt.Sprintf("%s:%d", ftp.Printable(name), i+1)
		if line.Bad != "" {
			cf.Problem(verb.Usagef("%s: %s", from, line.Bad))
			continue
		}
		inClear = inClear || !strings.HasPrefix(line.Password, "$2")
		a := cf.addUser(line.Name, from)
		switch {
		case a.Password != "":
			cf.Problem(verb.Usagef("%s: user %s also has a password in %s: remove one of the two", from, ftp.Printable(line.Name), a.from))
		case a.Perms != nil && line.Perm != "":
			cf.Problem(verb.Usagef("%s: user %s also has a permission in %s: remove the one here", from, ftp.Printable(line.Name), a.from))
		}
		a.take(line, from)
	}
	if inClear && shared {
		cf.Warn("%s holds a password in clear text, and every user of this machine can read it: chmod 600 it, or store a hash made by miniftp passwd", ftp.Printable(name))
	}
}

// flagUsers reads --user. It overrides the password of an existing user and, if it names a permission,
// that too.
func (cf *Config) flagUsers(c *cli.Context) {
	from := "--" + userFlag
	if given := c.StringSlice(userFlag); len(given) == 1 && given[0] == os.Getenv(flags.EnvName(userFlag)) {
		from = flags.EnvName(userFlag)
	}
	seen := map[string]bool{}
	for _, u := range c.StringSlice(userFlag) {
		line := users.Parse(u)
		if line.Bad != "" || line.Name == "" {
			cf.Problem(verb.Usagef("%s %s", from, strings.Replace(line.Bad, "a line is", "takes", 1)))
			continue
		}
		if seen[line.Name] {
			cf.Problem(verb.Usagef("%s %s is given twice", from, ftp.Printable(line.Name)))
			continue
		}
		seen[line.Name] = true
		cf.addUser(line.Name, from).take(line, from)
	}
}

// take sets the password and the permission in line.
func (a *Account) take(line users.Line, from string) {
	a.Password, a.from = line.Password, from
	delete(a.lines, &a.Password)
	if line.Perm != "" {
		a.Perms = presets[line.Perm]
		delete(a.lines, &a.Perms)
	}
}

// namesUsers reports whether any source of users is configured: --user, a users file, [users] or one of --auth. It does
// not depend on what the source holds. Otherwise emptying the users file would admit anonymous.
func (cf *Config) namesUsers(c *cli.Context) bool {
	if cf.file != nil && slices.ContainsFunc(cf.file.keys, func(k fileKey) bool { return k.path[0] == "users" }) {
		return true
	}
	return cf.Given(&cf.UsersFile) || c != nil && c.IsSet(userFlag) || cf.AsksOthers()
}

// decideAnonymous decides whether anonymous may log in, and what it may do. This can be set in two
// places: by the setting anonymous, and by a user of that name. A user anonymous with a password is an
// ordinary user.
//
//	setting  user anonymous  other users  may anyone log in as anonymous?
//	-        with password   any          no; the user logs in with the password
//	-        no password     any          yes, with the user's perm, by default ro
//	-        none            none         yes, ro
//	-        none            some         no
//	off      with password   any          no; the user logs in with the password
//	off      otherwise       any          no; the user is removed
//	ro, rw   with password   any          mistake: the two contradict each other
//	ro, rw   otherwise       any          yes, as set; mistake if the same file also sets the user's perm
//
// There are "some" other users if a source of users is configured, whatever it holds.
func (cf *Config) decideAnonymous(sources bool) {
	a, word := cf.User("anonymous"), cf.Anonymous
	hasPassword := a != nil && a.Password != ""
	switch {
	case word == "" && cf.By(&cf.Anonymous) != ByDefault:
		cf.Wrong(&cf.Anonymous, "is empty: write off, ro or rw")
	case word != "" && word != "off" && word != "ro" && word != "rw": // check records the mistake
	case word == "" && hasPassword:
		cf.Anonymous = "off"
	case word == "off", word == "" && a == nil && sources:
		cf.refuseAnonymous(a)
	case hasPassword:
		cf.Wrong(&cf.Anonymous, "%s contradicts the password of user anonymous (%s): remove one of the two", word, a.from)
	default:
		cf.admitAnonymous(a)
	}
}

// refuseAnonymous removes the user anonymous, a, unless it is nil or has a password.
func (cf *Config) refuseAnonymous(a *Account) {
	if a != nil && a.Password == "" {
		cf.Users = slices.DeleteFunc(cf.Users, func(u *Account) bool { return u == a })
		delete(cf.byName, a.Name)
	}
	if len(cf.Users) == 0 && len(cf.Problems) == 0 && !cf.AsksOthers() {
		cf.Wrong(&cf.Anonymous, "off, and there is no user: nobody could log in; add one with --user")
	}
	cf.Anonymous = "off"
}

// admitAnonymous lets anyone log in as anonymous. was is the user of that name, or nil.
func (cf *Config) admitAnonymous(was *Account) {
	word, by := cf.Anonymous, cf.By(&cf.Anonymous)
	if word == "" {
		word = "ro"
		if was != nil && was.Perms != nil {
			word = was.preset()
		}
	}
	a := cf.addUser("anonymous", cf.of(&cf.Anonymous).from(cf))
	a.Anyone = true
	switch {
	case a.Perms == nil, by > ByFile:
		a.Perms = presets[word]
	case by == ByFile:
		cf.Wrong(&cf.Anonymous, "and perm of [users.anonymous] are both set: remove one of the two")
	}
	if by == ByDefault {
		cf.Anonymous = a.May()
	}
	for _, named := range cf.Users { // like the server, ignoring case
		if strings.EqualFold(named.Name, "ftp") {
			cf.BlameUser(named, named, errors.New(`clients use this name for anonymous logins, which are allowed too: rename the user, or set anonymous to "off"`))
		}
	}
}
