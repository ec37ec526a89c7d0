package settings

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/verb"
)

// readFile reads the settings in the file, all but [users].
func (cf *Config) readFile() {
	byKey := map[string]*setting{}
	tables := []string{"users"}
	for _, s := range cf.all {
		byKey[s.key()] = s
		tables = append(tables, s.group.table)
	}
	withKeys := cf.file.tablesWithKeys()
	for _, k := range cf.file.keys {
		if k.path[0] == "users" {
			continue
		}
		s, ok := byKey[strings.Join(k.path, ".")]
		switch {
		case ok && k.value == nil:
			cf.wrongKey(k, "it is a setting, not a table: write  %s = …", k)
		case ok:
			if err := s.is.setFile(k.value); err != nil {
				cf.wrongKey(k, "%v", err)
				continue
			}
			s.by, s.line = ByFile, k.line
			if s.path {
				for _, path := range s.is.texts() {
					*path = cf.beside(*path)
				}
			}
		case k.value == nil && len(k.path) == 1 && slices.Contains(tables, k.path[0]):
		case k.value != nil || !withKeys[strings.Join(k.path, "\x00")]:
			cf.wrongKey(k, "there is no such setting%s", cf.hint(k))
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

// hint returns the end of the error for an unknown key: what may be meant.
func (cf *Config) hint(k fileKey) string {
	last := k.path[len(k.path)-1]
	if k.path[0] == "user" {
		return ": a user is a table here, [users.NAME], with password, perm and so on"
	}
	keys := []string{}
	for _, s := range cf.all {
		keys = append(keys, s.key())
		table, key := s.group.table, strings.TrimPrefix(s.key(), s.group.table+".")
		switch {
		case last != key && last != strings.TrimSuffix(table+"-", "-")+"-"+key && strings.ReplaceAll(last, "_", "-") != key:
		case table == "":
			return ": did you mean " + key + ", at the top, before the first [table]?"
		default:
			return ": did you mean " + key + ", in [" + table + "]?"
		}
	}
	if key := verb.Nearest(k.String(), append(keys, "users")); key != "" {
		return ": did you mean " + key + "?"
	}
	return "; docs/configuration.md lists them"
}

// wrongKey records a mistake in a key of the file.
func (cf *Config) wrongKey(k fileKey, format string, args ...any) {
	cf.Problem(cf.file.at(k.line, verb.Usagef("%s: %s", k, fmt.Sprintf(format, args...))))
}

// beside resolves a file name relative to the configuration file rather than to the directory
// where serve was started.
func (cf *Config) beside(name string) string {
	if name == "" || filepath.IsAbs(name) || strings.Contains(name, "://") {
		return name
	}
	return filepath.Join(filepath.Dir(cf.file.name), name)
}
