package client

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"
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
	// Retry is Resume for a Download that is tried again: it goes on from the part that
	// the try before has left, and never from a file that was at local before. If that
	// would not give the same file, it begins anew.
	Retry bool
	ASCII bool
	// Size is the remote file's size in bytes for a Download, if it is known
	// already; 0: ask.
	Size     int64
	Progress func(done, total int64) // as in Transfer
	// tag is put into the name of the part, so that what is left of another version of
	// the file can't be taken for it.
	tag string
	// rename is the name that an Upload gives the file once it is whole; "": it has it.
	// A refusal is an *ftp.Error whose Verb is RNFR or RNTO.
	rename string
	// timed is told what the server said when an Upload set the time.
	timed func(error)
	// KeepTime gives the copy the modification time of the original, as far as
	// the server tells or takes it.
	KeepTime bool
	// Modified is the remote file's time for KeepTime of a Download, if it is known
	// already; zero: ask.
	Modified time.Time
}

// Download copies the remote file to local in fsys. Until it is whole its name
// is ".NAME.part", in the same directory; after a failure that stays, for Resume.
// Resume goes on from there, or from a shorter local file. A failure of fsys is a
// *LocalError; a resume that would not give the same file is a *ResumeError and
// changes nothing.
func (c *Client) Download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
	if err := sendable(remote); err != nil {
		return Result{}, err
	}
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	d := download{c: c, transfer: c.transfer, fsys: fsys, remote: remote, local: local, part: taggedPart(local, o.tag), o: o, size: -1}
	switch {
	case o.ASCII:
	case o.Size > 0:
		d.size = o.Size
	default:
		var err error
		timed := o.KeepTime && o.Modified.IsZero() && (len(c.features) == 0 || c.features.Has("MDTM"))
		if d.size, d.o.Modified, err = c.look(ctx, remote, timed); err != nil {
			return Result{}, err
		}
		if !timed {
			d.o.Modified = o.Modified
		}
	}
	res, resumed, err := d.resume(ctx)
	var other *ResumeError
	if o.Retry && !o.Resume && errors.As(err, &other) {
		resumed, err = false, nil
	}
	if !resumed && err == nil {
		res, err = d.fresh(ctx)
	}
	if err == nil && o.KeepTime {
		d.keepTime(ctx)
	}
	if err == nil {
		err = localError(fsys.Rename(d.part, local))
	}
	return res, err
}

// partName is where a file grows until it is whole. A name that leaves no room
// for more is cut, and told apart by a sum.
func partName(local string) string {
	const longest = 255
	dir, name := filepath.Split(local)
	if len("."+name+".part") > longest {
		sum := crc32.ChecksumIEEE([]byte(name))
		name = fmt.Sprintf("%s~%08x", strings.ToValidUTF8(name[:240], ""), sum)
	}
	return dir + "." + name + ".part"
}

// taggedPart is partName with a tag in it, if there is one.
func taggedPart(local, tag string) string {
	if tag != "" {
		local += "." + tag
	}
	return partName(local)
}

// download is one Download under way.
type download struct {
	c                   *Client
	transfer            func(context.Context, *job) (Result, error) // c's, or a chain's
	fsys                afero.Fs
	remote, local, part string
	o                   FileOptions
	size                int64 // of the remote file, -1 if unknown
}

// fresh fetches the whole file. A part file in which nothing arrived is no use.
func (d *download) fresh(ctx context.Context) (Result, error) {
	f, err := freshPart(d.fsys, d.part)
	if err != nil {
		return Result{}, err
	}
	res, err := d.fetch(ctx, f, &job{})
	if err != nil && res.Bytes == 0 {
		_ = d.fsys.Remove(d.part)
	}
	return res, err
}

// fetch retrieves the file, or its rest, into f and closes it.
func (d *download) fetch(ctx context.Context, f afero.File, j *job) (Result, error) {
	j.take("RETR", ftp.Retrieve, Transfer{
		Path: d.remote, Offset: j.offset, ASCII: d.o.ASCII, Progress: d.o.Progress,
	})
	j.sink, j.want = bare(f), d.size
	if at, err := f.Seek(0, io.SeekCurrent); err == nil {
		j.rewind = func() error {
			_, err := f.Seek(at, io.SeekStart)
			return errors.Join(err, f.Truncate(at))
		}
	}
	res, err := d.transfer(ctx, j)
	if closeErr := f.Close(); err == nil {
		err = localError(closeErr)
	}
	return res, err
}

// keepTime gives the part file the remote file's time, as far as that can be had.
// The file is whole without it, even if the server is gone by now.
func (d *download) keepTime(ctx context.Context) {
	t := d.o.Modified
	if t.IsZero() {
		var err error
		if t, _, err = d.c.modTime(ctx, d.remote); err != nil {
			return
		}
	}
	_ = d.fsys.Chtimes(d.part, time.Now(), t)
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
