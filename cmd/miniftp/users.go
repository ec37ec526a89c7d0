package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// account is a user who may log in.
type account struct {
	name     string
	password string // a hash or clear text
	anyone   bool   // any password will do
	word     string // the permissions in a word; "": those of perm
	perm     server.Perm

	root, home string // root "": the one of all
	down, up   int64
	sessions   int
	networks   []netip.Prefix
	fxp        bool
	accept     server.Doubt

	from  string         // whoever gave the password, for people: --user, users:3, miniftp.toml:12
	lines map[string]int // of the configuration file, by key
}

// collectUsers puts together who may log in: [users.NAME] of the file, the users file,
// --user, and anyone.
func (cf *config) collectUsers(c *cli.Context) {
	cf.fileUsers()
	cf.usersFile()
	if c != nil {
		cf.flagUsers(c)
	}
	cf.anyone(cf.namesUsers(c))
	cf.copiers()
	for _, a := range cf.users {
		if a.perm == 0 {
			a.setPerm("rw")
		}
		switch {
		case a.anyone:
		case a.password == "" && a.lines["password"] > 0: // which is wrong, and has been told
		case a.password == "" && !cf.on("tls-client-user"):
			cf.userProblem(a, "", errors.New("there is no password: miniftp passwd makes the hash of one"))
		default:
			cf.userProblem(a, "password", server.Static{"": {Password: a.password}}.Check())
		}
	}
}

// copiers reads --fxp.
func (cf *config) copiers() {
	for _, name := range cf.names("fxp") {
		a := cf.user(name)
		if a == nil {
			cf.wrong("fxp", "%s: there is no such user", ftp.Printable(name))
			continue
		}
		a.fxp = true
	}
	if a := cf.user("anonymous"); a != nil && a.fxp {
		cf.warn("anonymous may copy from server to server (fxp): anyone can make this server call other hosts")
	}
}

// userProblem notes what is wrong with a user's key; nil is nothing.
func (cf *config) userProblem(a *account, key string, err error) {
	if err == nil {
		return
	}
	err = usagef("user %s: %s", ftp.Printable(a.name), strings.TrimPrefix(err.Error(), `user "": `))
	if line := a.lines[key]; line > 0 {
		cf.problem(cf.file.at(line, err))
		return
	}
	cf.problem(usagef("%s: %v", a.from, err))
}

// userFrom is where a user's key is from.
func (cf *config) userFrom(a *account, key string) string {
	line := a.lines[key]
	switch {
	case line > 0 && key != "password":
		return cf.file.place(line)
	case key == "root":
		return cf.setting("root").From
	}
	return a.from
}

// user is the account of that name.
func (cf *config) user(name string) *account {
	for _, a := range cf.users {
		if a.name == name {
			return a
		}
	}
	return nil
}

// fileUsers reads [users.NAME].
func (cf *config) fileUsers() {
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
				name = ftp.Printable(quotedKey(k.path[1]))
			}
			cf.wrongKey(k, "a user is a table: [users.%s] with password, perm and so on", name)
			continue
		}
		if k.path[1] == "" || strings.ContainsAny(k.path[1], "\r\n\x00") {
			cf.wrongKey(k, "nobody can log in by that name")
			continue
		}
		a := cf.user(k.path[1])
		if a == nil {
			a = &account{name: k.path[1], from: cf.file.place(k.line), lines: map[string]int{"": k.line}}
			cf.users = append(cf.users, a)
		}
		if len(k.path) > 2 {
			cf.userKey(a, k)
		}
	}
	for _, a := range cf.users {
		if a.password != "" && !strings.HasPrefix(a.password, "$2") && cf.file.shared {
			a.from = cf.file.place(a.lines["password"])
			cf.warn("%s holds a password in clear text, and every user of this machine may read it: chmod 640, or miniftp passwd", a.from)
			break
		}
	}
}

// userKey reads one key of a user.
func (cf *config) userKey(a *account, k fileKey) {
	known := make([]string, 0, len(userKeys))
	for _, u := range userKeys {
		known = append(known, u.name)
		if len(k.path) != 3 || k.path[2] != u.name {
			continue
		}
		if k.value == nil {
			break
		}
		a.lines[u.name] = k.line
		if err := u.set(cf, a, k.value); err != nil {
			cf.wrongKey(k, "%v", err)
		}
		return
	}
	if near := nearest(k.path[2], known); near != "" {
		cf.wrongKey(k, "a user has no such setting: did you mean %s?", near)
		return
	}
	cf.wrongKey(k, "a user has no such setting, but %s", strings.Join(known, ", "))
}

