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

// FileOptions are how Download and Upload move a file. The zero value moves it
// whole, as it is.
type FileOptions struct {
	// Resume goes on where an earlier try stopped, after a comparison of the last
	// bytes that are there. In ASCII files are always moved whole.
	Resume bool
	// Tries is what several tries of one transfer share: each continues where the one
	// before stopped, if the file is still the same, and otherwise begins anew. A file that
	// was there before is not continued. nil: every try begins anew.
	Tries *Tries
	ASCII bool
	// Size is the remote file's size in bytes for a Download, if it is known
	// already; 0: ask.
	Size     int64
	Progress func(done, total int64) // as in Transfer
	// tag is put into the name of the part, so that what is left of another version of
	// the file can't be taken for it.
	tag string
	// perms are the permissions that a Download gives the file before it has its name; nil:
	// those of the file that it replaces, or of a new file.
	perms *fs.FileMode
	// placing is where an Upload writes to until the file is whole, and learned is told that
	// the server turned out not to take such names or to rename.
	placing placing
	resumes bool // what is under another name may be continued
	learned func()
	// rename is the name that an Upload gives the file once it is whole; "": it has it.
	rename string
	// replaces is the file that has the final name, if one is known to.
	replaces *ftp.Entry
	// timed is told what the server said when an Upload set the time.
	timed func(error)
	// KeepTime gives the copy the modification time of the original, as far as
	// the server tells or takes it.
	KeepTime bool
	// Modified is the remote file's time for KeepTime of a Download, if it is known
	// already; zero: ask.
	Modified time.Time
	Precise  time.Duration // of Modified, as in ftp.Entry; 0: to the second
}

// Download copies the remote file to local in fsys. Until it is whole its name is
// ".NAME.part", in the same directory, or one with more in it if that is taken; after a
// failure that stays, for Resume. Resume continues it, or a shorter local file, unless the
// remote file has changed since. A part that another run is writing to is not continued.
// The file that local names stays until the new one takes its name, owner and permissions.
// A failure of fsys is a *LocalError; a resume that would not give the same file is a
// *ResumeError and changes nothing.
func (c *Client) Download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
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
	d.v.modified, d.v.precise = d.o.Modified, d.o.Precise
	if d.o.ASCII {
		return nil
	}
	has := len(d.c.features) == 0 || d.c.features.Has("MDTM")
	timed := has && d.c.hasSize() && d.o.Modified.IsZero() && (d.o.KeepTime || d.o.Resume || d.o.Tries != nil)
	if d.o.Size > 0 && !(timed && d.o.KeepTime && d.c.asksAlong()) {
		d.v.size = d.o.Size
		return nil
	}
	size, modified, err := d.c.look(ctx, d.remote, timed)
	if d.v.size = size; size < 0 && d.o.Size > 0 {
		d.v.size = d.o.Size
	}
	if timed {
		d.v.modified, d.asked = modified, true
	}
	return err
}

// fresh fetches the whole file. A part file in which nothing arrived is no use.
func (d *download) fresh(ctx context.Context) (Result, error) {
	p, err := newPart(d.fsys, d.local, d.o.tag, d.o.perms)
	if err != nil {
		return Result{}, err
	}
	res, err := d.fetch(ctx, p, &job{})
	return res, d.end(ctx, p, err)
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
	d.o.Tries.left(d.v, p)
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
