package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// row is one line of ls, and what it is sorted by.
type row struct {
	key        int64
	name, text string
}

// rows prints what ls lists: sorted as long as it fits into so much memory, and what
// comes behind that as the server sends it.
type rows struct {
	e    *env
	key  func(listed) int64 // sorts before the name
	text func(listed) string
	json bool

	kept    []row
	held    int // bytes
	n       int // entries so far
	printed int
}

func (p *rows) add(it listed) {
	p.n++
	it.name = strings.Clone(it.name)
	r := row{p.key(it), it.name, p.text(it)}
	if p.printed > 0 {
		p.print(r)
		return
	}
	const header = 100 // of a row, in a slice that grows
	p.kept = append(p.kept, r)
	if p.held += header + len(r.name) + len(r.text); p.held > maxHeld {
		p.e.note("there are very many entries: from here on they are not sorted")
		p.flush()
	}
}

// back forgets what came behind the first n entries, to list it once more.
func (p *rows) back(n int) error {
	switch {
	case n == p.n:
	case p.printed > 0:
		return errors.New("the connection broke in the middle of a long listing")
	default:
		p.kept, p.n = p.kept[:n], n
	}
	return nil
}

// flush prints in order what was kept.
func (p *rows) flush() {
	slices.SortStableFunc(p.kept, func(a, b row) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.name, b.name)) })
	for _, r := range p.kept {
		p.print(r)
	}
	p.kept = nil
}

func (p *rows) print(r row) {
	before, after := "", "\n"
	if p.json {
		before, after = ",\n  ", ""
		if p.printed == 0 {
			before = "[\n  "
		}
	}
	p.printed++
	fmt.Fprint(p.e.out, before, r.text, after)
}

// end prints the rest.
func (p *rows) end() {
	p.flush()
	switch {
	case !p.json:
	case p.printed == 0:
		fmt.Fprint(p.e.out, "[]\n")
	default:
		fmt.Fprint(p.e.out, "\n]\n")
	}
}

// jsonText is an entry as an element of a JSON array.
func jsonText(it listed) string {
	var b strings.Builder
	if err := printJSON(&b, toJSON(it)); err != nil {
		return "null"
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\n", "\n  ")
}
