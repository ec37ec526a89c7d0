package mirror

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"
	"maps"
	"path"
	"slices"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/kept"
	"miniftp/ftp/pi"
)

var (
	errTwice  = errors.New("the listing has that name twice")
	errNotDir = errors.New("not a directory")
)

// deepest is the maximum depth of a tree. It ends the walk of a directory that contains itself.
const deepest = 100

// visit is the work in one directory, in this order:
//
//	reportTwice report names that the source lists twice
//	parts       note the parts that earlier runs left at the destination
//	extraneous  delete what the source does not have (guard.go), if both listings are complete
//	entries     create directories and links, queue files
//	stale       delete the parts that no file of the source can continue
type visit struct {
	m        *mirror
	ctx      context.Context
	b        branch
	l        *listing
	complete bool            // the listing of the source is complete
	left     map[string]bool // parts that earlier runs left at the destination; true if a file can continue it
	dirs     []branch
	seed     maphash.Seed
	others   map[uint64]int // hashes of folded names that only the destination has, and their indices
}

func (v *visit) at(name string) string { return below(v.b.rel, name) }

// selected reports whether a name belongs to the mirror.
func (m *mirror) selected(rel string, e *ftp.Entry) bool {
	return m.o.Select == nil || m.o.Select(rel, e.IsDir())
}

// parts notes the parts that earlier runs left at the destination.
func (v *visit) parts() {
	const most = 10_000
	v.left = map[string]bool{}
	for i := range v.l.dst.Len() {
		if e, ok := v.m.entry(v.l.dst, i); ok && client.IsPart(e.Name) && e.Type == ftp.FileEntry && len(v.left) < most {
			v.left[e.Name] = false
		}
	}
}

// stale removes the parts that no file of the source can continue.
func (v *visit) stale() {
	for _, name := range slices.Sorted(maps.Keys(v.left)) {
		if s, ok := v.m.dst.(*plainSide); ok && client.PartBusy(s.fsys, s.at(v.at(name))) {
			continue
		}
		if !v.left[name] && v.ctx.Err() == nil {
			v.m.remove(v.ctx, v.at(name), false)
		}
	}
}

// entries handles the names of the source, in order.
func (v *visit) entries() {
	before := ""
	for i := range v.l.src.Len() {
		e, ok := v.m.entry(v.l.src, i)
		if v.ctx.Err() != nil || !ok {
			return
		}
		if i > 0 && e.Name == before {
			continue // see reportTwice
		}
		before = e.Name
		rel := v.at(e.Name)
		if client.IsPart(e.Name) {
			v.m.report(v.ctx, Action{Kind: LeaveOut, Path: rel, Why: "it is a partial file"})
			continue
		}
		dst, ok := v.m.find(v.l.dst, e.Name)
		if !ok && v.l.dst.Len() > 0 {
			dst, _ = v.sameName(e.Name)
		}
		b := branch{rel: rel, real: path.Join(v.b.real, e.Name), links: v.b.links}
		if e.Type == ftp.LinkEntry && v.m.o.Links == FollowLinks && v.m.selected(rel, &e) && !v.follow(&e, &b) {
			continue
		}
		if !v.m.selected(rel, &e) {
			continue
		}
		if why := v.m.dst.unsendable(e.Name); why != "" {
			v.m.report(v.ctx, Action{Kind: LeaveOut, Path: rel, Why: why})
			continue
		}
		// A name that is harmless on the source may lead out of the tree at the destination, such as one with a
		// backslash on Windows.
		if err := v.m.dst.badName(e.Name); err != nil {
			v.m.report(v.ctx, Action{Kind: CopyFile, Path: rel, Err: err})
			continue
		}
		switch e.Type {
		case ftp.FileEntry:
			v.file(rel, &e, &dst)
		case ftp.DirEntry:
			v.branch(b, &e, &dst)
		case ftp.LinkEntry:
			v.link(rel, &e, &dst)
		default:
			v.m.report(v.ctx, Action{Kind: LeaveOut, Path: rel, Why: "it is not a regular file"})
		}
	}
}

// file queues a file if it has to be copied, or compared more closely.
func (v *visit) file(rel string, e, dst *ftp.Entry) {
	m, t := v.m, &task{rel: rel, src: *e, why: "new", tag: client.VersionTag(e.Size, e.Modified)}
	switch {
	case dst.Name == "":
	case dst.IsDir():
		if err := v.clear(rel, dst); err != nil {
			m.report(v.ctx, Action{Kind: CopyFile, Path: rel, Err: err})
			return
		}
	default:
		there := *dst
		t.dst = &there
		why, sure := m.quick(e, dst)
		if t.why = why; sure && why == "" {
			m.countUnchanged()
			m.perms(v.ctx, rel, e, dst)
			return
		}
	}
	for _, part := range client.PartNames(e.Name, t.tag) {
		if _, ok := v.left[part]; ok {
			v.left[part] = true
			t.part = true
		}
	}
	if t.why != "" {
		m.plan(v.ctx, t)
	}
	select {
	case m.tasks <- t:
	case <-v.ctx.Done():
	}
}

// clear removes a directory that has the name of a file or link to be made.
func (v *visit) clear(rel string, dst *ftp.Entry) error {
	if !v.m.o.Delete {
		return atDst(errInWay)
	}
	if !v.m.removeAll(v.ctx, rel, dst, 0) {
		return atDst(errInWay)
	}
	return nil
}

