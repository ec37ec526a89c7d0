// Package settings is what serve is told: the table of its settings, and how flags, environment and
// the configuration file are put together, each mistake with its place.
//
// It must not start anything: it opens no root and listens nowhere.
package settings

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

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/fsroot"
	"miniftp/ftp"
)

// Origin is who said what a setting is. A later one beats an earlier one.
type Origin int

const (
	ByDefault Origin = iota
	ByFile
	byEnv
	ByFlag
)

// Value is what one setting is, and by whom.
type Value struct {
	Is   any // string, []string, bool, int or time.Duration
	By   Origin
	line int    // in the file
	Key  string // in the file
	flag string // that set it, if not its own
}

// Config is all that serve is told. The settings go by the name of their flag;
// "root" is the argument.
type Config struct {
	File     *configFile // nil: none
	Values   map[string]Value
	Users    []*Account
	Problems []error
	Warnings []string
	Nesting  *fsroot.Nesting // of the directories in which users may write
	Trial    bool            // only to be checked: nothing is written
}

// New puts together what the flags, the environment and the file say: the one
// place where a flag beats the environment, that the file, and that the default. No c
// is neither flags nor environment. What is wrong is in problems.
func New(c *cli.Context, file string) *Config {
	cf := &Config{Values: map[string]Value{"root": {Is: ".", Key: "root"}}}
	known := []string{"root"}
	byKey := map[string]cli.Flag{"root": &cli.StringFlag{Name: "root"}}
	for _, g := range ServeGroups() {
		for _, f := range g.Flags {
			name := f.Names()[0]
			key := g.Key(name)
			cf.Values[name] = Value{Is: defaultOf(f), Key: key}
			known = append(known, key)
			byKey[key] = f
		}
	}
	if file != "" {
		var err error
		if cf.File, err = ReadConfig(file); err != nil {
			cf.Problems = append(cf.Problems, err)
		} else {
			cf.readFile(byKey, known)
		}
	}
	if c != nil {
		cf.readFlags(c, byKey)
	}
	if len(cf.List("listen")) == 0 && len(cf.List("listen-tls")) == 0 {
		if cf.Values["listen"].By == ByFile {
			cf.Wrong("listen", "is empty: name an address such as 127.0.0.1:2121, or leave it out for that one")
		}
		cf.settle("listen", []string{"127.0.0.1:2121"})
	}
	switch {
	case cf.Str("tls") != "":
	case cf.On("tls-self-signed") || len(cf.List("tls-cert")) > 0:
		cf.settle("tls", "optional")
	default:
		cf.settle("tls", "off")
	}
	cf.collectUsers(c)
	return cf
}

// settle says what a default comes to.
func (cf *Config) settle(name string, is any) {
	v := cf.Values[name]
	v.Is = is
	cf.Values[name] = v
}

// readFlags takes over what the command line and the environment say.
func (cf *Config) readFlags(c *cli.Context, byKey map[string]cli.Flag) {
	for _, f := range byKey {
		name := f.Names()[0]
		if name == "root" || !c.IsSet(name) {
			continue
		}
		v := cf.Values[name]
		v.Is, v.By = flagValue(c, f), ByFlag
		if text, ok := os.LookupEnv(flags.EnvName(name)); ok && fmt.Sprint(envValue(f, text)) == fmt.Sprint(v.Is) {
			v.By = byEnv
		}
		cf.Values[name] = v
	}
	cf.readPort(c)
	if c.Command.Name == "serve" || c.Command.Name == "show" {
		if c.Args().Present() {
			cf.Values["root"] = Value{Is: c.Args().First(), By: ByFlag, Key: "root"}
		}
	}
}

// readPort takes over --port, one more address to listen on.
func (cf *Config) readPort(c *cli.Context) {
	port := Value{Is: []string{net.JoinHostPort("127.0.0.1", c.String("port"))}, By: ByFlag, Key: "listen", flag: "port"}
	if flags.FromEnv(c, "port") {
		port.By = byEnv
	}
	v := cf.Values["listen"]
	if !c.IsSet("port") || port.By < v.By {
		return
	}
	if n := c.Int("port"); n < 0 || n > 65535 {
		cf.Values["listen"] = port
		cf.Wrong("listen", "%d: a port is a number from 0 to 65535", n)
		return
	}
	if port.By == v.By {
		v.Is = append(slices.Clone(cf.List("listen")), port.Is.([]string)...)
		port = v
	}
	cf.Values["listen"] = port
}

