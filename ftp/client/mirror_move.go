package client

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"miniftp/ftp"
)

// work copies files until there are no more.
func (m *mirror) work(ctx context.Context) {
	for t := range m.tasks {
		if ctx.Err() == nil {
			m.task(ctx, t)
		}
	}
}

// plan tells that a file will be copied.
func (m *mirror) plan(ctx context.Context, t *task) {
	m.tell(ctx, Action{Kind: CopyFile, Stage: ActionPlanned, Path: t.rel, Size: t.src.Size, Why: t.why})
}

func (m *mirror) task(ctx context.Context, t *task) {
	if t.why == "" {
		why, err := m.compare(ctx, t)
		if err == nil && why == "" {
			m.same()
			m.perms(ctx, t.rel, &t.src, &t.dst)
			return
		}
		t.why = why
		if err == nil {
			m.plan(ctx, t)
		} else {
			m.tell(ctx, Action{Kind: CopyFile, Path: t.rel, Size: t.src.Size, Err: err})
			return
		}
	}
	a := Action{Kind: CopyFile, Path: t.rel, Size: t.src.Size, Why: t.why}
	if m.o.DryRun {
		m.tell(ctx, a)
		return
	}
	a.Stage = ActionBegun
	m.tell(ctx, a)
	a.Stage = ActionDone
	a.Result, a.Err = m.linked(ctx, t)
	if unlinked(a.Err) && ctx.Err() == nil {
		a.Result, a.Err = m.alone(ctx, t)
	}
	m.tell(ctx, a)
}

// alone copies a file over a connection, or several, that it has for itself.
func (m *mirror) alone(ctx context.Context, t *task) (res Result, err error) {
	select {
	case m.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	defer func() { <-m.slots }()
	m.busy.Add(1)
	defer m.busy.Add(-1)
	err = m.retry(ctx, CopyFile, t.rel, func(int) (err error) {
		res, err = m.move(ctx, t)
		return err
	})
	return res, err
}

// move copies one file; in a later try it goes on where the last one stopped.
func (m *mirror) move(ctx context.Context, t *task) (Result, error) {
	from, isRemote := m.src.(*remoteSide)
	to, toRemote := m.dst.(*remoteSide)
	switch {
	case isRemote && !toRemote:
		return m.get(ctx, from, m.dst.(*plainSide), t)
	case toRemote && !isRemote:
		return m.put(ctx, m.src.(*plainSide), to, t)
	case toRemote:
		return m.across(ctx, from, to, t)
	}
	return m.local(ctx, m.src.(*plainSide), m.dst.(*plainSide), t)
}

func (m *mirror) progress(rel string) func(done, total int64) {
	if m.o.Progress == nil {
		return nil
	}
	return func(done, total int64) { m.o.Progress(rel, done, total) }
}

// get downloads a file.
func (m *mirror) get(ctx context.Context, src *remoteSide, dst *plainSide, t *task) (Result, error) {
	if err := src.dated(ctx, t.rel, &t.src); err != nil {
		return Result{}, err
	}
	o := FileOptions{
		Size: max(t.src.Size, 0), Progress: m.progress(t.rel), KeepTime: !t.src.Modified.IsZero(),
		Modified: t.src.Modified, Precise: t.src.Precise,
	}
	if t.src.Precise >= time.Minute {
		o.Modified, _ = src.span(&t.src)
	}
	o.tag, o.perms, o.Tries = t.tag, m.permsOf(t), &t.tries
	return src.pool.Download(ctx, src.at(t.rel), dst.fsys, dst.at(t.rel), o, m.share())
}

// share is how many connections a file may have: more than one when there are not
// enough files for all of them.
func (m *mirror) share() int {
	if !m.walked.Load() || len(m.tasks) > 0 {
		return 1
	}
	return max(m.parallel-int(m.busy.Load())+1, 1)
}

// resumable is from which size on it is worth asking for a part that a listing does
// not show: there are servers that hide them.
const resumable = 256 << 10

// put uploads a file to another name and renames it, or straight to its name where
// the server or the user can't rename.
func (m *mirror) put(ctx context.Context, src *plainSide, dst *remoteSide, t *task) (res Result, err error) {
	err = dst.pool.Do(ctx, func(c *Client) error {
		u := &putting{m: m, c: c, src: src, dst: dst, t: t}
		res, err = u.run(ctx)
		return err
	})
	return res, err
}

// putting is one put over one connection.
type putting struct {
	m   *mirror
	c   *Client
	src *plainSide
	dst *remoteSide
	t   *task
}

func (u *putting) run(ctx context.Context) (Result, error) {
	src, dst, t := u.src, u.dst, u.t
	o := FileOptions{
		Progress: u.m.progress(t.rel), Tries: &t.tries,
		KeepTime: !dst.noTime.Load() && !t.src.Modified.IsZero(), timed: dst.learnTime,
		placing: besideAlways, learned: func() { dst.noRename.Store(true) },
		resumes: t.part.Name != "" || t.src.Size >= resumable,
	}
	if dst.noRename.Load() {
		o.placing, o.resumes = straight, false
	}
	if t.dst.Name != "" {
		o.replaces = &t.dst
	}
	res, err := u.c.Upload(ctx, src.fsys, src.at(t.rel), dst.at(t.rel), o)
	return res, u.perms(ctx, err)
}

// perms gives the file its permissions, if it is there: it stands without them, too.
func (u *putting) perms(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return u.dst.finishPerms(ctx, u.c, u.t)
}

// place gives a part its final name.
func (s *remoteSide) place(ctx context.Context, c *Client, part string, t *task) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	err := c.place(ctx, part, s.at(t.rel), t.dst.Name != "", nil)
	if refusedRename(err, "RNFR") {
		s.noRename.Store(true)
	}
	return err
}

