package settings

import (
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
	"miniftp/ftp/server"
)

// Account is a user who may log in.
type Account struct {
	Name     string
	Password string // a hash or clear text
	Anyone   bool   // any password will do
	Word     string // the permissions in a word; "": those of perm
	Perm     server.Perm

	Root, Home string // root "": the one of all
	Down, Up   int64
	Sessions   int
	Networks   []netip.Prefix
	Fxp        bool
	Accept     server.Doubt

	from  string         // whoever gave the password, for people: --user, users:3, miniftp.toml:12
	Lines map[string]int // of the configuration file, by key
}

// collectUsers puts together who may log in: [users.NAME] of the file, the users file,
// --user, and anyone.
func (cf *Config) collectUsers(c *cli.Context) {
	cf.fileUsers()
	cf.usersFile()
	if c != nil {
		cf.flagUsers(c)
	}
	cf.anyone(cf.namesUsers(c))
	cf.copiers()
	for _, a := range cf.Users {
		if a.Perm == 0 {
			a.setPerm("rw")
		}
		switch {
		case a.Anyone:
		case a.Password == "" && a.Lines["password"] > 0: // which is wrong, and has been told
		case a.Password == "" && !cf.On("tls-client-user"):
			cf.userProblem(a, "", errors.New("there is no password: miniftp passwd makes the hash of one"))
		default:
			cf.userProblem(a, "password", server.Static{"": {Password: a.Password}}.Check())
		}
	}
}

// copiers reads --fxp.
func (cf *Config) copiers() {
	for _, name := range cf.Names("fxp") {
		a := cf.User(name)
		if a == nil {
			cf.Wrong("fxp", "%s: there is no such user", ftp.Printable(name))
			continue
		}
		a.Fxp = true
	}
	if a := cf.User("anonymous"); a != nil && a.Fxp {
		cf.Warn("anonymous may copy from server to server (fxp): anyone can make this server call other hosts")
	}
}

// userProblem notes what is wrong with a user's key; nil is nothing.
func (cf *Config) userProblem(a *Account, key string, err error) {
	if err == nil {
		return
	}
	err = verb.Usagef("user %s: %s", ftp.Printable(a.Name), strings.TrimPrefix(err.Error(), `user "": `))
	if line := a.Lines[key]; line > 0 {
		cf.Problem(cf.File.At(line, err))
		return
	}
	cf.Problem(verb.Usagef("%s: %v", a.from, err))
}

// UserFrom is where a user's key is from.
func (cf *Config) UserFrom(a *Account, key string) string {
	line := a.Lines[key]
	switch {
	case line > 0 && key != "password":
		return cf.File.place(line)
	case key == "root":
		return cf.Setting("root").From
	}
	return a.from
}

