package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/fsroot"
	"miniftp/ftp"
)

// origin is who said what a setting is. A later one beats an earlier one.
type origin int

const (
	byDefault origin = iota
	byFile
	byEnv
	byFlag
)

// value is what one setting is, and by whom.
type value struct {
	is   any // string, []string, bool, int or time.Duration
	by   origin
	line int    // in the file
	key  string // in the file
	flag string // that set it, if not its own
}

// config is all that serve is told. The settings go by the name of their flag;
// "root" is the argument.
type config struct {
	file     *configFile // nil: none
	values   map[string]value
	users    []*account
	problems []error
	warnings []string
	nesting  *fsroot.Nesting // of the directories in which users may write
	trial    bool            // only to be checked: nothing is written
}

// newConfig puts together what the flags, the environment and the file say: the one
// place where a flag beats the environment, that the file, and that the default. No c
// is neither flags nor environment. What is wrong is in problems.
func newConfig(c *cli.Context, file string) *config {
	cf := &config{values: map[string]value{"root": {is: ".", key: "root"}}}
	known := []string{"root"}
	byKey := map[string]cli.Flag{"root": &cli.StringFlag{Name: "root"}}
	for _, g := range serveGroups() {
		for _, f := range g.flags {
			name := f.Names()[0]
			key := g.key(name)
			cf.values[name] = value{is: defaultOf(f), key: key}
			known = append(known, key)
			byKey[key] = f
		}
	}
	if file != "" {
		var err error
		if cf.file, err = readConfig(file); err != nil {
			cf.problems = append(cf.problems, err)
		} else {
			cf.readFile(byKey, known)
		}
	}
	if c != nil {
		cf.readFlags(c, byKey)
	}
	if len(cf.list("listen")) == 0 && len(cf.list("listen-tls")) == 0 {
		if cf.values["listen"].by == byFile {
			cf.wrong("listen", "is empty: name an address such as 127.0.0.1:2121, or leave it out for that one")
		}
		cf.settle("listen", []string{"127.0.0.1:2121"})
	}
	switch {
	case cf.str("tls") != "":
	case cf.on("tls-self-signed") || len(cf.list("tls-cert")) > 0:
		cf.settle("tls", "optional")
	default:
		cf.settle("tls", "off")
	}
	cf.collectUsers(c)
	return cf
}

// settle says what a default comes to.
func (cf *config) settle(name string, is any) {
	v := cf.values[name]
	v.is = is
	cf.values[name] = v
}

// readFlags takes over what the command line and the environment say.
func (cf *config) readFlags(c *cli.Context, byKey map[string]cli.Flag) {
	for _, f := range byKey {
		name := f.Names()[0]
		if name == "root" || !c.IsSet(name) {
			continue
		}
		v := cf.values[name]
		v.is, v.by = flagValue(c, f), byFlag
		if text, ok := os.LookupEnv(envName(name)); ok && fmt.Sprint(envValue(f, text)) == fmt.Sprint(v.is) {
			v.by = byEnv
		}
		cf.values[name] = v
	}
	cf.readPort(c)
	if c.Command.Name == "serve" || c.Command.Name == "show" {
		if c.Args().Present() {
			cf.values["root"] = value{is: c.Args().First(), by: byFlag, key: "root"}
		}
	}
}

// readPort takes over --port, one more address to listen on.
func (cf *config) readPort(c *cli.Context) {
	port := value{is: []string{net.JoinHostPort("127.0.0.1", c.String("port"))}, by: byFlag, key: "listen", flag: "port"}
	if fromEnv(c, "port") {
		port.by = byEnv
	}
	v := cf.values["listen"]
	if !c.IsSet("port") || port.by < v.by {
		return
	}
	if n := c.Int("port"); n < 0 || n > 65535 {
		cf.values["listen"] = port
		cf.wrong("listen", "%d: a port is a number from 0 to 65535", n)
		return
	}
	if port.by == v.by {
		v.is = append(slices.Clone(cf.list("listen")), port.is.([]string)...)
		port = v
	}
	cf.values["listen"] = port
}

// readFile takes over what the file says, [users] apart.
func (cf *config) readFile(byKey map[string]cli.Flag, known []string) {
	tables := []string{"users"}
	for _, g := range serveGroups() {
		tables = append(tables, g.table)
	}
	withKeys := cf.file.tablesWithKeys()
	for _, k := range cf.file.keys {
		if k.path[0] == "users" {
			continue
		}
		f, ok := byKey[strings.Join(k.path, ".")]
		switch {
		case ok && k.value == nil:
			cf.wrongKey(k, "it is a setting, not a table: write  %s = …", k)
		case ok:
			is, err := fileValue(f, k.value)
			if err != nil {
				cf.wrongKey(k, "%v", err)
				continue
			}
			name := f.Names()[0]
			if filePaths[name] || name == "root" {
				is = cf.beside(is)
			}
			cf.values[name] = value{is: is, by: byFile, line: k.line, key: k.String()}
		case k.value == nil && len(k.path) == 1 && slices.Contains(tables, k.path[0]):
		case k.value != nil || !withKeys[strings.Join(k.path, "\x00")]:
			cf.wrongKey(k, "there is no such setting%s", hint(k, known))
		}
	}
}

// tablesWithKeys returns the tables in which the file sets keys. If such a table is
// unknown, errors name its keys rather than the table.
func (f *configFile) tablesWithKeys() map[string]bool {
	const deepest = 8 // no setting is as deep
	tables := map[string]bool{}
	for _, k := range f.keys {
		for i := 1; k.value != nil && i < min(len(k.path), deepest); i++ {
			tables[strings.Join(k.path[:i], "\x00")] = true
		}
	}
	return tables
}