// finishTime gives a file on a server its time. That it takes none is no error: the next
// Mirror knows what to make of it.
func (s *remoteSide) finishTime(ctx context.Context, c *Client, to string, e *ftp.Entry) error {
	if s.noTime.Load() || e.Modified.IsZero() {
		return nil
	}
	err := c.SetModTime(ctx, to, e.Modified)
	s.learnTime(err)
	if isReply(err) {
		return nil
	}
	return err
}

// finishPerms gives a file that has its name its permissions. That a server takes none
// is told once, and does not make the file one that failed.
func (s *remoteSide) finishPerms(ctx context.Context, c *Client, t *task) error {
	if !s.m.o.Perms || !t.src.HasMode || s.noMode.Load() {
		return nil
	}
	err := c.Chmod(ctx, s.at(t.rel), t.src.Mode.Perm())
	if !isReply(err) {
		return err
	}
	if s.tellsMode(err) {
		s.m.tell(ctx, Action{Kind: SetMode, Path: t.rel, Err: err})
	}
	return nil
}

// tellsMode reports whether it has to be told that the server has not set permissions.
func (s *remoteSide) tellsMode(err error) bool {
	if refused(err) {
		s.noMode.Store(true)
	}
	return !s.toldMode.Swap(true)
}

// across streams a file from one server to another; it is not resumed.
func (m *mirror) across(ctx context.Context, src, dst *remoteSide, t *task) (res Result, err error) {
	if err := src.dated(ctx, t.rel, &t.src); err != nil {
		return Result{}, err
	}
	part := ""
	if !dst.noRename.Load() {
		part = dst.at(partName(t.rel, t.tag))
		var renamed error
		res, err = m.stream(ctx, src, dst, t, part, func(c *Client) error {
			renamed = dst.place(ctx, c, part, t)
			return renamed
		})
		switch {
		case renamed != nil && !mayWriteOver(renamed, t.dst.Name != ""):
			return res, leftAs(part, err)
		case renamed == nil && err != nil && res.Bytes > 0:
			return res, leftAs(part, err) // no run continues it
		case renamed == nil && !refusedName(err, t.dst.Name != ""):
			return res, err
		}
	}
	return m.stream(ctx, src, dst, t, dst.at(t.rel), func(c *Client) error {
		if part != "" {
			_ = c.Delete(ctx, part) // the file is whole without it
		}
		return nil
	})
}

// stream copies a file to another server, and does then when it is whole there.
func (m *mirror) stream(ctx context.Context, src, dst *remoteSide, t *task, name string, then func(c *Client) error) (res Result, err error) {
	dated := t.src
	if dated.Precise >= time.Minute {
		dated.Modified, _ = src.span(&t.src) // without the zone of LIST
	}
	err = src.pool.Do(ctx, func(from *Client) error {
		in, err := from.Open(ctx, src.at(t.rel), 0)
		if err != nil {
			return err
		}
		defer in.Close()
		return atDst(dst.pool.Do(ctx, func(to *Client) error {
			o := Transfer{Path: name, Size: t.src.Size, Progress: m.progress(t.rel)}
			if res, err = to.StoreWith(ctx, o, in); err != nil {
				return streamed(err)
			}
			if n, err := to.Size(ctx, name); err == nil && n != res.Bytes {
				return &TruncatedError{Want: res.Bytes, Got: n, Final: res.Final}
			}
			if err := dst.finishTime(ctx, to, name, &dated); err != nil {
				return err
			}
			if err := then(to); err != nil {
				return err
			}
			return dst.finishPerms(ctx, to, t)
		}))
	})
	return res, err
}

// streamed is the error of a stream: what failed was the other server, not this host.
func streamed(err error) error {
	var local *LocalError
	if errors.As(err, &local) {
		return local.Err
	}
	return err
}

// local copies a file between two plain filesystems.
func (m *mirror) local(ctx context.Context, src, dst *plainSide, t *task) (Result, error) {
	in, err := src.fsys.Open(src.at(t.rel))
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	v := localVersion(info)
	out, err := newPart(dst.fsys, dst.at(t.rel), versionTag(v.size, v.modified), m.permsOf(t))
	if err != nil {
		return Result{}, atDst(err)
	}
	began := time.Now()
	var progress func(int64)
	if told := m.progress(t.rel); told != nil {
		progress = func(done int64) { told(done, t.src.Size) }
	}
	n, err := copyBytes(ctx, out.f, bare(in), progress)
	var where *fs.PathError
	if errors.As(err, &where) && where.Path == out.f.Name() {
		err = atDst(err)
	}
	if err == nil {
		err = atDst(out.finish(v.modified))
	}
	if err != nil {
		out.close()
		out.remove() // it is not continued
	}
	return Result{Bytes: n, Took: time.Since(began), Verified: "size"}, err
}
