package mirror

import (
	"errors"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// filters holds the patterns of --include and --exclude in order. The first one that matches
// decides; a name that none matches is included. The patterns follow the rules of rsync.
type filters []filter

type filter struct {
	include bool
	dir     bool     // matches only directories
	name    string   // pattern of the last component; "" if path is set
	path    []string // patterns of the whole path, any of which may match
}

// filterWord is the flag.Value of --include or --exclude, which share a list.
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

// parseFilter parses a pattern. A "/" at the end restricts it to directories; a "/" at the
// beginning anchors it at the root of the mirror. A pattern with another "/", or with "**", matches
// the end of the path; any other one matches the name alone. "dir/***" matches dir and everything
// in it.
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
		return filter{}, errors.New("not a pattern such as *.iso, /build/ or docs/**")
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
		p += "/*" // matches what is in the directory, not the directory
	}
	r.path = []string{p}
	return r, nil
}

// literalBraces escapes braces, which are literal in rsync.
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

func (r filter) matches(name string, dir bool) bool {
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

// selects implements mirror.Plan.Select.
func (all filters) selects(name string, dir bool) bool {
	for _, r := range all {
		if r.matches(name, dir) {
			return r.include
		}
	}
	return true
}