// hint is what somebody who wrote that key may have meant.
func hint(k fileKey, known []string) string {
	last := k.path[len(k.path)-1]
	if k.path[0] == "user" {
		return ": a user is a table here, [users.NAME], with password, perm and so on"
	}
	for _, key := range known {
		table, name, ok := strings.Cut(key, ".")
		if !ok {
			table, name = "", key
		}
		flag := strings.TrimSuffix(table+"-", "-") + "-" + name
		switch {
		case last != name && last != flag && strings.ReplaceAll(last, "_", "-") != name:
		case table == "":
			return ": did you mean " + name + ", at the top, before the first [table]?"
		default:
			return ": did you mean " + name + ", in [" + table + "]?"
		}
	}
	if key := nearest(k.String(), append(known, "users")); key != "" {
		return ": did you mean " + key + "?"
	}
	return "; docs/configuration.md lists them"
}

// beside makes the names of files in the file relative to it, not to wherever serve
// was started.
func (cf *config) beside(is any) any {
	dir := filepath.Dir(cf.file.name)
	one := func(name string) string {
		if name == "" || filepath.IsAbs(name) || strings.Contains(name, "://") {
			return name
		}
		return filepath.Join(dir, name)
	}
	switch v := is.(type) {
	case string:
		return one(v)
	case []string:
		all := make([]string, len(v))
		for i, name := range v {
			all[i] = one(name)
		}
		return all
	}
	return is
}

func (cf *config) str(name string) string    { s, _ := cf.values[name].is.(string); return s }
func (cf *config) list(name string) []string { l, _ := cf.values[name].is.([]string); return l }
func (cf *config) on(name string) bool       { b, _ := cf.values[name].is.(bool); return b }
func (cf *config) num(name string) int       { n, _ := cf.values[name].is.(int); return n }
func (cf *config) time(name string) time.Duration {
	d, _ := cf.values[name].is.(time.Duration)
	return d
}
func (cf *config) given(name string) bool { return cf.values[name].by != byDefault }

// label is how a setting was written, for an error about another one: --tls, MINIFTP_TLS,
// or the file, the line and tls.mode.
func (cf *config) label(name string) string {
	if v := cf.values[name]; v.by == byFile {
		return cf.file.place(v.line) + ": " + v.key
	}
	return cf.word(name)
}

// word is label without the place.
func (cf *config) word(name string) string {
	switch v := cf.values[name]; {
	case v.by == byFile:
		return v.key
	case v.by == byEnv:
		return envName(cmp.Or(v.flag, name))
	case name == "root":
		return "ROOT"
	default:
		return "--" + cmp.Or(v.flag, name)
	}
}

// wrong notes that a setting can't be meant.
func (cf *config) wrong(name, format string, args ...any) {
	cf.blame(name, usagef("%s %s", cf.word(name), fmt.Sprintf(format, args...)))
}

// wrongKey notes that a key of the file can't be meant.
func (cf *config) wrongKey(k fileKey, format string, args ...any) {
	cf.problem(cf.file.at(k.line, usagef("%s: %s", k, fmt.Sprintf(format, args...))))
}

// blame notes an error, nil is none, that a setting brings about.
func (cf *config) blame(name string, err error) { cf.problem(cf.located(name, err)) }

// located is an error that a setting brings about with the line of that, if it has one.
func (cf *config) located(name string, err error) error {
	if v := cf.values[name]; err != nil && v.by == byFile {
		return cf.file.at(v.line, err)
	}
	return err
}

// problem notes an error; nil is none.
func (cf *config) problem(err error) {
	if err != nil {
		cf.problems = append(cf.problems, err)
	}
}

// sayProblems prints what is wrong, that of a file by its lines; the first one decides
// the exit code.
func (e *env) sayProblems(cf *config) error {
	if len(cf.problems) == 0 {
		return nil
	}
	for _, err := range cf.sorted() {
		e.sayError(err)
	}
	return reported{Err: cf.problems[0]}
}

func (cf *config) sorted() []error {
	line := func(err error) int {
		var l *lineError
		if errors.As(err, &l) {
			return l.line
		}
		return 0
	}
	slices.SortStableFunc(cf.problems, func(a, b error) int { return line(a) - line(b) })
	return cf.problems
}

// setting is one line of config show.
type setting struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	From  string `json:"from"`

	otherwise string // what it means that there is no value
}

// setting is one of them with its source.
func (cf *config) setting(name string) setting {
	v := cf.values[name]
	s := setting{Key: v.key, Value: v.is, From: "default"}
	switch v.by {
	case byFlag:
		s.From = cf.label(name)
	case byEnv:
		s.From = cf.word(name)
	case byFile:
		s.From = fmt.Sprintf("%s:%d", ftp.Printable(cf.file.name), v.line)
	}
	if d, ok := v.is.(time.Duration); ok {
		s.Value = shortTime(d)
	}
	if list, ok := v.is.([]string); ok && list == nil {
		s.Value = []string{}
	}
	return s
}

// names are a list's words, taken apart at commas.
func (cf *config) names(name string) []string {
	var all []string
	for _, item := range cf.list(name) {
		for s := range strings.SplitSeq(item, ",") {
			if s = strings.TrimSpace(s); s == "" {
				cf.wrong(name, "%q: a name is missing", item)
				continue
			}
			all = append(all, s)
		}
	}
	return all
}
