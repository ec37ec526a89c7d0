package client

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"miniftp/ftp"
)

// This file is how a Mirror moves small files in a chain, where the server has block mode.
// A file that does not get through that way is copied as any other.

// startChain looks whether there may be one; so many files are worked on at once then.
func (m *mirror) startChain(ctx context.Context) (workers int) {
	from, isRemote := m.src.(*remoteSide)
	to, toRemote := m.dst.(*remoteSide)
	if m.o.DryRun || isRemote == toRemote {
		return m.parallel
	}
	p := m.pool(from, to)
	if m.chain = p.Chain(ctx); m.chain == nil {
		return m.parallel
	}
	return max(m.parallel, ChainWindow)
}

func (m *mirror) pool(from, to *remoteSide) *Pool {
	if from != nil {
		return from.pool
	}
	return to.pool
}

// linked copies a file in the chain. ErrNotChained: it is not one for it, or did not get
// through.
func (m *mirror) linked(ctx context.Context, t *task) (Result, error) {
	if !m.chains(t) {
		return Result{}, ErrNotChained
	}
	if to, ok := m.dst.(*plainSide); ok {
		return m.chainGet(ctx, m.src.(*remoteSide), to, t)
	}
	return m.chainPut(ctx, m.src.(*plainSide), m.dst.(*remoteSide), t)
}

// chains reports whether a file is one for the chain: small, of known size and time, and
// nothing of it is there to go on with.
func (m *mirror) chains(t *task) bool {
	if m.chain == nil || t.src.Size < 0 || t.src.Size > ChainMost || t.part.Name != "" {
		return false
	}
	if to, ok := m.dst.(*remoteSide); ok {
		return !to.noRename.Load() && !m.o.Perms && m.chain.features.Has("MFMT")
	}
	return t.src.Precise < time.Minute && !t.src.Modified.IsZero()
}

// chainGet downloads a file.
func (m *mirror) chainGet(ctx context.Context, src *remoteSide, dst *plainSide, t *task) (Result, error) {
	local := dst.at(t.rel)
	if info, err := lstat(dst.fsys, partName(local, t.tag)); err == nil && info.Size() > 0 {
		return Result{}, ErrNotChained
	}
	o := FileOptions{Progress: m.progress(t.rel), KeepTime: true, Modified: t.src.Modified, tag: t.tag, perms: m.permsOf(t)}
	return m.chain.download(ctx, src.at(t.rel), dst.fsys, local, o, t.src.Size)
}

// permsOf returns the permissions that a copy gets; nil if they are not copied.
func (m *mirror) permsOf(t *task) *fs.FileMode {
	if !m.o.Perms || !t.src.HasMode {
		return nil
	}
	mode := t.src.Mode.Perm()
	return &mode
}

// chainPut uploads a file to another name. That it is whole is known before it gets its
// own.
func (m *mirror) chainPut(ctx context.Context, src *plainSide, dst *remoteSide, t *task) (Result, error) {
	f, err := src.fsys.Open(src.at(t.rel))
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != t.src.Size {
		return Result{}, ErrNotChained // it is another one by now
	}
	part, to := dst.at(partName(t.rel, t.tag)), dst.at(t.rel)
	res, err := m.chain.store(ctx, f, part, t.src.Size, m.progress(t.rel))
	if err != nil {
		return res, err
	}
	var cmds []ftp.Command
	if !dst.noTime.Load() && !t.src.Modified.IsZero() {
		cmds = append(cmds, ftp.Command{Verb: "MFMT", Arg: ftp.FormatTime(t.src.Modified) + " " + part})
	}
	// RNTO means nothing, and does nothing, behind an RNFR that was refused.
	cmds = append(cmds, ftp.Command{Verb: "RNFR", Arg: part}, ftp.Command{Verb: "RNTO", Arg: to})
	replies, err := m.chain.commands(ctx, cmds...)
	if err != nil {
		return res, err
	}
	renamed := refusal("RNTO", replies[len(replies)-1]) == nil
	if renamed && (cmds[0].Verb != "MFMT" || refusal("MFMT", replies[0]) == nil) {
		return res, nil
	}
	return res, dst.pool.Do(ctx, func(c *Client) error {
		if !renamed {
			err := dst.place(ctx, c, part, t)
			if isReply(err) { // it has to be sent under its own name
				if err = c.Delete(ctx, part); err == nil || isReply(err) {
					return ErrNotChained
				}
			}
			if err != nil {
				return err
			}
		}
		return dst.finishTime(ctx, c, to, &t.src) // perhaps there is another way
	})
}

// unlinked reports whether a file has to be copied in the ordinary way.
func unlinked(err error) bool {
	return errors.Is(err, ErrNotChained) || err != nil && !isReply(err) && !isLocal(err)
}
