package verb

import (
	"fmt"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
)

// Omissions collects what a run over trees leaves out, such as links, and reports it once at the
// end. Otherwise a nightly job would report the same names every night. It is safe for concurrent
// use.
type Omissions struct {
	e      *Env
	strict bool // an omission makes the run fail
	hint   string
	Emit   func(name, why string) // called for each name; may be nil

	mu     sync.Mutex
	groups []*leftGroup
}

// leftGroup holds the names that were left out for one reason.
type leftGroup struct {
	why   string // as in "it is a link"
	names []string
	count int
}

// namedLeft is how many names of a group are printed.
const namedLeft = 3

// LeftLink is the reason for leaving out a link, unless --links takes links.
const LeftLink = "it is a link"

// StrictFlag returns the flag --strict of verbs that transfer trees.
func StrictFlag() cli.Flag {
	return &cli.BoolFlag{Name: "strict", Usage: "fail (exit 6) if a link, or a name that can't be sent, was left out"}
}

// NewOmissions returns the omissions of a run. With --strict each of them is an error.
func (e *Env) NewOmissions(c *cli.Context) *Omissions {
	l := &Omissions{e: e, strict: c.Bool("strict")}
	for _, f := range c.Command.Flags {
		if f.Names()[0] == "links" {
			l.hint = "; --links follow or --links copy takes links"
		}
	}
	return l
}

// Add records a name and why it was left out: a clause that begins with "it is" or "its".
func (l *Omissions) Add(name, why string) {
	if l.Emit != nil {
		l.Emit(name, why)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var g *leftGroup
	for _, other := range l.groups {
		if other.why == why {
			g = other
		}
	}
	if g == nil {
		g = &leftGroup{why: why}
		l.groups = append(l.groups, g)
	}
	if g.count++; len(g.names) < namedLeft {
		g.names = append(g.names, ftp.Printable(name))
	}
}

// line returns the message about one group.
func (g *leftGroup) line() string {
	if g.count == 1 {
		return g.names[0] + ": left out: " + g.why
	}
	why := "each is" + strings.TrimPrefix(g.why, "it is")
	if rest, ok := strings.CutPrefix(g.why, "its "); ok {
		why = "of each the " + rest
	}
	more := ""
	if n := g.count - len(g.names); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("%d left out: %s%s: %s", g.count, strings.Join(g.names, ", "), more, why)
}

// Tell prints a line for each reason. With --strict the lines are errors, and Tell returns the
// first.
func (l *Omissions) Tell() error {
	l.mu.Lock()
	groups := l.groups
	l.groups = nil
	l.mu.Unlock()
	if l.e.Ctx.Err() != nil {
		return nil
	}
	var first error
	for _, g := range groups {
		line := g.line()
		if g.why == LeftLink {
			line += l.hint
		}
		if !l.strict {
			l.e.Note("%s", line)
			continue
		}
		err := fmt.Errorf("%s: %w", line, errStrict)
		l.e.SayError(err)
		first = FirstError(first, Reported{Err: err})
	}
	return first
}
