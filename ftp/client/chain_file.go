package client

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// download is Pool.Download by a chain. It returns errNotChained if nothing was done or the chain
// failed.
func (ch *chain) download(ctx context.Context, remote string, fsys afero.Fs, local string, o FileOptions) (Result, error) {
	if !o.chainsDown() || o.Tag != "" && isThere(fsys, partName(local, o.Tag)) {
		return Result{}, errNotChained
	}
	d := download{transfer: ch.transfer, fsys: fsys, remote: remote, local: local, o: o, v: o.listed()}
	res, err := d.fresh(ctx)
	return res, ch.orElse(ctx, o.Retry, err)
}

// chainsDown reports whether a chain may download the file: it is one of several, small, its size and
// time are known, and it is not resumed.
func (o *FileOptions) chainsDown() bool {
	v := o.listed()
	return o.Several && !o.Resume && !o.ASCII && v.size >= 0 && v.size <= chainMost && !(o.KeepTime && v.modified.IsZero())
}

// isThere reports whether a non-empty part exists.
func isThere(fsys afero.Fs, name string) bool {
	info, err := lstat(fsys, name)
	return err == nil && info.Size() > 0
}

// upload is Pool.Upload by a chain. After errNotChained the file has to be sent by Client.Upload, even
// if the server has some or all of it already.
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
		if ch.p.opts.history.noHiddenNames.Load() {
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

// chainsUp reports whether a chain may upload the file, as far as the options tell.
func (o *FileOptions) chainsUp() bool { return o.Several && !o.Resume && !o.Continue && !o.ASCII }

// confirm asks for the size of the stored file and sets its time. The upload succeeds even if the time
// can't be set.
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
		return "reply", nil // the final reply is enough, even if the connection has failed meanwhile
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

// place sets the time of a whole file and renames it to final.
func (ch *chain) place(ctx context.Context, part, final string, info fs.FileInfo, o FileOptions) error {
	h := ch.p.opts.history
	var cmds []ftp.Command
	if o.KeepTime && !h.noTime.Load() {
		cmds = append(cmds, ftp.Command{Verb: "MFMT", Arg: ftp.FormatTime(info.ModTime()) + " " + part})
	}
	// RNTO may follow at once: after a refused RNFR it does nothing.
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
		err := c.setModTime(ctx, final, info.ModTime()) // another command may work
		if isReply(err) {
			err = nil
		}
		return err
	})
}

// placeOrDelete renames a file to its final name. If the server refuses that, the file is deleted and
// has to be sent directly to its final name.
func (c *Client) placeOrDelete(ctx context.Context, part, final string, replaces bool) error {
	err := c.place(ctx, part, final, replaces, nil)
	if refusedRename(err, "RNFR") {
		c.history.noHiddenNames.Store(true)
	}
	if !isReply(err) {
		return err
	}
	if _, err = c.do(ctx, "DELE", part); err == nil || isReply(err) {
		return errNotChained
	}
	return err
}

// store sends a file of the given size.
func (ch *chain) store(ctx context.Context, f afero.File, remote string, size int64, progress func(done, total int64)) (Result, error) {
	j := &job{source: bare(f)}
	j.fill("STOR", ftp.Store, Transfer{Path: remote, Size: size, Progress: progress})
	j.want = size
	return ch.transfer(ctx, j)
}

// orElse returns err, or errNotChained if the ordinary way may succeed.
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