// verbtest.ReadFile takes over what the file says, [users] apart.
func (cf *Config) readFile(byKey map[string]cli.Flag, known []string) {
	tables := []string{"users"}
	for _, g := range ServeGroups() {
		tables = append(tables, g.Table)
	}
	withKeys := cf.File.tablesWithKeys()
	for _, k := range cf.File.keys {
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
			cf.Values[name] = Value{Is: is, By: ByFile, line: k.line, Key: k.String()}
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
	if key := verb.Nearest(k.String(), append(known, "users")); key != "" {
		return ": did you mean " + key + "?"
	}
	return "; docs/configuration.md lists them"
}

// beside makes the names of files in the file relative to it, not to wherever serve
// was started.
func (cf *Config) beside(is any) any {
	dir := filepath.Dir(cf.File.Name)
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

func (cf *Config) Str(name string) string    { s, _ := cf.Values[name].Is.(string); return s }
func (cf *Config) List(name string) []string { l, _ := cf.Values[name].Is.([]string); return l }
func (cf *Config) On(name string) bool       { b, _ := cf.Values[name].Is.(bool); return b }
func (cf *Config) Num(name string) int       { n, _ := cf.Values[name].Is.(int); return n }
func (cf *Config) Time(name string) time.Duration {
	d, _ := cf.Values[name].Is.(time.Duration)
	return d
}
func (cf *Config) Given(name string) bool { return cf.Values[name].By != ByDefault }

// Label is how a setting was written, for an error about another one: --tls, MINIFTP_TLS,
// or the file, the line and tls.mode.
func (cf *Config) Label(name string) string {
	if v := cf.Values[name]; v.By == ByFile {
		return cf.File.place(v.line) + ": " + v.Key
	}
	return cf.Word(name)
}

// Word is label without the place.
func (cf *Config) Word(name string) string {
	switch v := cf.Values[name]; {
	case v.By == ByFile:
		return v.Key
	case v.By == byEnv:
		return flags.EnvName(cmp.Or(v.flag, name))
	case name == "root":
		return "ROOT"
	default:
		return "--" + cmp.Or(v.flag, name)
	}
}

// Wrong notes that a setting can't be meant.
func (cf *Config) Wrong(name, format string, args ...any) {
	cf.Blame(name, verb.Usagef("%s %s", cf.Word(name), fmt.Sprintf(format, args...)))
}

// wrongKey notes that a key of the file can't be meant.
func (cf *Config) wrongKey(k fileKey, format string, args ...any) {
	cf.Problem(cf.File.At(k.line, verb.Usagef("%s: %s", k, fmt.Sprintf(format, args...))))
}

// Blame notes an error, nil is none, that a setting brings about.
func (cf *Config) Blame(name string, err error) { cf.Problem(cf.Located(name, err)) }

// Located is an error that a setting brings about with the line of that, if it has one.
func (cf *Config) Located(name string, err error) error {
	if v := cf.Values[name]; err != nil && v.By == ByFile {
		return cf.File.At(v.line, err)
	}
	return err
}

// Problem notes an error; nil is none.
func (cf *Config) Problem(err error) {
	if err != nil {
		cf.Problems = append(cf.Problems, err)
	}
}

// SayProblems prints what is wrong, that of a file by its lines; the first one decides
// the exit code.
func SayProblems(e *verb.Env, cf *Config) error {
	if len(cf.Problems) == 0 {
		return nil
	}
	for _, err := range cf.Sorted() {
		e.SayError(err)
	}
	return verb.Reported{Err: cf.Problems[0]}
}

func (cf *Config) Sorted() []error {
	line := func(err error) int {
		var l *lineError
		if errors.As(err, &l) {
			return l.line
		}
		return 0
	}
	slices.SortStableFunc(cf.Problems, func(a, b error) int { return line(a) - line(b) })
	return cf.Problems
}

// Setting is one line of config show.
type Setting struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	From  string `json:"from"`

	Otherwise string // what it means that there is no value
}

// Setting is one of them with its source.
func (cf *Config) Setting(name string) Setting {
	v := cf.Values[name]
	s := Setting{Key: v.Key, Value: v.Is, From: "default"}
	switch v.By {
	case ByFlag:
		s.From = cf.Label(name)
	case byEnv:
		s.From = cf.Word(name)
	case ByFile:
		s.From = fmt.Sprintf("%s:%d", ftp.Printable(cf.File.Name), v.line)
	}
	if d, ok := v.Is.(time.Duration); ok {
		s.Value = flags.DurationText(d)
	}
	if list, ok := v.Is.([]string); ok && list == nil {
		s.Value = []string{}
	}
	return s
}

// Names are a list's words, taken apart at commas.
func (cf *Config) Names(name string) []string {
	var all []string
	for _, item := range cf.List(name) {
		for s := range strings.SplitSeq(item, ",") {
			if s = strings.TrimSpace(s); s == "" {
				cf.Wrong(name, "%q: a name is missing", item)
				continue
			}
			all = append(all, s)
		}
	}
	return all
}
