package mirror

import (
	"errors"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// filters are the patterns of --include and --exclude in their order: the first that
// fits decides, and what none fits is in. They have rsync's habits.
type filters []filter

type filter struct {
	include bool
	dir     bool   // fits directories only
	name    string // of the last component; "" if path is set
	path    []string
}

// filterWord is one of the two flags, which share a list.
type filterWord struct {
	all     *filters
	include bool
}

func (w *filterWord) String() string { return "" }

func (w *filterWord) Set(s string) error {
	r, err := parseFilter(s)
	if err == nil {
		r.include = w.include
		*w.all = append(*w.all, r)
	}
	return err
}

// parseFilter reads a pattern. A "/" at the end means directories only; one at the
// beginning ties it to the root of the mirror. With another "/", or "**", it is about
// the end of the path, without one about the name alone. "dir/***" is dir and all in it.
func parseFilter(s string) (filter, error) {
	r := filter{}
	p := literalBraces(s)
	whole := strings.HasSuffix(p, "/***")
	p = strings.TrimSuffix(p, "/***")
	if !whole && strings.HasSuffix(p, "/") {
		r.dir = true
		p = strings.TrimRight(p, "/")
	}
	p, anchored := strings.CutPrefix(p, "/")
	switch {
	case p == "" && !whole, !doublestar.ValidatePattern(p):
		return filter{}, errors.New("no pattern such as *.iso, /build/ or docs/**")
	case !anchored && !whole && !strings.Contains(p, "/") && p != "**":
		r.name = p
		return r, nil
	}
	if !anchored {
		p = "**/" + p
	}
	if whole {
		r.path = []string{p, p + "/**"}
		return r, nil
	}
	if strings.HasSuffix(p, "/**") {
		p += "/*" // something in the directory, not the directory itself
	}
	r.path = []string{p}
	return r, nil
}

// literalBraces makes braces stand for themselves, as they do for rsync.
func literalBraces(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			b.WriteByte(s[i])
			i++
		case s[i] == '{' || s[i] == '}':
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (r filter) fits(name string, dir bool) bool {
	if r.dir && !dir {
		return false
	}
	if r.name != "" {
		return doublestar.MatchUnvalidated(r.name, path.Base(name))
	}
	for _, p := range r.path {
		if doublestar.MatchUnvalidated(p, name) {
			return true
		}
	}
	return false
}

// selects is mirror.Plan.Select.
func (all filters) selects(name string, dir bool) bool {
	for _, r := range all {
		if r.fits(name, dir) {
			return r.include
		}
	}
	return true
}
