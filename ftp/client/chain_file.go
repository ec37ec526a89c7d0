package client

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// download is Pool.Download in a chain. errNotChained: nothing was done, or it did not get
// through.
func (ch *chain) download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
	if !o.chainsDown() || o.Tag != "" && isThere(fsys, partName(local, o.Tag)) {
		return Result{}, errNotChained
	}
	d := download{transfer: ch.transfer, fsys: fsys, remote: remote, local: local, o: o, v: o.listed()}
	res, err := d.fresh(ctx)
	return res, ch.orElse(ctx, o.Retry, err)
}

// chainsDown reports whether a file to download is one for a chain: of many, small, of known
// size and time, and with nothing to go on with.
func (o *FileOptions) chainsDown() bool {
	v := o.listed()
	return o.Several && !o.Resume && !o.ASCII && v.size >= 0 && v.size <= chainMost && !(o.KeepTime && v.modified.IsZero())
}

// isThere reports whether a part has bytes in it.
func isThere(fsys afero.Fs, name string) bool {
	info, err := lstat(fsys, name)
	return err == nil && info.Size() > 0
}

// upload is Pool.Upload in a chain. errNotChained: the file has to be sent by a
// Client.Upload, whatever the server may have of it by now.
func (ch *chain) upload(ctx context.Context, fsys afero.Fs, local, remote string, o FileOptions) (Result, error) {
	if !o.chainsUp() || o.KeepTime && !ch.features.Has("MFMT") {
		return Result{}, errNotChained
	}
	f, err := fsys.Open(local)
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > chainMost {
		return Result{}, errNotChained
	}
	to := remote
	if o.Beside {
		if ch.p.opts.history.noBeside.Load() {
			return Result{}, errNotChained
		}
		to = partName(remote, VersionTag(info.Size(), info.ModTime()))
	}
	res, err := ch.store(ctx, f, to, info.Size(), o.Progress)
	switch {
	case err != nil:
	case to == remote:
		res.Verified, err = ch.confirm(ctx, remote, info, o)
	default:
		err = ch.place(ctx, to, remote, info, o)
	}
	return res, ch.orElse(ctx, o.Retry, err)
}

// chainsUp reports whether a file to upload may be one for a chain.
func (o *FileOptions) chainsUp() bool { return o.Several && !o.Resume && !o.Continue && !o.ASCII }

// confirm asks for the size of what was stored, and sets its time, without which the file
// stands.
func (ch *chain) confirm(ctx context.Context, remote string, info fs.FileInfo, o FileOptions) (verified string, err error) {
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
	n, err := sizeOf(replies[0])
	if err != nil {
		return "reply", nil
	}
	got := outcome{sent: info.Size(), there: n}
	return "size and reply", got.verdict()
}

// place gives a whole file its time and its final name.
func (ch *chain) place(ctx context.Context, part, final string, info fs.FileInfo, o FileOptions) error {
	h := ch.p.opts.history
	var cmds []ftp.Command
	if o.KeepTime && !h.noTime.Load() {
		cmds = append(cmds, ftp.Command{Verb: "MFMT", Arg: ftp.FormatTime(info.ModTime()) + " " + part})
	}
	// RNTO means nothing, and does nothing, behind an RNFR that was refused.
	cmds = append(cmds, ftp.Command{Verb: "RNFR", Arg: part}, ftp.Command{Verb: "RNTO", Arg: final})
	replies, err := ch.commands(ctx, cmds...)
	if err != nil {
		return err
	}
	renamed := refusal("RNTO", replies[len(replies)-1]) == nil
	timed := cmds[0].Verb != "MFMT" || refusal("MFMT", replies[0]) == nil
	if renamed && timed {
		return nil
	}
	return ch.p.Do(ctx, func(c *Client) error {
		if err := c.begin(); err != nil {
			return err
		}
		defer c.end()
		if !renamed {
			if err := c.placeOrDelete(ctx, part, final, o.Replaces != nil); err != nil {
				return err
			}
		}
		if timed {
			return nil
		}
		err := c.setModTime(ctx, final, info.ModTime()) // perhaps there is another way
		if isReply(err) {
			err = nil
		}
		return err
	})
}

// placeOrDelete gives a file its final name. If the server lets nobody do that, the file goes,
// and has to be sent under its own name.
func (c *Client) placeOrDelete(ctx context.Context, part, final string, replaces bool) error {
	err := c.place(ctx, part, final, replaces, nil)
	if refusedRename(err, "RNFR") {
		c.history.noBeside.Store(true)
	}
	if !isReply(err) {
		return err
	}
	if _, err = c.do(ctx, "DELE", part); err == nil || isReply(err) {
		return errNotChained
	}
	return err
}

// store sends a file of that size.
func (ch *chain) store(ctx context.Context, f afero.File, remote string, size int64, progress func(done, total int64)) (Result, error) {
	j := &job{source: bare(f)}
	j.take("STOR", ftp.Store, Transfer{Path: remote, Size: size, Progress: progress})
	j.want = size
	return ch.transfer(ctx, j)
}

// orElse is err, as errNotChained if the ordinary way may do better.
func (ch *chain) orElse(ctx context.Context, r Retry, err error) error {
	switch {
	case err == nil, isLocal(err), isReply(err) && !(r.Times > 0 && r.again(err)):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errNotChained
}

func isLocal(err error) bool {
	var local *LocalError
	return errors.As(err, &local) || errors.Is(err, os.ErrPermission)
}
