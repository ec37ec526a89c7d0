package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// Account is a user who may log in.
type Account struct {
	Name     string
	Password string   // a hash or clear text
	Anyone   bool     // any password will do
	Perms    []string // out of permissions, in that order

	Root, Home string // Root "": that of all
	Down, Up   int64  // bytes per second, 0 for no limit
	Sessions   int    // at once, 0 for no limit
	Networks   []netip.Prefix
	FXP        bool
	Accept     []string // words of --accept-upload

	from  string      // who gave the password, for people: --user, users:3, miniftp.toml:12
	lines map[any]int // of the configuration file, by pointer to the field; the table's by a itself
}

// shown returns the name without control characters.
func (a *Account) shown() string { return ftp.Printable(a.Name) }

// collectUsers collects the users: [users.NAME] of the file, the users file, --user, and
// anonymous.
func (cf *Config) collectUsers(c *cli.Context) {
	cf.fileUsers()
	cf.usersFile()
	if c != nil {
		cf.flagUsers(c)
	}
	cf.anyone(cf.namesUsers(c))
	cf.copiers()
	for _, a := range cf.Users {
		if a.Perms == nil && a.lines[&a.Perms] == 0 {
			a.Perms = presets["rw"]
		}
		if a.Password == "" && !a.Anyone && !cf.TLSClientUser && a.lines[&a.Password] == 0 { // else it is wrong, which has been told
			cf.BlameUser(a, a, errors.New("there is no password: miniftp passwd makes the hash of one"))
		}
	}
}

// copiers reads --fxp, the users who may copy from server to server.
func (cf *Config) copiers() {
	for _, name := range cf.Names(&cf.FXP) {
		a := cf.User(name)
		if a == nil {
			cf.Wrong(&cf.FXP, "%s: there is no such user", ftp.Printable(name))
			continue
		}
		a.FXP = true
	}
	if a := cf.User("anonymous"); a != nil && a.FXP {
		cf.Warn("anonymous may copy from server to server (fxp): anyone can make this server call other hosts")
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

// User returns the account of that name, nil if there is none.
func (cf *Config) User(name string) *Account { return cf.byName[name] }

// addUser returns the account of that name, a new one if there is none.
func (cf *Config) addUser(name, from string) *Account {
	a := cf.byName[name]
	if a == nil {
		a = &Account{Name: name, from: from, lines: map[any]int{}}
		cf.Users = append(cf.Users, a)
		cf.byName[name] = a
	}
	return a
}

// RootOf returns the root of a user.
func (cf *Config) RootOf(a *Account) string { return cmp.Or(a.Root, cf.Root) }

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
			cf.wrongKey(k, "nobody can log in by that name")
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
			cf.Warn("%s holds a password in clear text, and every user of this machine may read it: chmod 640, or miniftp passwd", a.from)
			break
		}
	}
}

// userKey reads one key of a user.
func (cf *Config) userKey(a *Account, k fileKey) {
	var known []string
	for _, u := range userKeys(a) {
		known = append(known, u.name)
		if len(k.path) != 3 || k.path[2] != u.name {
			continue
		}
		if k.value == nil {
			break
		}
		a.lines[u.field] = k.line
		if err := u.set(k.value); err != nil {
			cf.wrongKey(k, "%v", err)
		} else if u.root {
			a.Root = cf.beside(a.Root)
		}
		return
	}
	if near := verb.Nearest(k.path[2], known); near != "" {
		cf.wrongKey(k, "a user has no such setting: did you mean %s?", near)
		return
	}
	cf.wrongKey(k, "a user has no such setting, but %s", strings.Join(known, ", "))
}

