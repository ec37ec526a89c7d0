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

// FileOptions configure how Download and Upload move a file. The zero value transfers the whole file
// once, unchanged, over one connection.
type FileOptions struct {
	// FS is the file system of the local file; nil is the host's.
	FS afero.Fs
	// Resume continues where an earlier run stopped, after comparing the last bytes that exist on
	// both sides. With ASCII, files are always transferred whole.
	Resume bool
	// Retry says how often a failed transfer is tried again. Each try continues where the one
	// before stopped, if the file has not changed, and otherwise starts over. A Client tries again
	// only while its connection is open; a Pool dials another one.
	Retry Retry
	ASCII bool
	// KeepTime gives the copy the modification time of the original, if the server can report or
	// set it.
	KeepTime bool
	// Listed describes the remote file of a Download as a listing has it, if its Type is
	// ftp.FileEntry. Only three fields are used: Size (0 or -1: unknown), Modified (zero: unknown)
	// and Precise; KeepTime needs the latter two. The server is asked for what is unknown.
	Listed ftp.Entry
	// Perms are the permissions that a Download sets before the file gets its name. nil means
	// those of the file that it replaces, or of a new file.
	Perms *fs.FileMode
	// Connections is how many connections of a Pool a Download may use for one large file, if
	// that many are free. 0 means 1.
	Connections int
	// Several announces that many other files are transferred over the Pool at the same time, as
	// many as Pool.Parallel returns. Small files then share a connection, if the server allows it.
	Several  bool
	Progress func(done, total int64) // as in Transfer

	// The other options are for programs that synchronize trees, and so know both sides.

	// Tag becomes part of the name of a Download's partial file, so that parts of different
	// versions of the file are kept apart (see VersionTag). A part with that name is continued.
	Tag string
	// Beside has an Upload always write to a hidden name first, not only if a file has the final
	// name. The Upload fails if the connection fails before the time is set.
	Beside bool
	// Continue says that an earlier run has left a part, which an Upload with Beside continues if
	// it is of the same version of the file.
	Continue bool
	// Replaces is the file that has the final name of an Upload, if one is known to exist.
	Replaces *ftp.Entry

	pool *Pool // whose other connections may help a Download; nil: none
	// tries is the state shared by the tries of one transfer; nil: there is only one. A file that
	// existed before the first try is not continued.
	tries *tries
	// rename is the name that an Upload gives the file once it is whole; "": none.
	rename string
}

// fs returns the file system of the local file.
func (o *FileOptions) fs() afero.Fs {
	if o.FS == nil {
		return afero.NewOsFs()
	}
	return o.FS
}

// listed returns the version of the remote file as far as Listed has it. A size of 0 counts as
// unknown for Download, because servers may list 0 for a file whose size they do not report.
func (o *FileOptions) listed() version {
	if o.Listed.Type != ftp.FileEntry {
		return version{size: -1}
	}
	return version{size: o.Listed.Size, modified: o.Listed.Modified, precise: o.Listed.Precise}
}

// Download copies the remote file to the local one. Until it is whole, its name is ".NAME.part" in
// the same directory, or a longer name if that is in use. After a failure the partial file is kept.
// Resume continues it, or a shorter local file, unless the remote file has changed since. A part that
// another run is writing to is not continued. An existing local file is kept until the new one takes
// its name, owner and permissions. A failure of the local side is a *LocalError. If a resume would
// not produce the same file, the error is a *ResumeError and nothing is changed.
func (c *Client) Download(ctx context.Context, remote, local string, o FileOptions) (Result, error) {
	return o.tried(ctx, c.lasts, func(o FileOptions) (Result, error) {
		return c.download(ctx, remote, o.fs(), local, o)
	})
}

// lasts reports whether the connection can be used for another try.
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

// download is one Download in progress. Its life, by method:
//
//	look       find out the version of the remote file
//	left       open a part that can be continued: then proceed, else fresh
//	fresh      create a part; fetch everything
//	proceed    compare the overlap; fetch the rest; check that the version is the same
//	end        give the whole file its name, or keep the part for the next try or run
type download struct {
	c             *Client
	transfer      func(context.Context, *job) (Result, error) // that of c or of a chain
	fsys          afero.Fs
	remote, local string
	o             FileOptions
	v             version // of the remote file
	asked         bool    // v was reported by the server in this try
}

// look finds out the version of the remote file, as far as it is not known. If only the time is
// missing, the server is asked before the transfer if that costs no extra round trip, and otherwise
// after it. The time from before is better: if the file changes during the transfer, the copy is
// older than the original, and a mirror fetches it again.
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

// fresh fetches the whole file.
func (d *download) fresh(ctx context.Context) (Result, error) {
	p, err := newPart(d.fsys, d.local, d.o.Tag, d.o.Perms)
	if err != nil {
		return Result{}, err
	}
	res, err := d.fetch(ctx, p, &job{})
	if errors.Is(err, errOneConnection) {
		if err = d.startOver(ctx, p); err != nil {
			return Result{}, err
		}
		return d.fresh(ctx)
	}
	return res, d.end(ctx, p, err)
}

// startOver prepares to fetch the file again over one connection, after its segments did not fit together.
func (d *download) startOver(ctx context.Context, p *part) error {
	d.o.Connections = 0
	p.close()
	p.remove()
	_, err := d.changed(ctx)
	return err
}

// end gives a whole file its name, and keeps the part after a failed try.
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

// fetch retrieves the file, or the rest of it, into the part.
func (d *download) fetch(ctx context.Context, p *part, j *job) (Result, error) {
	j.fill("RETR", ftp.Retrieve, Transfer{
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

// time returns the time for the copy, or zero if the server does not report it. The file is complete
// without it, even if the connection has failed meanwhile.
func (d *download) time(ctx context.Context) time.Time {
	if d.v.modified.IsZero() && d.c != nil && !d.asked {
		if t, _, err := d.c.modTime(ctx, d.remote); err == nil {
			return t
		}
	}
	return d.v.modified
}

// bare unwraps an afero file: the kernel can move the bytes only of an *os.File itself.
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
