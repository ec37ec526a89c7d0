package mirror

import (
	"context"
	"errors"
	"time"

	"miniftp/ftp"
)

// task is a file that is copied, or may have to be.
type task struct {
	rel  string
	src  ftp.Entry
	dst  *ftp.Entry // the file at the destination, nil if there is none
	part bool       // an earlier run left a part of the file
	tag  string     // the tag in the name of the part, which identifies the version
	why  string     // why it is copied; "": compare finds out
}

// quick compares the entries of the listings. sure is false if they are not sufficient.
func (m *mirror) quick(src, dst *ftp.Entry) (why string, sure bool) {
	if dst.Type == ftp.LinkEntry || dst.Type == ftp.OtherEntry {
		return "type", true
	}
	if m.o.Checksum && src.Size == dst.Size || m.o.Newer {
		return "", false
	}
	if src.Size >= 0 && dst.Size >= 0 && src.Size != dst.Size {
		return "size", true
	}
	if m.order(src, dst) == 0 {
		return "", !inDoubt(src) && !inDoubt(dst)
	}
	return "", false
}

// order compares the times of two entries within the precision that both sides report: it returns 1 if src was
// certainly changed after dst, -1 if certainly before, and 0 if the times may be equal or one is unknown.
func (m *mirror) order(src, dst *ftp.Entry) int {
	if src.Modified.IsZero() || dst.Modified.IsZero() {
		return 0
	}
	from, to := m.src.span(src)
	dstFrom, dstTo := m.dst.span(dst)
	from, dstFrom = earliest(from, src), earliest(dstFrom, dst)
	switch {
	case !from.Before(dstTo):
		return 1
	case !dstFrom.Before(to):
		return -1
	}
	return 0
}

// inDoubt reports whether the listing does not show which number of e's date is the day, the month or the
// year.
func inDoubt(e *ftp.Entry) bool { return e.Precise > 24*time.Hour }

// earliest returns the earliest time of e, which is before from if the date is in doubt: then the file may
// be older as well as newer.
func earliest(from time.Time, e *ftp.Entry) time.Time {
	if inDoubt(e) {
		return from.Add(-e.Precise)
	}
	return from
}

// compare returns why a file has to be copied, "" if it does not.
func (m *mirror) compare(ctx context.Context, t *task) (why string, err error) {
	known := t.src.Size >= 0 && t.dst.Size >= 0
	if err := m.src.exact(ctx, t.rel, &t.src); err != nil {
		return "", err
	}
	if err := m.dst.exact(ctx, t.rel, t.dst); err != nil {
		return "", err
	}
	order := m.orderRounded(ctx, t)
	switch {
	case m.o.Newer && order <= 0:
		return "", nil
	case known && t.src.Size != t.dst.Size:
		return "size", nil
	case m.o.Checksum:
		if same, err := m.sameSum(ctx, t.rel); err != nil || !same {
			return "content", err
		}
		m.touch(ctx, t, order)
		return "", nil
	case m.o.Newer:
		return "newer", nil
	case order == 0:
		return "", nil
	// If times can't be set at the destination, dst has the time of its copying. That is later than the time of
	// src, unless src has a time in the future.
	case (order < 0 || t.src.Modified.After(time.Now())) && !m.canTouch(ctx, t):
		return "", nil
	}
	return "time", nil
}

// canTouch reports whether a file at the destination can be given the time of the source. At a server it
// tries to set a time just beside the right one: if the run fails now, a different version must not have
// the right time. A dry run relies on FEAT instead.
func (m *mirror) canTouch(ctx context.Context, t *task) bool {
	s, ok := m.dst.(*remoteSide)
	if !ok {
		return true
	}
	if !s.pool.SetsTimes() || t.dst.Precise > time.Second {
		return false
	}
	if m.o.DryRun {
		return s.offersTime(ctx)
	}
	_, to := m.src.span(&t.src)
	return s.setTime(ctx, t.rel, to.Add(time.Second)) == nil
}

// touch sets the time of a file whose content is right already.
func (m *mirror) touch(ctx context.Context, t *task, order int) {
	if order == 0 || t.src.Modified.IsZero() || !m.canTouch(ctx, t) {
		return
	}
	_ = m.do(ctx, Action{Kind: SetTime, Path: t.rel}, func() error {
		return m.dst.setTime(ctx, t.rel, t.src.Modified)
	})
}

// sameSum compares the contents of a file on both sides. If a server can compute a hash, the other side
// uses the same algorithm.
func (m *mirror) sameSum(ctx context.Context, rel string) (bool, error) {
	first, second := m.dst, m.src
	if _, ok := m.src.(*remoteSide); ok {
		first, second = m.src, m.dst
	}
	algo, a, err := first.sum(ctx, rel, "")
	if err != nil {
		return false, err
	}
	_, b, err := second.sum(ctx, rel, algo)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	return a == b, err
}

// mode returns the permissions that a copy of e gets. The owner of a directory must be able to create
// files in it.
func mode(e *ftp.Entry) (bits uint32) {
	bits = uint32(e.Mode.Perm())
	if e.IsDir() {
		bits |= 0o700
	}
	return bits
}
