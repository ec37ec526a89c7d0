package settings

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// configFile is a parsed configuration file: its keys, with their lines.
type configFile struct {
	name   string
	keys   []fileKey // in order
	shared bool      // others than its owner and group may read it
}

// fileKey is a key with its value or, if that is nil, the head of a table.
type fileKey struct {
	path  []string
	value any // string, int64, bool, []any … as package toml has them
	line  int
}

// String returns the key as it is written.
func (k fileKey) String() string { return ftp.Printable(strings.Join(k.path, ".")) }

// at returns err with the file and the line in front.
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

// readConfig reads and parses a file; an error of the file itself names the line.
func readConfig(name string) (*configFile, error) {
	text, mode, err := local.ReadFile(name)
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
			return nil, f.at(line, verb.Usagef("[[%s]]: a table stands in single brackets here", strings.Join(path, ".")))
		}
	}
	if err := p.Error(); err != nil {
		return nil, f.syntax(err)
	}
	return f, nil
}

// nodeKey returns the key of an expression, and its offset.
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

// lineCounter converts ascending offsets to lines, reading the text only once.
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

// lookUp finds the value of a key.
func lookUp(values map[string]any, path []string) any {
	var v any = values
	for _, k := range path {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// add appends a key. An inline table is appended as a table with keys.
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
		return f.at(line, verb.Usagef("this is not TOML: %s", ftp.Printable(text)))
	}
	return verb.Usagef("%s: this is not TOML: %s", ftp.Printable(f.name), ftp.Printable(text))
}
