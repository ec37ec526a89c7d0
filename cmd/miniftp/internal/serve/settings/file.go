package settings

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// configFile is a parsed configuration file: its keys, with their lines.
type configFile struct {
	name   string
	keys   []fileKey // in order
	shared bool      // users other than its owner and group can read it
}

// fileKey is a key with its value. If the value is nil, it is the head of a table.
type fileKey struct {
	path  []string
	value any // string, int64, bool, []any … as package toml has them
	line  int
}

// String returns the key in dotted form.
func (k fileKey) String() string { return ftp.Printable(strings.Join(k.path, ".")) }

// at returns err prefixed with the file and the line.
func (f *configFile) at(line int, err error) error { return &lineError{f.name, line, err} }

// place returns FILE:LINE.
func (f *configFile) place(line int) string { return fmt.Sprintf("%s:%d", ftp.Printable(f.name), line) }

// lineError is an error in a line of a file.
type lineError struct {
	file string
	line int
	err  error
}

func (e *lineError) Error() string {
	return fmt.Sprintf("%s:%d: %v", ftp.Printable(e.file), e.line, e.err)
}

func (e *lineError) Unwrap() error { return e.err }

// readConfig reads and parses a file. A syntax error names its line.
func readConfig(name string) (*configFile, error) {
	text, mode, err := storage.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := &configFile{name: name, shared: mode.Perm()&0o004 != 0}
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		return nil, f.syntax(err)
	}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	lines := lineCounter{text: text, line: 1}
	for p.NextExpression() {
		n := p.Expression()
		path, offset := nodeKey(n)
		line := lines.at(offset)
		switch n.Kind {
		case unstable.KeyValue:
			path = slices.Concat(table, path)
			f.add(fileKey{path, lookUp(values, path), line})
		case unstable.Table:
			table = path
			f.keys = append(f.keys, fileKey{path: path, line: line})
		case unstable.ArrayTable:
			return nil, f.at(line, verb.Usagef("[[%s]]: write tables in single brackets", strings.Join(path, ".")))
		}
	}
	if err := p.Error(); err != nil {
		return nil, f.syntax(err)
	}
	return f, nil
}

// nodeKey returns the key of an expression and its offset in the text.
func nodeKey(n *unstable.Node) (path []string, offset int) {
	for it := n.Key(); it.Next(); {
		k := it.Node()
		if path == nil {
			offset = int(k.Raw.Offset)
		}
		path = append(path, string(k.Data))
	}
	return path, offset
}

// lineCounter converts ascending offsets to line numbers, reading the text only once.
type lineCounter struct {
	text   []byte
	offset int
	line   int
}

func (l *lineCounter) at(offset int) int {
	if offset > l.offset {
		l.line += bytes.Count(l.text[l.offset:offset], []byte("\n"))
		l.offset = offset
	}
	return l.line
}

// lookUp returns the value of a key, or nil if there is none.
func lookUp(values map[string]any, path []string) any {
	var v any = values
	for _, k := range path {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// add appends a key. An inline table is appended like a table with its keys.
func (f *configFile) add(k fileKey) {
	inline, ok := k.value.(map[string]any)
	if !ok {
		f.keys = append(f.keys, k)
		return
	}
	f.keys = append(f.keys, fileKey{path: k.path, line: k.line})
	names := make([]string, 0, len(inline))
	for name := range inline {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f.add(fileKey{slices.Concat(k.path, []string{name}), inline[name], k.line})
	}
}

// syntax returns the error for a file that is not TOML.
func (f *configFile) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, _ := decode.Position()
		return f.at(line, verb.Usagef("not valid TOML: %s", ftp.Printable(text)))
	}
	return verb.Usagef("%s: not valid TOML: %s", ftp.Printable(f.name), ftp.Printable(text))
}

// readFile reads the settings in the file, except [users] and [groups].
func (cf *Config) readFile() {
	byKey := map[string]*setting{}
	tables := []string{"users", "groups"}
	for _, s := range cf.all {
		byKey[s.key()] = s
		tables = append(tables, s.group.table)
	}
	withKeys := cf.file.tablesWithKeys()
	for _, k := range cf.file.keys {
		if k.path[0] == "users" || k.path[0] == "groups" {
			continue
		}
		s, ok := byKey[strings.Join(k.path, ".")]
		switch {
		case ok && k.value == nil:
			cf.wrongKey(k, "this is a setting, not a table: write  %s = …", k)
		case ok:
			if err := s.value.setFile(k.value); err != nil {
				cf.wrongKey(k, "%v", err)
				continue
			}
			s.by, s.line = ByFile, k.line
			if s.path {
				for _, path := range s.value.texts() {
					if s.noPath == "" || *path != s.noPath {
						*path = cf.Beside(*path)
					}
				}
			}
		case k.value == nil && len(k.path) == 1 && slices.Contains(tables, k.path[0]):
		case k.value != nil || !withKeys[strings.Join(k.path, "\x00")]:
			cf.wrongKey(k, "unknown setting%s", cf.hint(k))
		}
	}
}

// tablesWithKeys returns the tables in which the file sets keys. If such a table is
// unknown, errors name its keys rather than the table.
func (f *configFile) tablesWithKeys() map[string]bool {
	const deepest = 8 // no setting is nested this deep
	tables := map[string]bool{}
	for _, k := range f.keys {
		for i := 1; k.value != nil && i < min(len(k.path), deepest); i++ {
			tables[strings.Join(k.path[:i], "\x00")] = true
		}
	}
	return tables
}

// hint returns the end of the error for an unknown key: what the user may have meant.
func (cf *Config) hint(k fileKey) string {
	last := k.path[len(k.path)-1]
	if k.path[0] == "group" {
		return ": a group is a table [groups.NAME] with perm, root and so on"
	}
	if k.path[0] == "user" {
		return ": a user is a table [users.NAME] with password, perm and so on"
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
	if key := verb.Nearest(k.String(), append(keys, "users", "groups")); key != "" {
		return ": did you mean " + key + "?"
	}
	return "; docs/configuration.md lists all settings"
}

// wrongKey records a mistake in a key of the file.
func (cf *Config) wrongKey(k fileKey, format string, args ...any) {
	cf.Problem(cf.file.at(k.line, verb.Usagef("%s: %s", k, fmt.Sprintf(format, args...))))
}

// Beside resolves a file name relative to the configuration file rather than to the directory
// where serve was started.
func (cf *Config) Beside(name string) string {
	if storage.Is(cf.file.name) {
		return storage.Beside(cf.file.name, name)
	}
	scheme := ""
	if verb.IsURL(name) && !strings.Contains(name, "://") { // an archive, such as zip:FILE
		scheme, name, _ = strings.Cut(name, ":")
		scheme += ":"
	}
	if name == "" || filepath.IsAbs(name) || strings.Contains(name, "://") {
		return scheme + name
	}
	return scheme + filepath.Join(filepath.Dir(cf.file.name), name)
}
