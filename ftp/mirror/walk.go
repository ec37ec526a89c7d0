package mirror

import (
	"context"
	"io/fs"
	"path"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/kept"
)

// listing holds the entries of a directory on both sides. ready is closed when both are read; until then only
// the goroutines of list use the other fields.
type listing struct {
	ready    chan struct{}
	ahead    bool // it counts in mirror.ahead
	src, dst *kept.List
	from     client.DirRead // how far src can be trusted
	noSrc    error          // why the source could not be listed
	noDst    error          // why the destination could not be listed, or not completely
}

// branch is a directory that both sides are to have.
type branch struct {
	rel   string
	there bool     // it exists at the destination
	real  string   // its path in the source, with links resolved
	above []string // the real paths and unique facts of it and of the directories that lead here
	depth int
	links int // how many links were followed on the way
}

// maxFollowed is how many links may be followed on one path: trees with links to each other would grow without
// end.
const maxFollowed = 8

// walk visits all directories, one after the other. The next ones are listed in the meantime.
func (m *mirror) walk(ctx context.Context) {
	root, err := m.src.look(ctx, "")
	if err == nil && !root.IsDir() {
		err = &fs.PathError{Op: "mirror", Path: m.src.at(""), Err: errNotDir}
	}
	if err != nil {
		m.report(ctx, Action{Kind: ListDir, Err: err})
		return
	}
	top := path.Join("/", m.src.at(""))
	b := branch{real: top, above: []string{top}}
	if root.Unique != "" {
		b.above = append(b.above, "unique "+root.Unique)
	}
	there, err := m.dst.look(ctx, "")
	switch {
	case err == nil && there.IsDir():
		b.there = true
	case err == nil:
		err = &fs.PathError{Op: "mirror", Path: m.dst.at(""), Err: errNotDir}
		m.report(ctx, Action{Kind: MakeDir, Err: err})
		return
	case !isMissing(err):
		m.report(ctx, Action{Kind: MakeDir, Err: err})
		return
	default:
		var ok bool
		if b.there, ok = m.makeDir(ctx, ""); !ok {
			return
		}
	}
	m.dir(ctx, b, m.list(ctx, b, false))
}

// list starts to read a directory on both sides.
func (m *mirror) list(ctx context.Context, b branch, ahead bool) *listing {
	l := &listing{ready: make(chan struct{}), ahead: ahead, src: &kept.List{Budget: m.budget}, dst: &kept.List{Budget: m.budget}}
	other := make(chan struct{})
	go func() {
		defer close(other)
		if b.there {
			var to client.DirRead
			if to, l.noDst = m.read(ctx, m.dst, b.rel, l.dst); l.noDst == nil {
				l.noDst = to.Partial // a name that it lacks may exist there
			}
		}
	}()
	go func() {
		defer close(l.ready)
		l.from, l.noSrc = m.read(ctx, m.src, b.rel, l.src)
		<-other
	}()
	return l
}

// read reads one directory of one side, sorted.
func (m *mirror) read(ctx context.Context, s side, rel string, into *kept.List) (client.DirRead, error) {
	got, err := s.list(ctx, rel, func(e *ftp.Entry) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if e == nil {
			into.Drop()
			return nil
		}
		return into.Add(e)
	})
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		err = into.Sort()
	}
	return got, err
}

// drop frees a listing.
func (m *mirror) drop(l *listing) {
	<-l.ready
	m.mu.Lock()
	defer m.mu.Unlock()
	l.src.Drop()
	l.dst.Drop()
	if l.ahead {
		m.ahead--
	}
}

// dir brings one directory up to date, and then those in it.
func (m *mirror) dir(ctx context.Context, b branch, l *listing) {
	defer m.drop(l)
	<-l.ready
	if ctx.Err() != nil {
		return
	}
	if l.noSrc != nil {
		m.report(ctx, Action{Kind: ListDir, Path: b.rel, Err: l.noSrc})
		return
	}
	for _, err := range l.from.Odd {
		m.report(ctx, Action{Kind: ListDir, Path: b.rel, Err: err})
	}
	if l.noDst != nil {
		m.report(ctx, Action{Kind: ListDir, Path: b.rel, Err: atDst(l.noDst)})
		return
	}
	if err := m.isDestination(ctx, b.rel, l.src); err != nil {
		m.report(ctx, Action{Kind: ListDir, Path: b.rel, Err: err})
		return
	}
	v := &visit{m: m, ctx: ctx, b: b, l: l, complete: len(l.from.Odd) == 0 && !l.from.Halves}
	v.reportTwice()
	if b.rel == "" {
		m.dstRoot = l.dst
	}
	if b.rel == "" && m.o.Delete {
		m.noteRoot(l.src)
	}
	v.parts()
	if m.o.Delete && v.complete {
		v.extraneous()
	}
	v.entries()
	if m.o.Delete && v.complete {
		v.stale()
	}
	if b.rel == "" {
		m.noteBranches(v.dirs)
	}
	m.branches(ctx, v.dirs)
}

// branches visits directories. While it visits one, the next ones are listed.
func (m *mirror) branches(ctx context.Context, all []branch) {
	coming := make([]*listing, len(all))
	for i, b := range all {
		for j := i; j < min(i+1+m.parallel, len(all)) && ctx.Err() == nil; j++ {
			if coming[j] == nil && (j == i || m.mayAhead()) {
				coming[j] = m.list(ctx, all[j], j != i)
			}
		}
		if coming[i] == nil {
			break
		}
		m.dir(ctx, b, coming[i])
		coming[i] = nil
	}
	for _, l := range coming {
		if l != nil {
			m.drop(l)
		}
	}
}

// mayAhead reports whether one more listing may be read in advance, and counts it.
func (m *mirror) mayAhead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ahead >= m.parallel {
		return false
	}
	m.ahead++
	return true
}

// reportTwice reports the names that the source lists twice. Only the first entry of such a name is used: a malicious
// server might list it first as a link and then as a directory (CVE-2014-4877).
func (v *visit) reportTwice() {
	before := ""
	for i := range v.l.src.Len() {
		name, err := v.l.src.Name(i)
		if err != nil {
			v.m.cancel(err)
			return
		}
		if i > 0 && string(name) == before {
			v.complete = false
			v.m.report(v.ctx, Action{Kind: ListDir, Path: below(v.b.rel, before), Err: errTwice})
		}
		before = string(name)
	}
}

// entry returns an entry of a listing. If the listing can't be read any more, it ends the mirror and ok is
// false.
func (m *mirror) entry(k *kept.List, i int) (e ftp.Entry, ok bool) {
	e, err := k.Entry(i)
	if err != nil {
		m.cancel(err)
	}
	return e, err == nil
}

// find returns the entry with the given name. If the listing can't be read any more, it ends the mirror and ok
// is true, so that no name is mistaken for missing.
func (m *mirror) find(k *kept.List, name string) (e ftp.Entry, ok bool) {
	e, ok, err := k.Find(name)
	if err != nil {
		m.cancel(err)
		return e, true
	}
	return e, ok
}