// branch creates a directory, and notes it to be visited later.
func (v *visit) branch(b branch, e, dst *ftp.Entry) {
	m := v.m
	unique := "unique " + e.Unique
	b.depth = v.b.depth + 1
	switch {
	case b.depth > deepest:
		m.report(v.ctx, Action{Kind: ListDir, Path: b.rel, Err: client.ErrTooDeep})
		return
	case e.Unique != "" && slices.Contains(v.b.above, unique):
		m.report(v.ctx, Action{Kind: ListDir, Path: b.rel, Err: loopError{}})
		return
	}
	b.above = append(v.b.above[:len(v.b.above):len(v.b.above)], b.real)
	if e.Unique != "" {
		b.above = append(b.above, unique)
	}
	b.there = dst.IsDir()
	if !b.there {
		if dst.Name != "" && !m.remove(v.ctx, b.rel, false) {
			return
		}
		var ok bool
		if b.there, ok = m.makeDir(v.ctx, b.rel); !ok {
			return
		}
	}
	if m.o.Perms && e.HasMode && (!dst.HasMode || mode(e) != uint32(dst.Mode.Perm())) {
		m.chmod(v.ctx, b.rel, fs.FileMode(mode(e)), b.there)
	}
	v.dirs = append(v.dirs, b)
}

// makeDir creates a directory, unless this is a dry run. there reports that it existed although no listing had
// it; ok, that it exists now.
func (m *mirror) makeDir(ctx context.Context, rel string) (there, ok bool) {
	a := Action{Kind: MakeDir, Path: rel, Dir: rel != ""}
	if !m.o.DryRun {
		a.Err = m.retry(ctx, a.Kind, rel, func(int) (err error) {
			there, err = m.dst.makeDir(ctx, rel)
			return err
		})
	}
	if a.Err != nil || !there {
		m.report(ctx, a)
	}
	return there, a.Err == nil
}

// perms sets the permissions of a file if these are the only difference.
func (m *mirror) perms(ctx context.Context, rel string, src, dst *ftp.Entry) {
	if m.o.Perms && src.HasMode && dst.HasMode && mode(src) != mode(dst) {
		m.chmod(ctx, rel, src.Mode.Perm(), true)
	}
}

// chmod sets permissions. That is reported as an Action only for a name that existed before (was), or if it
// fails.
func (m *mirror) chmod(ctx context.Context, rel string, mode fs.FileMode, was bool) {
	if s, ok := m.dst.(*remoteSide); ok && s.noMode.Load() || !was && m.o.DryRun {
		return
	}
	a := Action{Kind: SetMode, Path: rel}
	if !m.o.DryRun {
		a.Err = m.retry(ctx, SetMode, rel, func(int) error { return m.dst.setMode(ctx, rel, mode) })
	}
	if s, ok := m.dst.(*remoteSide); ok && pi.IsReply(a.Err) && !s.reportsMode(a.Err) {
		return
	}
	if was || a.Err != nil {
		m.report(ctx, a)
	}
}

// remove removes one name, if MaxDelete allows it. It reports whether the name is gone.
func (m *mirror) remove(ctx context.Context, rel string, dir bool) bool {
	return m.removeBy(ctx, rel, dir, func() error { return m.dst.remove(ctx, rel, dir) })
}

// removeBy is like remove, but calls f to remove the name.
func (m *mirror) removeBy(ctx context.Context, rel string, dir bool, f func() error) bool {
	m.mu.Lock()
	if most := m.o.MaxDelete; most < 0 || most > 0 && m.deletes >= most {
		before := m.capped
		m.capped = true
		m.mu.Unlock()
		if !before {
			m.report(ctx, Action{Kind: Remove, Path: rel, Dir: dir, Err: ErrMaxDelete})
		}
		return false
	}
	m.deletes++
	m.mu.Unlock()
	return m.do(ctx, Action{Kind: Remove, Path: rel, Dir: dir}, f) == nil
}

// removeAll removes a name and, if it is a directory, its contents. It reports whether everything is gone. Links are
// removed and never followed. Names that do not belong to the mirror are kept, and so is a directory that contains
// some.
func (m *mirror) removeAll(ctx context.Context, rel string, e *ftp.Entry, depth int) bool {
	if !e.IsDir() {
		return m.remove(ctx, rel, false)
	}
	if depth == deepest {
		m.report(ctx, Action{Kind: ListDir, Path: rel, Dir: true, Err: atDst(client.ErrTooDeep)})
		return false
	}
	// This must come before the contents are read: if rel is a link, they are not in this tree.
	if m.unlink(ctx, rel) {
		return true
	}
	inside := &kept.List{Budget: m.budget}
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		inside.Drop()
	}()
	got, err := m.read(ctx, m.dst, rel, inside)
	if err == nil {
		err = errors.Join(got.Odd...)
	}
	if err != nil {
		m.report(ctx, Action{Kind: ListDir, Path: rel, Dir: true, Err: atDst(err)})
		return false
	}
	if err := m.isSource(ctx, rel, inside); err != nil {
		m.report(ctx, Action{Kind: Remove, Path: rel, Dir: true, Err: err})
		return false
	}
	all := true
	for i := range inside.Len() {
		e, ok := m.entry(inside, i)
		if !ok {
			return false
		}
		child := below(rel, e.Name)
		if ctx.Err() != nil || !m.selected(child, &e) || !m.removeAll(ctx, child, &e, depth+1) {
			all = false
		}
	}
	return all && m.remove(ctx, rel, true)
}
