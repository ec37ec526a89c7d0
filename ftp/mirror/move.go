package mirror

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// work copies files from the queue until it is closed.
func (m *mirror) work(ctx context.Context) {
	for t := range m.tasks {
		if ctx.Err() == nil {
			m.task(ctx, t)
		}
	}
}

// plan reports that a file will be copied.
func (m *mirror) plan(ctx context.Context, t *task) {
	m.report(ctx, Action{Kind: CopyFile, Stage: Planned, Path: t.rel, Size: t.src.Size, Why: t.why})
}

// task handles one file: it compares it if the listings were not sufficient, and copies it if it differs.
func (m *mirror) task(ctx context.Context, t *task) {
	if t.why == "" {
		why, err := m.compare(ctx, t)
		if err == nil && why == "" {
			m.countUnchanged()
			m.perms(ctx, t.rel, &t.src, t.dst)
			return
		}
		t.why = why
		if err == nil {
			m.plan(ctx, t)
		} else {
			m.report(ctx, Action{Kind: CopyFile, Path: t.rel, Size: t.src.Size, Err: err})
			return
		}
	}
	a := Action{Kind: CopyFile, Path: t.rel, Size: t.src.Size, Why: t.why}
	if m.o.DryRun {
		m.report(ctx, a)
		return
	}
	a.Stage = Begun
	m.report(ctx, a)
	a.Stage = Done
	a.Result, a.Err = m.move(ctx, t)
	m.report(ctx, a)
}

// workers returns how many files are handled at once.
func (m *mirror) workers(ctx context.Context) int {
	from, isRemote := m.src.(*remoteSide)
	to, toRemote := m.dst.(*remoteSide)
	switch {
	case m.o.DryRun || isRemote == toRemote:
		return m.parallel
	case isRemote:
		return m.several(ctx, from.pool)
	}
	return m.several(ctx, to.pool)
}

// several returns more than Parallel if small files can share a connection.
func (m *mirror) several(ctx context.Context, p *client.Pool) int {
	if n := p.Parallel(ctx); n > p.Size() {
		return n
	}
	return m.parallel
}

// move copies one file.
func (m *mirror) move(ctx context.Context, t *task) (res client.Result, err error) {
	from, isRemote := m.src.(*remoteSide)
	to, toRemote := m.dst.(*remoteSide)
	switch {
	case isRemote && !toRemote:
		return m.get(ctx, from, m.dst.(*plainSide), t)
	case toRemote && !isRemote:
		return m.put(ctx, m.src.(*plainSide), to, t)
	}
	err = m.retry(ctx, CopyFile, t.rel, func(int) (err error) {
		if toRemote {
			res, err = m.across(ctx, from, to, t)
		} else {
			res, err = m.local(ctx, m.src.(*plainSide), m.dst.(*plainSide), t)
		}
		return err
	})
	return res, err
}

// permsOf returns the permissions for a copy, nil if they are not copied.
func (m *mirror) permsOf(t *task) *fs.FileMode {
	if !m.o.Perms || !t.src.HasMode {
		return nil
	}
	mode := t.src.Mode.Perm()
	return &mode
}

func (m *mirror) progress(rel string) func(done, total int64) {
	if m.o.Progress == nil {
		return nil
	}
	return func(done, total int64) { m.o.Progress(rel, done, total) }
}

// get downloads a file.
func (m *mirror) get(ctx context.Context, src *remoteSide, dst *plainSide, t *task) (client.Result, error) {
	if err := src.dated(ctx, t.rel, &t.src); err != nil {
		return client.Result{}, err
	}
	o := client.FileOptions{
		FS: dst.fsys, Listed: t.src, Progress: m.progress(t.rel), KeepTime: !t.src.Modified.IsZero(),
		Several: true, Perms: m.permsOf(t), Retry: m.retryOf(CopyFile, t.rel), Tag: t.tag,
	}
	if t.src.Precise >= time.Minute {
		o.Listed.Modified, _ = src.span(&t.src)
	}
	if m.walked.Load() && len(m.tasks) == 0 { // there are not enough files for all connections
		o.Connections = m.parallel
	}
	return src.pool.Download(ctx, src.at(t.rel), dst.at(t.rel), o)
}

// put uploads a file under a hidden name and renames it, or directly to its name if the server or the user
// can't rename.
func (m *mirror) put(ctx context.Context, src *plainSide, dst *remoteSide, t *task) (client.Result, error) {
	o := client.FileOptions{
		FS: src.fsys, Progress: m.progress(t.rel), KeepTime: !t.src.Modified.IsZero(), Several: !m.o.Perms,
		Retry: m.retryOf(CopyFile, t.rel), Beside: true,
		Continue: t.part, Replaces: t.dst,
	}
	res, err := dst.pool.Upload(ctx, src.at(t.rel), dst.at(t.rel), o)
	if err == nil && m.o.Perms {
		err = dst.do(ctx, CopyFile, t.rel, func(c *client.Client) error { return dst.finishPerms(ctx, c, t) })
	}
	return res, err
}

