package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/afero"
)

// Save copies an open file to final in fsys as Download does: under the name of a part until it is
// whole. Of o it uses KeepTime, Perms and Progress. A partial copy is removed. source reports
// whether the cause of an error is in, or the end of ctx, rather than the copy.
func Save(ctx context.Context, in afero.File, fsys afero.Fs, final string, o FileOptions) (res Result, source bool, err error) {
	info, err := in.Stat()
	if err != nil {
		return Result{}, true, &LocalError{Err: err}
	}
	v := localVersion(info)
	out, err := newPart(fsys, final, VersionTag(v.size, v.modified), o.Perms)
	if err != nil {
		return Result{}, false, err
	}
	began := time.Now()
	n, err := copyBytes(ctx, out.f, bare(in), func(done int64) {
		if o.Progress != nil {
			o.Progress(done, v.size)
		}
	})
	var where *fs.PathError
	source = err != nil && !(errors.As(err, &where) && where.Path == out.f.Name())
	if err == nil {
		modified := v.modified
		if !o.KeepTime {
			modified = time.Time{}
		}
		err = out.finish(modified)
	}
	if err != nil {
		out.close()
		out.remove()
	}
	return Result{Bytes: n, Took: time.Since(began), Verified: "size"}, source, err
}

// copyBytes is like io.Copy, but stops between two chunks if ctx ends. Errors of the files are
// *LocalErrors.
func copyBytes(ctx context.Context, dst io.Writer, src io.Reader, progress func(done int64)) (n int64, err error) {
	const chunk = 4 << 20
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		some, err := io.CopyN(dst, src, chunk)
		n += some
		if progress != nil {
			progress(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, &LocalError{Err: err}
		}
	}
}
