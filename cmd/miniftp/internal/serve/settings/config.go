// Package settings reads the settings of serve from flags, environment variables and the
// configuration file, and reports each mistake with its place.
//
// The table in table.go is the only list of settings; flags, keys and documentation are made from
// it. The package opens no root, does not listen, and does not import the server.
package settings

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Config holds the settings and users of serve, and where each comes from.
//
// Methods that take a field expect a pointer to a field of this Config, such as &cf.TLS, and panic
// if they get anything else. Because settings are named by pointers, a misspelled one does not compile.
type Config struct {
	Settings
	Path     string // of the configuration file, "" for none
	Users    []*Account
	Rootless []*Account // users who can't log in, because their names can't be in their roots
	Problems []error
	Warnings []string

	file    *configFile // nil if there is none, or if it can't be read
	all     []*setting  // in the order of the file
	byField map[any]*setting
	byName  map[string]*Account
	groups  map[string][]fileKey // the keys of [groups.NAME]
	// Mounts of groups whose root has a mistake, which is recorded: by the group and the path.
	badMounts map[[2]string]bool

	external []*Account     // ExternalUsers("")
	byUser   []externalRoot // those with {user}
	trees    []Tree         // AllTrees()
}

// Origin is where the value of a setting comes from. Each Origin overrides those before it.
type Origin int

// The origins.
const (
	ByDefault Origin = iota // not set
	ByFile                  // a key of the configuration file
	ByEnv                   // an environment variable
	ByFlag                  // a flag or an argument
)

// setting is a row of the table with the origin of its value.
type setting struct {
	*row
	by     Origin
	line   int  // of the file, if by is ByFile
	asPort bool // from --port
}

// New reads the command line of serve, with the environment and the configuration file that it
// names: flags override the environment, which overrides the file, which overrides the
// defaults. Mistakes are in Problems.
func New(c *cli.Context) *Config { return read(c, c.String(configFlag)) }

// FromFile reads a configuration file, or nothing if path is "", without flags and environment.
func FromFile(path string) *Config { return read(nil, path) }

func read(c *cli.Context, path string) *Config {
	cf := &Config{Path: path, byField: map[any]*setting{}, byName: map[string]*Account{}, groups: map[string][]fileKey{}, badMounts: map[[2]string]bool{}}
	for _, r := range table(&cf.Settings) {
		s := &setting{row: r}
		r.value.reset()
		cf.all = append(cf.all, s)
		cf.byField[r.value.field()] = s
	}
	if path != "" {
		var err error
		if cf.file, err = readConfig(path); err != nil {
			cf.Problem(err)
		} else {
			cf.readFile()
		}
	}
	if c != nil {
		cf.readFlags(c)
	}
	if len(cf.Listen) == 0 && len(cf.ListenTLS) == 0 {
		if cf.By(&cf.Listen) == ByFile {
			cf.Wrong(&cf.Listen, "is empty: name an address such as %s, or remove it to use that one", defaultListen)
		}
		cf.Listen = []string{defaultListen}
	}
	switch {
	case cf.TLS != "":
	case cf.TLSSelfSigned || len(cf.TLSCert) > 0 || len(cf.TLSACME) > 0:
		cf.TLS = "optional"
	default:
		cf.TLS = "off"
	}
	cf.collectUsers(c)
	cf.check()
	return cf
}

// readFlags reads the command line and the environment.
func (cf *Config) readFlags(c *cli.Context) {
	for _, s := range cf.all {
		if s.argument || !c.IsSet(s.name) {
			continue
		}
		s.value.setFlag(c, s.name)
		s.by = ByFlag
		if text, ok := os.LookupEnv(flags.EnvName(s.name)); ok && s.value.isEnv(text) {
			s.by = ByEnv
		}
	}
	cf.readPort(c)
	if c.Args().Present() {
		cf.Root = c.Args().First()
		cf.of(&cf.Root).by = ByFlag
	}
}