// finishTime sets the time of a file on a server. It is no error if the server refuses: compare takes that
// into account in the next run.
func (s *remoteSide) finishTime(ctx context.Context, c *client.Client, to string, e *ftp.Entry) error {
	if !s.pool.SetsTimes() || e.Modified.IsZero() {
		return nil
	}
	err := c.SetModTime(ctx, to, e.Modified)
	if pi.IsReply(err) {
		return nil
	}
	return err
}

// finishPerms sets the permissions of a file that has its final name. If the server refuses, that is reported
// once, and the copy does not fail.
func (s *remoteSide) finishPerms(ctx context.Context, c *client.Client, t *task) error {
	if !s.m.o.Perms || !t.src.HasMode || s.noMode.Load() {
		return nil
	}
	err := c.Chmod(ctx, s.at(t.rel), t.src.Mode.Perm())
	if !pi.IsReply(err) {
		return err
	}
	if s.reportsMode(err) {
		s.m.report(ctx, Action{Kind: SetMode, Path: t.rel, Err: err})
	}
	return nil
}

// reportsMode reports whether a failure to set permissions has to be reported, which is done once.
func (s *remoteSide) reportsMode(err error) bool {
	if client.Unsupported(err) {
		s.noMode.Store(true)
	}
	return !s.reportedMode.Swap(true)
}

// across streams a file from one server to another. It is not resumed.
func (m *mirror) across(ctx context.Context, src, dst *remoteSide, t *task) (res client.Result, err error) {
	if err := src.dated(ctx, t.rel, &t.src); err != nil {
		return client.Result{}, err
	}
	part := ""
	if dst.pool.Renames() {
		part = dst.at(client.PartNames(t.rel, t.tag)[0])
		var renamed error
		res, err = m.stream(ctx, src, dst, t, part, func(c *client.Client) error {
			renamed = c.Replace(ctx, part, dst.at(t.rel), t.dst != nil)
			return renamed
		})
		switch {
		case renamed != nil && !client.MayWriteOver(renamed, t.dst != nil):
			return res, client.LeftAs(part, err)
		case renamed == nil && err != nil && res.Bytes > 0:
			return res, client.LeftAs(part, err) // no later run continues it
		case renamed == nil && !client.RefusedName(err, t.dst != nil):
			return res, err
		}
	}
	return m.stream(ctx, src, dst, t, dst.at(t.rel), func(c *client.Client) error {
		if part != "" {
			_ = c.Delete(ctx, part) // the file is complete, even if this fails
		}
		return nil
	})
}

// stream copies a file to another server and calls then when it is whole there.
func (m *mirror) stream(ctx context.Context, src, dst *remoteSide, t *task, name string, then func(c *client.Client) error) (res client.Result, err error) {
	dated := t.src
	if dated.Precise >= time.Minute {
		dated.Modified, _ = src.span(&t.src) // corrected by the zone of LIST
	}
	err = src.pool.Do(ctx, func(from *client.Client) error {
		in, err := from.Open(ctx, src.at(t.rel), 0)
		if err != nil {
			return err
		}
		defer in.Close()
		return atDst(dst.pool.Do(ctx, func(to *client.Client) error {
			o := client.Transfer{Path: name, Size: t.src.Size, Progress: m.progress(t.rel)}
			if res, err = to.StoreWith(ctx, o, in); err != nil {
				return streamed(err)
			}
			if n, err := to.Size(ctx, name); err == nil && n != res.Bytes {
				return &client.TruncatedError{Want: res.Bytes, Got: n, Final: res.Final}
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

// streamed returns the error of a stream: a LocalError from its reader is the failure of the other server.
func streamed(err error) error {
	var local *client.LocalError
	if errors.As(err, &local) {
		return local.Err
	}
	return err
}

// local copies a file between two local file systems.
func (m *mirror) local(ctx context.Context, src, dst *plainSide, t *task) (client.Result, error) {
	o := client.FileOptions{Progress: m.progress(t.rel), KeepTime: true, Perms: m.permsOf(t)}
	in, err := src.fsys.Open(src.at(t.rel))
	if err != nil {
		return client.Result{}, &client.LocalError{Err: err}
	}
	defer in.Close()
	res, here, err := client.Save(ctx, in, dst.fsys, dst.at(t.rel), o)
	if !here {
		err = atDst(err)
	}
	return res, err
}
