package mirror

import (
	"errors"
	"path"
	"slices"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// link handles a link of the source that is not followed.
func (v *visit) link(rel string, e, dst *ftp.Entry) {
	m := v.m
	if m.o.Links != CopyLinks {
		m.report(v.ctx, Action{Kind: LeaveOut, Path: rel, Why: "it is a link"})
		return
	}
	target, err := m.src.readLink(rel, e)
	if errors.Is(err, errNoTarget) {
		m.report(v.ctx, Action{Kind: LeaveOut, Path: rel, Why: "it is a link, and " + err.Error()})
		return
	}
	if err != nil {
		m.report(v.ctx, Action{Kind: MakeLink, Path: rel, Err: err})
		return
	}
	if !client.LinkStaysInside(v.b.rel, target) {
		m.report(v.ctx, Action{Kind: LeaveOut, Path: rel, Target: target, Why: "it is a link that may lead out of the tree"})
		return
	}
	if dst.Type == ftp.LinkEntry {
		if has, err := m.dst.readLink(rel, dst); err == nil && has == target {
			m.countUnchanged()
			return
		}
	}
	if err := m.dst.canLink(v.ctx); err != nil {
		m.report(v.ctx, Action{Kind: MakeLink, Path: rel, Err: err})
		return
	}
	switch {
	case dst.IsDir():
		if err := v.clear(rel, dst); err != nil {
			m.report(v.ctx, Action{Kind: MakeLink, Path: rel, Err: err})
			return
		}
	case dst.Name != "" && !m.remove(v.ctx, rel, false):
		return
	}
	_ = m.do(v.ctx, Action{Kind: MakeLink, Path: rel, Target: target}, func() error {
		return m.dst.link(v.ctx, target, rel)
	})
}

// follow replaces the entry of a link by that of its target. It reports false if the target does not exist, or
// is a directory that contains the link.
func (v *visit) follow(e *ftp.Entry, b *branch) bool {
	to, err := v.m.src.look(v.ctx, b.rel)
	if err != nil {
		v.m.report(v.ctx, Action{Kind: CopyFile, Path: b.rel, Err: err})
		return false
	}
	if to.IsDir() {
		b.links++
		if target, err := v.m.src.readLink(b.rel, e); err == nil && path.IsAbs(target) {
			b.real = path.Clean(target)
		} else if err == nil {
			b.real = path.Join(v.b.real, target)
		} else {
			b.links += maxFollowed / 2 // it is unknown whether it leads back
		}
		top := v.b.above[0]
		unique := e.Unique != "" && slices.Contains(v.b.above, "unique "+e.Unique) // ProFTPD reports that of the target
		if unique || holds(b.real, top) || b.links > maxFollowed || slices.Contains(v.b.above, b.real) {
			v.m.report(v.ctx, Action{Kind: ListDir, Path: b.rel, Err: loopError{}})
			return false
		}
	}
	name := e.Name
	*e = to
	e.Name = name
	return true
}

// loopError is returned for a link that is not followed because that would not end. It is an ErrTooDeep.
type loopError struct{}

func (loopError) Error() string        { return "the link leads back to a directory that contains it" }
func (loopError) Is(target error) bool { return target == client.ErrTooDeep }

// holds reports whether the directory dir is top or one of its parents.
func holds(dir, top string) bool {
	return dir == "/" || dir == top || strings.HasPrefix(top, dir+"/")
}