// usersFile reads --users-file. For a user of the configuration file it may have only the
// password.
func (cf *Config) usersFile() {
	name := cf.UsersFile
	if name == "" {
		if cf.Given(&cf.UsersFile) {
			cf.Wrong(&cf.UsersFile, "is empty: name a file, or leave it out")
		}
		return
	}
	lines, shared, err := users.Read(name)
	if err == nil && !slices.ContainsFunc(lines, func(l users.Line) bool { return l.Name != "" }) {
		err = verb.Usagef("%s: no user is in it: miniftp passwd --file adds one; without a users file, take %s out", ftp.Printable(name), cf.Word(&cf.UsersFile))
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
			cf.Problem(verb.Usagef("%s: user %s has a password in %s, too: one of the two has to go", from, ftp.Printable(line.Name), a.from))
		case a.Perms != nil && line.Perm != "":
			cf.Problem(verb.Usagef("%s: user %s has his perm in %s: take it out here", from, ftp.Printable(line.Name), a.from))
		}
		a.take(line, from)
	}
	if inClear && shared {
		cf.Warn("%s holds a password in clear text, and every user of this machine may read it: chmod 600, or miniftp passwd", ftp.Printable(name))
	}
}

// flagUsers reads --user. It overrides the password of an existing user and, if one is given, the
// permission.
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

// namesUsers reports whether any source of users is configured. It does not depend on what the
// source holds, so that an empty users file never lets anyone in.
func (cf *Config) namesUsers(c *cli.Context) bool {
	if cf.file != nil && slices.ContainsFunc(cf.file.keys, func(k fileKey) bool { return k.path[0] == "users" }) {
		return true
	}
	return cf.Given(&cf.UsersFile) || c != nil && c.IsSet(userFlag)
}

// anyone decides whether anonymous may log in. Two places may speak of it: the setting anonymous,
// and a user of that name. One with a password is a user as any other.
//
//	setting  user anonymous  other users  anonymous may log in
//	-        with password   any          no; the user logs in as others do
//	-        without         any          as the user's perm says, else to read
//	-        none            none         to read
//	-        none            some         no
//	off      with password   any          no; the user stays
//	off      any other       any          no; the user goes
//	ro, rw   with password   any          the two exclude each other
//	ro, rw   any other       any          as the setting says; a perm in the same file is a mistake
//
// Users are there if a source of them is configured, whatever it holds.
func (cf *Config) anyone(sources bool) {
	a, word := cf.User("anonymous"), cf.Anonymous
	hasPassword := a != nil && a.Password != ""
	switch {
	case word == "" && cf.By(&cf.Anonymous) != ByDefault:
		cf.Wrong(&cf.Anonymous, "is empty: it is off, ro or rw")
	case word != "" && word != "off" && word != "ro" && word != "rw": // check tells
	case word == "" && hasPassword:
		cf.Anonymous = "off"
	case word == "off", word == "" && a == nil && sources:
		cf.nobody(a)
	case hasPassword:
		cf.Wrong(&cf.Anonymous, "%s and a password of the user anonymous (%s) exclude each other", word, a.from)
	default:
		cf.everybody(a)
	}
}

// nobody keeps anonymous out. a is the user of that name, if there is one.
func (cf *Config) nobody(a *Account) {
	if a != nil && a.Password == "" {
		cf.Users = slices.DeleteFunc(cf.Users, func(u *Account) bool { return u == a })
		delete(cf.byName, a.Name)
	}
	if len(cf.Users) == 0 && len(cf.Problems) == 0 {
		cf.Wrong(&cf.Anonymous, "off without a user: nobody could log in (--user names one)")
	}
	cf.Anonymous = "off"
}

// everybody lets anonymous in. was is the user of that name, if there is one.
func (cf *Config) everybody(was *Account) {
	word, by := cf.Anonymous, cf.By(&cf.Anonymous)
	if word == "" {
		word = "ro"
		if was != nil && was.Perms != nil {
			word = was.word()
		}
	}
	a := cf.addUser("anonymous", cf.of(&cf.Anonymous).from(cf))
	a.Anyone = true
	switch {
	case a.Perms == nil, by > ByFile:
		a.Perms = presets[word]
	case by == ByFile:
		cf.Wrong(&cf.Anonymous, "and the perm of [users.anonymous] exclude each other: one of the two has to go")
	}
	if by == ByDefault {
		cf.Anonymous = a.May()
	}
	for _, named := range cf.Users { // as the server does, whatever the case
		if strings.EqualFold(named.Name, "ftp") {
			cf.BlameUser(named, named, errors.New(`clients take that name for anonymous, who may log in, too: call the user otherwise, or set anonymous to "off"`))
		}
	}
}
