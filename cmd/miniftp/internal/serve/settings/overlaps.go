package settings

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// checkOverlaps records roots, also of mounts, in which an external user could have the files of another user, because the name
// chooses a directory that is also, or leads to, the root of that one. With roots /srv/{user} and /srv/staff/{user}, a user with
// the name staff would own the roots of the others.
func (cf *Config) checkOverlaps() {
	for _, a := range cf.external {
		err := checkTemplate(cf.Template(a))
		if err == nil {
			continue
		}
		err = cf.LocatedUser(a, &a.Root, err)
		if !slices.ContainsFunc(cf.Problems, func(p error) bool { return strings.HasSuffix(p.Error(), err.Error()) }) { // of a user in the same group, or of the server
			cf.Problem(err)
		}
	}
	seen := map[string]bool{}
	var outer []externalRoot // package fsroot knows of the others
	all := cf.externalRoots()
	for _, r := range all {
		if placeholders.MatchString(r.tree.template) && !seen[r.tree.template] {
			seen[r.tree.template] = true
			outer = append(outer, r)
		}
	}
	blamed := map[[2]string]bool{}
	blame := func(r externalRoot, inner string) {
		if pair := [2]string{r.tree.template, inner}; !blamed[pair] {
			blamed[pair] = true
			cf.blameOverlap(r.tree, inner)
		}
	}
	for _, r := range outer {
		for _, u := range all {
			if r.pattern.mayHold(u.pattern) && !u.pattern.isIn(r.pattern) { // else the two belong to the same user
				blame(r, u.tree.template)
			}
		}
	}
	if len(outer) == 0 {
		return
	}
	for _, a := range cf.Users {
		for _, u := range cf.Trees(a) {
			inner := parsePattern(u.spec)
			for _, r := range outer {
				if r.pattern.mayHold(inner) && !inner.isIn(parsePattern(expand(r.tree.template, a))) { // else only a user of the same name would have it
					blame(r, u.spec)
				}
			}
		}
	}
}

func (cf *Config) blameOverlap(outer Tree, inner string) {
	err := verb.Usagef("the root %s can be the same as, or in, a root %s of a user whom a source of --auth accepts: use separate directories",
		ftp.Printable(ftp.MaskURL(inner)), ftp.Printable(ftp.MaskURL(outer.template)))
	if a := outer.Account; a.lines[outer.Field()] > 0 {
		cf.Problem(cf.LocatedUser(a, outer.Field(), err))
		return
	}
	cf.Blame(&cf.Root, err)
}

// pattern is a root, or a file, split at its slashes. In a bucket, the options that may follow the path are not a part of it: they
// say how the bucket is reached, and which one that is can't be known from them.
type pattern []element

// element is a name in a path, perhaps with placeholders.
type element struct {
	text       string
	any        bool   // it has a placeholder
	begin, end string // what precedes the first placeholder and what follows the last one; if there is none, text
}

func parsePattern(root string) (all pattern) {
	if storage.IsDirectory(root) {
		if abs, err := filepath.Abs(root); err == nil {
			root = filepath.ToSlash(abs)
		}
	} else if place, err := storage.Split(root); err == nil && storage.HasDirectories(root) {
		root = place.Head + strings.TrimPrefix(path.Clean("/"+place.Path), "/")
	}
	for text := range strings.SplitSeq(strings.TrimRight(root, "/"), "/") {
		e := element{text: text, begin: text, end: text}
		if at := placeholders.FindAllStringIndex(text, -1); at != nil {
			e.any, e.begin, e.end = true, text[:at[0][0]], text[at[len(at)-1][1]:]
		}
		all = append(all, e)
	}
	return all
}

// mayHold reports whether names for the placeholders could make inner the same as p, or a directory in it.
func (p pattern) mayHold(inner pattern) bool {
	if len(inner) < len(p) {
		return false
	}
	for i := range p {
		if !p[i].mayEqual(inner[i]) {
			return false
		}
	}
	return true
}

// isIn reports whether p is written as outer or as a directory in that.
func (p pattern) isIn(outer pattern) bool {
	return len(p) >= len(outer) && slices.Equal(p[:len(outer)], outer)
}

// mayEqual reports whether names for the placeholders could make two elements of a path the same. It looks only at what
// precedes the first placeholder and what follows the last one.
func (e element) mayEqual(f element) bool {
	if !e.any && !f.any {
		return strings.EqualFold(e.text, f.text)
	}
	begins := strings.HasPrefix(e.begin, f.begin) || strings.HasPrefix(f.begin, e.begin)
	return begins && (strings.HasSuffix(e.end, f.end) || strings.HasSuffix(f.end, e.end))
}