// User is the account of that name.
func (cf *Config) User(name string) *Account {
	for _, a := range cf.Users {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// fileUsers reads [users.NAME].
func (cf *Config) fileUsers() {
	if cf.File == nil {
		return
	}
	for _, k := range cf.File.keys {
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
		a := cf.User(k.path[1])
		if a == nil {
			a = &Account{Name: k.path[1], from: cf.File.place(k.line), Lines: map[string]int{"": k.line}}
			cf.Users = append(cf.Users, a)
		}
		if len(k.path) > 2 {
			cf.userKey(a, k)
		}
	}
	for _, a := range cf.Users {
		if a.Password != "" && !strings.HasPrefix(a.Password, "$2") && cf.File.shared {
			a.from = cf.File.place(a.Lines["password"])
			cf.Warn("%s holds a password in clear text, and every user of this machine may read it: chmod 640, or miniftp passwd", a.from)
			break
		}
	}
}

// userKey reads one key of a user.
func (cf *Config) userKey(a *Account, k fileKey) {
	known := make([]string, 0, len(UserKeys))
	for _, u := range UserKeys {
		known = append(known, u.Name)
		if len(k.path) != 3 || k.path[2] != u.Name {
			continue
		}
		if k.value == nil {
			break
		}
		a.Lines[u.Name] = k.line
		if err := u.set(cf, a, k.value); err != nil {
			cf.wrongKey(k, "%v", err)
		}
		return
	}
	if near := verb.Nearest(k.path[2], known); near != "" {
		cf.wrongKey(k, "a user has no such setting: did you mean %s?", near)
		return
	}
	cf.wrongKey(k, "a user has no such setting, but %s", strings.Join(known, ", "))
}

// usersFile reads the lines of --users-file. A user who stands in the configuration,
// too, has only the password here.
func (cf *Config) usersFile() {
	name := cf.Str("users-file")
	if name == "" {
		if cf.Given("users-file") {
			cf.Wrong("users-file", "is empty: name a file, or leave it out")
		}
		return
	}
	lines, shared, err := users.Read(name)
	if err == nil && !slices.ContainsFunc(lines, func(l users.Line) bool { return l.Name != "" }) {
		err = verb.Usagef("%s: no user is in it: miniftp passwd --file adds one; without a users file, take %s out", ftp.Printable(name), cf.Word("users-file"))
	}
	if err != nil {
		cf.Blame("users-file", err)
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
		a := cf.User(line.Name)
		switch {
		case a == nil:
			a = &Account{Name: line.Name}
			cf.Users = append(cf.Users, a)
		case a.Password != "":
			cf.Problem(verb.Usagef("%s: user %s has a password in %s, too: one of the two has to go", from, ftp.Printable(line.Name), a.from))
		case a.Perm != 0 && line.Perm != "":
			cf.Problem(verb.Usagef("%s: user %s has his perm in %s: take it out here", from, ftp.Printable(line.Name), a.from))
		}
		a.take(line, from)
	}
	if inClear && shared {
		cf.Warn("%s holds a password in clear text, and every user of this machine may read it: chmod 600, or miniftp passwd", ftp.Printable(name))
	}
}

func (cf *Config) Warn(format string, args ...any) {
	cf.Warnings = append(cf.Warnings, fmt.Sprintf(format, args...))
}

// flagUsers reads --user. Of a user who is known already it changes the password and,
// if one is named, the permission.
func (cf *Config) flagUsers(c *cli.Context) {
	from := "--user"
	if given := c.StringSlice("user"); len(given) == 1 && given[0] == os.Getenv(flags.EnvName("user")) {
		from = flags.EnvName("user")
	}
	seen := map[string]bool{}
	for _, u := range c.StringSlice("user") {
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
		a := cf.User(line.Name)
		if a == nil {
			a = &Account{Name: line.Name}
			cf.Users = append(cf.Users, a)
		}
		a.take(line, from)
	}
}

// take gives a user what a line says.
func (a *Account) take(line users.Line, from string) {
	a.Password, a.from = line.Password, from
	delete(a.Lines, "password")
	if line.Perm != "" {
		a.setPerm(line.Perm)
		delete(a.Lines, "perm")
	}
}

// namesUsers reports whether the configuration names a source of users, whatever is in
// it. What a file holds when it is read never lets anyone in.
func (cf *Config) namesUsers(c *cli.Context) bool {
	if cf.File != nil && slices.ContainsFunc(cf.File.keys, func(k fileKey) bool { return k.path[0] == "users" }) {
		return true
	}
	return cf.Given("users-file") || c != nil && c.IsSet("user")
}

// anyone decides about the anonymous user. It is on by default only if no source of users
// is named, or if a table [users.anonymous] describes it.
func (cf *Config) anyone(sources bool) {
	a, word := cf.User("anonymous"), cf.Str("anonymous")
	named := a != nil && a.Password != ""
	if word == "" && !named && (a != nil || !sources) {
		word = "ro"
		if a != nil && a.Perm != 0 {
			word = a.Word
		}
	}
	undecided := cf.Values["anonymous"].By == ByDefault
	switch {
	case cf.Given("anonymous") && cf.Str("anonymous") == "":
		cf.Wrong("anonymous", "is empty: it is off, ro or rw")
		return
	case word == "" && named:
		cf.settle("anonymous", "off")
		return
	case word == "off" || word == "" && a == nil:
		if !named {
			cf.Users = slices.DeleteFunc(cf.Users, func(a *Account) bool { return a.Name == "anonymous" })
		}
		if len(cf.Users) == 0 && len(cf.Problems) == 0 {
			cf.Wrong("anonymous", "off without a user: nobody could log in (--user names one)")
		}
		cf.settle("anonymous", "off")
		return
	case cf.Str("anonymous") != "" && word != "ro" && word != "rw":
		cf.Wrong("anonymous", "%q: %s", word, flags.OneOf("anonymous", word))
		return
	case named:
		cf.Wrong("anonymous", "%s and a password of the user anonymous (%s) exclude each other", word, a.from)
		return
	}
	if a == nil {
		a = &Account{Name: "anonymous", from: cf.Setting("anonymous").From}
		cf.Users = append(cf.Users, a)
	}
	a.Anyone = true
	switch v := cf.Values["anonymous"]; {
	case a.Perm == 0, v.By > ByFile:
		a.setPerm(word)
	case v.By == ByFile:
		cf.Wrong("anonymous", "and the perm of [users.anonymous] exclude each other: one of the two has to go")
	}
	if undecided {
		cf.settle("anonymous", a.May())
	}
	for _, named := range cf.Users { // as the server does, whatever the case
		if strings.EqualFold(named.Name, "ftp") {
			cf.userProblem(named, "", errors.New(`clients take that name for anonymous, who may log in, too: call the user otherwise, or set anonymous to "off"`))
		}
	}
}

// Writes reports whether a user may upload.
func (a *Account) Writes() bool { return a.Perm&^server.ReadOnly != 0 }
