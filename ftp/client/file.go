package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// FileOptions are how Download and Upload move a file. The zero value moves it once,
// whole, as it is, over one connection.
type FileOptions struct {
	// FS is where the local file is; nil: among the files of this host.
	FS afero.Fs
	// Resume continues where an earlier run stopped, after a comparison of the last
	// bytes that are there. In ASCII files are always moved whole.
	Resume bool
	// Retry says how often a transfer that broke is tried again. Each try continues where the
	// one before stopped, if the file is still the same, and otherwise begins anew. A Client
	// tries again only as long as its connection lasts; a Pool dials another one.
	Retry Retry
	ASCII bool
	// KeepTime gives the copy the modification time of the original, as far as
	// the server tells or takes it.
	KeepTime bool
	// Listed is what a listing says of the remote file of a Download, if its Type is
	// ftp.FileEntry: its Size (0 or -1: unknown), and its Modified, which KeepTime needs, with
	// Precise (zero: unknown). What is unknown is asked for. A Name is not needed.
	Listed ftp.Entry
	// Perms are the permissions that a Download gives the file before it has its name; nil:
	// those of the file that it replaces, or of a new file.
	Perms *fs.FileMode
	// Connections is how many connections of a Pool one large file of a Download may have, if
	// that many are free; 0 is 1.
	Connections int
	// Several says that many other files are moved over the Pool at the same time, as many as
	// Pool.Parallel says. Small ones then share a connection, if the server allows that.
	Several  bool
	Progress func(done, total int64) // as in Transfer

	// The rest is for programs that keep trees alike, and so know both sides.

	// Tag is put into the name of the part of a Download, so that what is left of another
	// version of the file can't be taken for it (see VersionTag). A part with that name is
	// continued.
	Tag string
	// Beside has an Upload write to the name of a part in any case, not only if a file has the
	// final name, and fail if that gets no time.
	Beside bool
	// Continue says that an earlier run has left a part, which an Upload with Beside is to
	// continue if it is of this version of the file.
	Continue bool
	// Replaces is the file that has the final name of an Upload, if one is known to.
	Replaces *ftp.Entry

	pool *Pool // whose other connections may help a Download; nil: none
	// tries is what several tries of one transfer share; nil: there is only one. What was
	// there before the first one is not continued.
	tries *tries
	// rename is the name that an Upload gives the file once it is whole; "": it has it.
	rename string
}

// fs is where the local file is.
func (o *FileOptions) fs() afero.Fs {
	if o.FS == nil {
		return afero.NewOsFs()
	}
	return o.FS
}

// listed is what is known of the version of the remote file. An empty file may be one of
// which the server tells no size.
func (o *FileOptions) listed() version {
	if o.Listed.Type != ftp.FileEntry {
		return version{size: -1}
	}
	return version{size: o.Listed.Size, modified: o.Listed.Modified, precise: o.Listed.Precise}
}

// Download copies the remote file to the file local. Until it is whole its name is
// ".NAME.part", in the same directory, or one with more in it if that is taken; after a
// failure that stays, for Resume. Resume continues it, or a shorter local file, unless the
// remote file has changed since. A part that another run is writing to is not continued.
// The file that local names stays until the new one takes its name, owner and permissions.
// A failure of this side is a *LocalError; a resume that would not give the same file is a
// *ResumeError and changes nothing.
func (c *Client) Download(ctx context.Context, remote, local string, o FileOptions) (Result, error) {
	return o.tried(ctx, c.lasts, func(o FileOptions) (Result, error) {
		return c.download(ctx, remote, o.fs(), local, o)
	})
}

// lasts reports whether another try over the connection can end better than with err.
func (c *Client) lasts(error) bool { return c.Alive() }

// download is one try of a Download.
func (c *Client) download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
	if err := sendable(remote); err != nil {
		return Result{}, err
	}
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	d := download{c: c, transfer: c.transfer, fsys: fsys, remote: remote, local: local, o: o, v: version{size: -1}}
	if err := d.look(ctx); err != nil {
		return Result{}, err
	}
	p, err := d.left(ctx)
	var other *ResumeError
	switch {
	case err == nil && p != nil:
		var res Result
		var again bool
		if res, again, err = d.proceed(ctx, p); !again {
			return res, err
		}
	case errors.As(err, &other) && !o.Resume, err == nil:
	default:
		return Result{}, err
	}
	return d.fresh(ctx)
}

