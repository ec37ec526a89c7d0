package flags

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Section is a group of flags in the help.
type Section struct {
	Title string
	Flags []cli.Flag
}

// mattersMost are the flags that --help shows without =all, of those that many verbs have, and
// of the verbs that have many of their own.
var mattersMost = map[string][]string{
	"":       {"user", "tls", "active", "timeout", "explain", "verbose", "json"},
	"serve":  {"config", "user", "port", "listen", "anonymous", "passive-ports", "public-ip", "max-sessions", "tls", "tls-cert", "tls-self-signed", "verbose", "explain"},
	"mirror": {"delete", "dry-run", "include", "exclude", "newer", "parallel", "user", "tls", "active", "explain", "verbose"},
	"get":    {"resume", "recursive", "parallel", "rate", "user", "tls", "active", "timeout", "explain", "verbose"},
	"put":    {"resume", "recursive", "parallel", "rate", "user", "tls", "active", "timeout", "explain", "verbose"},
	"ls":     {"long", "all", "recursive", "human", "sort", "by-time", "reverse", "json", "user", "tls", "verbose"},
	"bench":  {"only", "time", "count", "size", "yes", "user", "tls", "active", "json"},
}

// Sections are the flags of a verb by their categories; the first one holds those without.
func Sections(c *cli.Command) []Section {
	all := []Section{{Title: "Flags"}}
	for _, f := range c.Flags {
		title := all[0].Title
		if f, ok := f.(cli.CategorizableFlag); ok && f.GetCategory() != "" {
			title = f.GetCategory()
		}
		at := slices.IndexFunc(all, func(s Section) bool { return s.Title == title })
		if at < 0 {
			at, all = len(all), append(all, Section{Title: title})
		}
		all[at].Flags = append(all[at].Flags, f)
	}
	return all
}

// Categorize says in which section of the help flags stand.
func Categorize(title string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			f.Category = title
		case *cli.StringFlag:
			f.Category = title
		case *cli.StringSliceFlag:
			f.Category = title
		case *cli.IntFlag:
			f.Category = title
		case *DurationFlag:
			f.Category = title
		case *cli.GenericFlag:
			f.Category = title
		}
	}
	return flags
}

// mattering returns the groups with the flags of them that matter most.
func mattering(all []Section, path string) (some []Section) {
	verb, _, _ := strings.Cut(strings.Replace(path, "config show", "serve", 1), " ")
	names, own := mattersMost[verb]
	if !own {
		names = mattersMost[""]
	}
	for i, group := range all {
		one := Section{Title: group.Title}
		for _, f := range group.Flags {
			if i == 0 && !own || slices.Contains(names, f.Names()[0]) {
				one.Flags = append(one.Flags, f)
			}
		}
		if i == 0 || one.Flags != nil {
			some = append(some, one)
		}
	}
	return some
}

func flagCount(groups []Section) (n int) {
	for _, g := range groups {
		n += len(g.Flags)
	}
	return n
}
