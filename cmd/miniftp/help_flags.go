package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// section is a group of flags in the help.
type section struct {
	title string
	flags []cli.Flag
}

// clientSections are the groups of the flags that all client verbs have.
var clientSections = []struct {
	title string
	names []string
}{
	{"Login", []string{"user", "password-file", "netrc", "account"}},
	{"TLS", []string{"tls", "ca-cert", "pin", "insecure", "cert", "key"}},
	{"Connection", []string{"active", "passive", "active-ports", "active-ip", "proxy", "timeout", "retries", "keep-alive", "charset"}},
	{"Transfer", []string{"parallel", "rate", "ascii", "mode", "level"}},
	{"Output", []string{"explain", "verbose", "quiet", "json", "no-progress", "record"}},
}

// matters are the flags that --help shows without =all, of those that many verbs have, and
// of the verbs that have many of their own.
var matters = map[string][]string{
	"":       {"user", "tls", "active", "timeout", "explain", "verbose", "json"},
	"serve":  {"config", "user", "port", "listen", "anonymous", "passive-ports", "public-ip", "max-sessions", "tls", "tls-cert", "tls-self-signed", "verbose", "explain"},
	"mirror": {"delete", "dry-run", "include", "exclude", "newer", "parallel", "user", "tls", "active", "explain", "verbose"},
	"get":    {"resume", "recursive", "parallel", "rate", "user", "tls", "active", "timeout", "explain", "verbose"},
	"put":    {"resume", "recursive", "parallel", "rate", "user", "tls", "active", "timeout", "explain", "verbose"},
	"ls":     {"long", "all", "recursive", "human", "sort", "by-time", "reverse", "json", "user", "tls", "verbose"},
	"bench":  {"only", "time", "count", "size", "yes", "user", "tls", "active", "json"},
}

// sections are the flags of a verb in groups; the first one holds those of its own.
func sections(c *cli.Command, path string) []section {
	all := []section{{title: "Flags"}}
	grouped := map[string]bool{}
	add := func(title string, names []string) {
		group := section{title: title}
		for _, name := range names {
			if f := findFlag(c.Flags, name); f != nil && f.Names()[0] == name {
				group.flags = append(group.flags, f)
				grouped[name] = true
			}
		}
		if group.flags != nil {
			all = append(all, group)
		}
	}
	switch {
	case path == "serve", path == "config show":
		for _, g := range serveGroups() {
			add(g.about, flagNames(g.flags))
		}
	case findFlag(c.Flags, "active") != nil:
		for _, g := range clientSections {
			add(g.title, g.names)
		}
	}
	for _, f := range c.Flags {
		if !grouped[f.Names()[0]] {
			all[0].flags = append(all[0].flags, f)
		}
	}
	return all
}

// mattering returns the groups with the flags of them that matter most.
func mattering(all []section, path string) (some []section) {
	verb, _, _ := strings.Cut(strings.Replace(path, "config show", "serve", 1), " ")
	names, own := matters[verb]
	if !own {
		names = matters[""]
	}
	for i, group := range all {
		one := section{title: group.title}
		for _, f := range group.flags {
			if i == 0 && !own || slices.Contains(names, f.Names()[0]) {
				one.flags = append(one.flags, f)
			}
		}
		if i == 0 || one.flags != nil {
			some = append(some, one)
		}
	}
	return some
}

func flagCount(groups []section) (n int) {
	for _, g := range groups {
		n += len(g.flags)
	}
	return n
}