// readPort reads --port, which adds an address to listen on.
func (cf *Config) readPort(c *cli.Context) {
	by := ByFlag
	if flags.FromEnv(c, portFlag) {
		by = ByEnv
	}
	s := cf.of(&cf.Listen)
	if !c.IsSet(portFlag) || by < s.by {
		return
	}
	if by > s.by {
		s.by, s.asPort = by, true
		cf.Listen = nil
	}
	if n := c.Int(portFlag); n < 0 || n > 65535 {
		cf.Wrong(&cf.Listen, "%d: must be a port number from 0 to 65535", n)
		return
	}
	cf.Listen = append(slices.Clone(cf.Listen), net.JoinHostPort("127.0.0.1", c.String(portFlag)))
}

// check records words that a setting does not accept, and numbers and durations that are too small.
func (cf *Config) check() {
	for _, s := range cf.all {
		if s.value.atDefault() {
			continue
		}
		field := s.value.field()
		for _, word := range s.wordsIn() {
			if !slices.Contains(s.words, word) {
				cf.Wrong(field, "%q: %s", word, flags.OneOf(s.name, word))
				break
			}
		}
		switch sign, zero := s.value.sign(), cmp.Or(s.zero, s.otherwise); {
		case sign <= 0 && zero == "":
			cf.Wrong(field, "%v: must be greater than 0", s.value.shown())
		case sign < 0:
			cf.Wrong(field, "%v: must not be negative; 0 means %s", s.value.shown(), zero)
		}
	}
}

// wordsIn returns the values of s that must be among s.words.
func (s *setting) wordsIn() (all []string) {
	if s.words == nil || s.by == ByDefault { // the default of anonymous can be a list of permissions
		return nil
	}
	for _, text := range s.value.texts() {
		all = append(all, *text)
	}
	if s.commas {
		return Words(all)
	}
	return all
}

// of returns the setting that field belongs to.
func (cf *Config) of(field any) *setting {
	s, ok := cf.byField[field]
	if !ok {
		panic(fmt.Sprintf("settings: %T is not a pointer to a field of this Config", field))
	}
	return s
}

// By returns where the value of a setting comes from.
func (cf *Config) By(field any) Origin { return cf.of(field).by }

// Given reports whether a setting is in a flag, a variable or the file.
func (cf *Config) Given(field any) bool { return cf.By(field) != ByDefault }

// Key returns the name of a setting in the file.
func (cf *Config) Key(field any) string { return cf.of(field).key() }

// Unreadable reports whether there is a configuration file that can't be read. If so, other problems
// would only be consequences of that.
func (cf *Config) Unreadable() bool { return cf.Path != "" && cf.file == nil }

// KeepUntilRestart copies the settings that a reload can't change from old, and returns the keys
// of those that differed.
func (cf *Config) KeepUntilRestart(old *Config) (changed []string) {
	for i, s := range cf.all {
		if before := old.all[i]; s.restart && !reflect.DeepEqual(s.value.shown(), before.value.shown()) {
			s.value.take(before.value)
			changed = append(changed, s.key())
		}
	}
	return changed
}

// NeedTLS returns the settings that have no effect without TLS and are not at their defaults.
func (cf *Config) NeedTLS() (fields []any) {
	for _, s := range cf.all {
		if (s.group == tlsGroup || s.value.field() == any(&cf.ListenTLS)) && s.value.field() != any(&cf.TLS) && !s.value.atDefault() {
			fields = append(fields, s.value.field())
		}
	}
	return fields
}

// Words splits the items of a list at commas.
func Words(list []string) (all []string) {
	for _, item := range list {
		for s := range strings.SplitSeq(item, ",") {
			all = append(all, strings.TrimSpace(s))
		}
	}
	return all
}

// Names splits the names in a list at commas, and records an empty name as a mistake.
func (cf *Config) Names(field *[]string) (all []string) {
	for _, item := range *field {
		for _, s := range Words([]string{item}) {
			if s == "" {
				cf.Wrong(field, "%q: a name is missing", item)
				continue
			}
			all = append(all, s)
		}
	}
	return all
}
