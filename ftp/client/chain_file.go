package client

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// Download is Client.Download for a small file, most often one of many that are in work
// at the same time. o.Size, if known, and with KeepTime o.Modified have to be what the
// server listed. ErrNotChained, as for what is to be resumed and for ASCII: nothing was
// done, or it did not get through.
func (ch *Chain) Download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
	size := o.Size
	if size == 0 {
		size = -1
	}
	return ch.download(ctx, remote, fsys, local, o, size)
}

// download is Download of a file whose size is known, or -1.
func (ch *Chain) download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions, size int64) (Result, error) {
	if ch == nil || o.Resume || o.Tries != nil || o.ASCII || size > ChainMost || o.KeepTime && o.Modified.IsZero() {
		return Result{}, ErrNotChained
	}
	d := download{transfer: ch.transfer, fsys: fsys, remote: remote, local: local, o: o, v: version{size: size, modified: o.Modified}}
	res, err := d.fresh(ctx)
	return res, ch.orElse(ctx, err)
}

// Upload is Client.Upload for a small file, most often one of many that are in work at
// the same time. The server's size of it is compared here, too. ErrNotChained, as for what
// is to be resumed, is larger or is no regular file: it has to be sent by an Upload,
// whatever the server may have of it by now.
func (ch *Chain) Upload(ctx context.Context, fsys afero.Fs, local, remote string, o FileOptions) (Result, error) {
	if ch == nil || o.Resume || o.ASCII || o.KeepTime && !ch.features.Has("MFMT") {
		return Result{}, ErrNotChained
	}
	f, err := fsys.Open(local)
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > ChainMost || o.Size > 0 && info.Size() != o.Size {
		return Result{}, ErrNotChained
	}
	res, err := ch.store(ctx, f, remote, info.Size(), o.Progress)
	if err == nil {
		res.Verified, err = ch.confirm(ctx, remote, info, o)
	}
	return res, ch.orElse(ctx, err)
}

// confirm asks for the size of what was stored, and sets its time, without which the file
// stands.
func (ch *Chain) confirm(ctx context.Context, remote string, info fs.FileInfo, o FileOptions) (verified string, err error) {
	var cmds []ftp.Command
	if ch.features.Has("SIZE") {
		cmds = append(cmds, ftp.Command{Verb: "SIZE", Arg: remote})
	}
	if o.KeepTime {
		cmds = append(cmds, ftp.Command{Verb: "MFMT", Arg: ftp.FormatTime(info.ModTime()) + " " + remote})
	}
	if len(cmds) == 0 {
		return "reply", nil
	}
	replies, err := ch.commands(ctx, cmds...)
	if err != nil && !o.KeepTime {
		return "reply", nil // the final reply stands, even if the server is gone by now
	}
	if err != nil || cmds[0].Verb != "SIZE" || refusal("SIZE", replies[0]) != nil {
		return "reply", err
	}
	if n, err := sizeOf(replies[0]); err == nil && n != info.Size() {
		return "", ErrNotChained
	} else if err != nil {
		return "reply", nil
	}
	return "size and reply", nil
}

// store sends a file of that size.
func (ch *Chain) store(ctx context.Context, f afero.File, remote string, size int64, progress func(done, total int64)) (Result, error) {
	j := &job{source: bare(f)}
	j.take("STOR", ftp.Store, Transfer{Path: remote, Size: size, Progress: progress})
	j.want = size
	return ch.transfer(ctx, j)
}

// orElse is err, as ErrNotChained if the ordinary way may do better.
func (ch *Chain) orElse(ctx context.Context, err error) error {
	switch {
	case err == nil, isReply(err), isLocal(err):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return ErrNotChained
}

func isLocal(err error) bool {
	var local *LocalError
	return errors.As(err, &local) || errors.Is(err, os.ErrPermission)
}
