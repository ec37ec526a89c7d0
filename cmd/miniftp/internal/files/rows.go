package files

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// row is one line of ls with its sort keys.
type row struct {
	key        int64
	name, text string
}

// rows prints what ls lists. It has two modes:
//   - sorting: entries are kept until end, or until they need more than maxHeld bytes. Then they are
//     sorted and printed, and later ones are printed in the order of the server;
//   - streaming, for --json in the order of the server: entries are printed at once.
//
// A listing whose connection breaks is retried from its beginning. That is possible while its entries are
// kept, or while the names that have been printed are known and can be skipped.
type rows struct {
	e       *verb.Env
	key     func(listed) int64 // the first sort key; the name is the second
	reverse bool
	text    func(listed) string
	json    bool
	stream  bool // print each entry at once

	emitted map[string]bool // the names of the current listing that have been printed
	skip    map[string]bool // names printed by an earlier try of this listing

	kept    []row
	held    int // memory used by kept or emitted, in bytes
	n       int // entries so far
	printed int // how many array elements or lines have been printed
}

// sortKeys holds the sort key for each value of --sort.
var sortKeys = map[string]func(listed) int64{
	"name": func(listed) int64 { return 0 },
	"size": func(it listed) int64 { return -it.Size },
	"time": func(it listed) int64 { return -it.Modified.UnixMicro() },
}

// newRows returns rows that print what the flags ask for.
func newRows(e *verb.Env, c *cli.Context) (*rows, error) {
	word, err := sortWord(c)
	if err != nil {
		return nil, err
	}
	out := &rows{e: e, key: sortKeys[word], text: func(it listed) string { return shownAs(e, it) }, reverse: c.Bool("reverse")}
	if out.json = c.Bool("json"); out.json {
		e.JSONFailed = out.fail
	}
	switch {
	case out.key == nil:
		return nil, verb.Usagef("--sort %q: %s", word, flags.OneOf("sort", word))
	case out.json:
		out.text = jsonText
		out.stream = word == "name" && !flags.Asked(c, "sort") && !out.reverse
	case c.Bool("long") && !flags.Asked(c, "names"), flags.Asked(c, "long"):
		bytes := func(n int64) string { return fmt.Sprint(n) }
		if c.Bool("human") {
			bytes = term.Size
		}
		out.text = func(it listed) string { return longLine(e, it, bytes) }
	}
	return out, nil
}

// sortWord returns the value of --sort, for which -t and -S are short. The command line takes
// precedence over the environment.
func sortWord(c *cli.Context) (string, error) {
	word, typed := "", ""
	for _, f := range []struct{ flag, word string }{{"sort", c.String("sort")}, {"by-time", "time"}, {"by-size", "size"}} {
		switch {
		case f.flag != "sort" && !c.Bool(f.flag):
		case !flags.Asked(c, f.flag):
			word = cmp.Or(word, f.word)
		case typed != "" && typed != f.word:
			return "", verb.Usagef("ls sorts by one key: -t (--sort time) and -S (--sort size) can't be combined")
		default:
			typed = f.word
		}
	}
	return cmp.Or(typed, word, "name"), nil
}

func (p *rows) add(it listed) {
	p.n++
	it.name = strings.Clone(it.name)
	r := row{p.key(it), it.name, p.text(it)}
	if p.stream {
		p.streamed(r)
		return
	}
	if p.printed > 0 {
		p.print(r.text)
		return
	}
	const header = 100 // estimated memory of a row beside its strings
	p.kept = append(p.kept, r)
	if p.held += header + len(r.name) + len(r.text); p.held > maxHeld {
		p.e.Note("too many entries to sort: the rest is in the order of the server")
		p.flush()
	}
}

// streamed prints an entry at once, unless an earlier try of the same listing printed it.
func (p *rows) streamed(r row) {
	if p.skip[r.name] {
		return
	}
	const header = 64 // estimated memory of a map entry beside the name
	if p.held += header + len(r.name); p.emitted != nil && p.held <= maxHeld {
		p.emitted[r.name] = true
	} else {
		p.emitted = nil // too many to remember
	}
	p.print(r.text)
}

// begin starts a listing, which may be retried.
func (p *rows) begin() {
	if p.stream {
		p.emitted, p.skip, p.held = map[string]bool{}, nil, 0
	}
}

// rewind drops the entries after the first n, because the listing is retried.
func (p *rows) rewind(n int) error {
	switch {
	case n == p.n:
	case p.stream && p.emitted != nil:
		p.skip = p.emitted
	case p.stream || p.printed > 0:
		return errors.New("the connection broke in the middle of a long listing")
	default:
		p.kept, p.n = p.kept[:n], n
	}
	return nil
}

// flush sorts and prints the entries held back.
func (p *rows) flush() {
	slices.SortStableFunc(p.kept, func(a, b row) int {
		order := cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.name, b.name))
		if p.reverse {
			return -order
		}
		return order
	})
	for _, r := range p.kept {
		p.print(r.text)
	}
	p.kept = nil
}

func (p *rows) print(text string) {
	before, after := "", "\n"
	if p.json {
		before, after = ",\n", ""
		if p.printed == 0 {
			before = "[\n"
		}
	}
	p.printed++
	fmt.Fprint(p.e.Out, before, text, after)
}

// fail adds a failure as the last element of the array of --json.
func (p *rows) fail(err error) {
	p.flush()
	p.print(verb.JSONLine(verb.NewFailure("", err)))
}

// end prints the remaining entries and closes the array.
func (p *rows) end() {
	p.flush()
	switch {
	case !p.json:
	case p.printed == 0:
		fmt.Fprint(p.e.Out, "[]\n")
	default:
		fmt.Fprint(p.e.Out, "\n]\n")
	}
}

// jsonText returns an entry as an element of a JSON array.
func jsonText(it listed) string { return verb.JSONLine(toJSON(it)) }

const maxHeld = 8 << 20 // the limit of rows.held

// jsonEntry is one object of ls --json and stat --json.
type jsonEntry struct {
	Name     string `json:"name"`
	Raw      []byte `json:"raw,omitempty"` // the name in base64, if it is not UTF-8
	Type     string `json:"type"`          // file, dir, link, or other
	Size     *int64 `json:"size,omitempty"`
	Modified string `json:"modified,omitempty"` // RFC 3339
	Mode     string `json:"mode,omitempty"`     // octal
	Perm     string `json:"perm,omitempty"`     // the MLSx fact
	Owner    string `json:"owner,omitempty"`
	Group    string `json:"group,omitempty"`
	Target   string `json:"target,omitempty"`
	Unique   string `json:"unique,omitempty"`
}

func toJSON(it listed) jsonEntry {
	j := jsonEntry{
		Name: it.name, Type: it.Type.String(), Perm: it.Perm, Owner: it.Owner, Group: it.Group, Target: it.Target, Unique: it.Unique,
	}
	if !utf8.ValidString(it.name) {
		j.Raw = []byte(it.name)
	}
	if it.IsDir() {
		j.Type = "dir"
	}
	if it.Size >= 0 {
		j.Size = &it.Size
	}
	if !it.Modified.IsZero() {
		j.Modified = it.Modified.UTC().Format(time.RFC3339)
	}
	if it.HasMode {
		j.Mode = fmt.Sprintf("%04o", it.Mode.Perm())
	}
	return j
}