// usersFile reads the lines of --users-file. A user who stands in the configuration,
// too, has only the password here.
func (cf *config) usersFile() {
	name := cf.str("users-file")
	if name == "" {
		if cf.given("users-file") {
			cf.wrong("users-file", "is empty: name a file, or leave it out")
		}
		return
	}
	lines, shared, err := readUsers(name)
	if err == nil && !slices.ContainsFunc(lines, func(l userLine) bool { return l.name != "" }) {
		err = usagef("%s: no user is in it: miniftp passwd --file adds one; without a users file, take %s out", ftp.Printable(name), cf.word("users-file"))
	}
	if err != nil {
		cf.blame("users-file", err)
		return
	}
	inClear := false
	for i, line := range lines {
		if line.name == "" {
			continue
		}
		from := fmt.Sprintf("%s:%d", ftp.Printable(name), i+1)
		if line.bad != "" {
			cf.problem(usagef("%s: %s", from, line.bad))
			continue
		}
		inClear = inClear || !strings.HasPrefix(line.password, "$2")
		a := cf.user(line.name)
		switch {
		case a == nil:
			a = &account{name: line.name}
			cf.users = append(cf.users, a)
		case a.password != "":
			cf.problem(usagef("%s: user %s has a password in %s, too: one of the two has to go", from, ftp.Printable(line.name), a.from))
		case a.perm != 0 && line.perm != "":
			cf.problem(usagef("%s: user %s has his perm in %s: take it out here", from, ftp.Printable(line.name), a.from))
		}
		a.take(line, from)
	}
	if inClear && shared {
		cf.warn("%s holds a password in clear text, and every user of this machine may read it: chmod 600, or miniftp passwd", ftp.Printable(name))
	}
}

func (cf *config) warn(format string, args ...any) {
	cf.warnings = append(cf.warnings, fmt.Sprintf(format, args...))
}

// flagUsers reads --user. Of a user who is known already it changes the password and,
// if one is named, the permission.
func (cf *config) flagUsers(c *cli.Context) {
	from := "--user"
	if given := c.StringSlice("user"); len(given) == 1 && given[0] == os.Getenv(envName("user")) {
		from = envName("user")
	}
	seen := map[string]bool{}
	for _, u := range c.StringSlice("user") {
		line := parseUser(u)
		if line.bad != "" || line.name == "" {
			cf.problem(usagef("%s %s", from, strings.Replace(line.bad, "a line is", "takes", 1)))
			continue
		}
		if seen[line.name] {
			cf.problem(usagef("%s %s is given twice", from, ftp.Printable(line.name)))
			continue
		}
		seen[line.name] = true
		a := cf.user(line.name)
		if a == nil {
			a = &account{name: line.name}
			cf.users = append(cf.users, a)
		}
		a.take(line, from)
	}
}

// take gives a user what a line says.
func (a *account) take(line userLine, from string) {
	a.password, a.from = line.password, from
	delete(a.lines, "password")
	if line.perm != "" {
		a.setPerm(line.perm)
		delete(a.lines, "perm")
	}
}

// namesUsers reports whether the configuration names a source of users, whatever is in
// it. What a file holds when it is read never lets anyone in.
func (cf *config) namesUsers(c *cli.Context) bool {
	if cf.file != nil && slices.ContainsFunc(cf.file.keys, func(k fileKey) bool { return k.path[0] == "users" }) {
		return true
	}
	return cf.given("users-file") || c != nil && c.IsSet("user")
}

// anyone decides about the anonymous user. It is on by default only if no source of users
// is named, or if a table [users.anonymous] describes it.
func (cf *config) anyone(sources bool) {
	a, word := cf.user("anonymous"), cf.str("anonymous")
	named := a != nil && a.password != ""
	if word == "" && !named && (a != nil || !sources) {
		word = "ro"
		if a != nil && a.perm != 0 {
			word = a.word
		}
	}
	undecided := cf.values["anonymous"].by == byDefault
	switch {
	case cf.given("anonymous") && cf.str("anonymous") == "":
		cf.wrong("anonymous", "is empty: it is off, ro or rw")
		return
	case word == "" && named:
		cf.settle("anonymous", "off")
		return
	case word == "off" || word == "" && a == nil:
		if !named {
			cf.users = slices.DeleteFunc(cf.users, func(a *account) bool { return a.name == "anonymous" })
		}
		if len(cf.users) == 0 && len(cf.problems) == 0 {
			cf.wrong("anonymous", "off without a user: nobody could log in (--user names one)")
		}
		cf.settle("anonymous", "off")
		return
	case cf.str("anonymous") != "" && word != "ro" && word != "rw":
		cf.wrong("anonymous", "%q: %s", word, itIs("anonymous", word))
		return
	case named:
		cf.wrong("anonymous", "%s and a password of the user anonymous (%s) exclude each other", word, a.from)
		return
	}
	if a == nil {
		a = &account{name: "anonymous", from: cf.setting("anonymous").From}
		cf.users = append(cf.users, a)
	}
	a.anyone = true
	switch v := cf.values["anonymous"]; {
	case a.perm == 0, v.by > byFile:
		a.setPerm(word)
	case v.by == byFile:
		cf.wrong("anonymous", "and the perm of [users.anonymous] exclude each other: one of the two has to go")
	}
	if undecided {
		cf.settle("anonymous", a.may())
	}
	for _, named := range cf.users { // as the server does, whatever the case
		if strings.EqualFold(named.name, "ftp") {
			cf.userProblem(named, "", errors.New(`clients take that name for anonymous, who may log in, too: call the user otherwise, or set anonymous to "off"`))
		}
	}
}

// writes reports whether a user may upload.
func (a *account) writes() bool { return a.perm&^server.ReadOnly != 0 }