// download is one Download under way.
type download struct {
	c             *Client
	transfer      func(context.Context, *job) (Result, error) // c's, or a chain's
	fsys          afero.Fs
	remote, local string
	o             FileOptions
	v             version // of the remote file
	asked         bool    // v is what the server says now
}

// look finds out the version of the remote file, as far as it is not known. If only the time
// is missing, it is asked for where that takes no round trip of its own, otherwise when the
// file is here. The time before the transfer is the better one: if the file changes during
// it, the copy is older than the original, and a mirror fetches it again.
func (d *download) look(ctx context.Context) error {
	listed := d.o.listed()
	d.v.modified, d.v.precise = listed.modified, listed.precise
	if d.o.ASCII {
		return nil
	}
	has := len(d.c.features) == 0 || d.c.features.Has("MDTM")
	timed := has && d.c.hasSize() && listed.modified.IsZero() && (d.o.KeepTime || d.o.Resume || d.o.tries != nil || d.o.pool != nil && d.o.Connections > 1)
	if listed.size > 0 && !(timed && d.o.KeepTime && d.c.asksAlong()) {
		d.v.size = listed.size
		return nil
	}
	size, modified, err := d.c.look(ctx, d.remote, timed)
	if d.v.size = size; size < 0 && listed.size > 0 {
		d.v.size = listed.size
	}
	if timed {
		d.v.modified, d.asked = modified, true
	}
	return err
}

// fresh fetches the whole file. A part file in which nothing arrived is no use.
func (d *download) fresh(ctx context.Context) (Result, error) {
	p, err := newPart(d.fsys, d.local, d.o.Tag, d.o.Perms)
	if err != nil {
		return Result{}, err
	}
	res, err := d.fetch(ctx, p, &job{})
	if errors.Is(err, errOneConnection) {
		if err = d.whole(ctx, p); err != nil {
			return Result{}, err
		}
		return d.fresh(ctx)
	}
	return res, d.end(ctx, p, err)
}

// whole has the file fetched again, over one connection, as its segments do not fit together.
func (d *download) whole(ctx context.Context, p *part) error {
	d.o.Connections = 0
	p.close()
	p.remove()
	_, err := d.changed(ctx)
	return err
}

// end gives a whole file its name, and keeps what a failed try has of it.
func (d *download) end(ctx context.Context, p *part, err error) error {
	var modified time.Time
	if d.o.KeepTime && err == nil {
		modified = d.time(ctx)
	}
	if err == nil {
		return p.finish(modified)
	}
	p.keep(d.v.modified)
	d.o.tries.left(d.v, p)
	return err
}

// fetch retrieves the file, or its rest, into the part.
func (d *download) fetch(ctx context.Context, p *part, j *job) (Result, error) {
	j.take("RETR", ftp.Retrieve, Transfer{
		Path: d.remote, Offset: j.offset, ASCII: d.o.ASCII, Progress: d.o.Progress,
	})
	if j.want = d.v.size; j.sink == nil {
		j.sink = p.f
	}
	if at, err := p.f.Seek(0, io.SeekCurrent); err == nil {
		j.rewind = func() error {
			_, err := p.f.Seek(at, io.SeekStart)
			return errors.Join(err, p.f.Truncate(at))
		}
		if d.cuts(j) {
			return (&segments{d: d, out: p}).run(ctx, j, at)
		}
	}
	return d.transfer(ctx, j)
}

// time returns the time that the copy gets, zero if the server does not tell. The file is
// whole without it, even if the server is gone by now.
func (d *download) time(ctx context.Context) time.Time {
	if d.v.modified.IsZero() && d.c != nil && !d.asked {
		if t, _, err := d.c.modTime(ctx, d.remote); err == nil {
			return t
		}
	}
	return d.v.modified
}

// bare is the file inside what afero wraps round it: only an *os.File itself is
// moved by the kernel.
func bare(f afero.File) afero.File {
	for {
		wrapped, ok := f.(*afero.BasePathFile)
		if !ok {
			return f
		}
		f = wrapped.File
	}
}

func localError(err error) error {
	if err == nil {
		return nil
	}
	return &LocalError{Err: err}
}
