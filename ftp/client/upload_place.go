package client

import (
	"context"

	"miniftp/ftp"
)

// resumable is the size from which it is worth asking for a partial upload that a listing does not
// show, because some servers hide such names.
const resumable = 256 << 10

// run sends the file under the name that choose selects. If the server refuses that name or the
// rename, it sends the file directly to its final name.
func (u *upload) run(ctx context.Context) (Result, error) {
	if err := u.choose(ctx); err != nil {
		return Result{}, err
	}
	if !u.o.Resume && !u.o.Continue && u.o.tries.before(u.to) < 0 {
		u.resumes = false
	}
	res, err := u.whole(ctx)
	if err == nil || u.to == u.remote {
		return res, err
	}
	named := RefusedName(err, u.o.Replaces != nil)
	switch {
	case named:
	case refusedRename(err, "") && !MayWriteOver(err, u.o.Replaces != nil):
		return res, LeftAs(u.to, err)
	case !refusedRename(err, ""):
		return res, err
	}
	beside, renames := u.to, !refusedRename(err, "RNFR")
	u.to, u.o.rename, u.resumes = u.remote, "", false
	if res, err = u.whole(ctx); err != nil {
		if !named && isReply(err) {
			if _, no := u.c.do(ctx, "DELE", beside); no != nil {
				err = LeftAs(beside, err)
			}
		}
		return res, err
	}
	if named || !renames {
		u.c.history.noHiddenNames.Store(true)
	}
	if !named {
		if _, err = u.c.do(ctx, "DELE", beside); isReply(err) {
			err = nil // the partial upload remains, but the file is whole
		}
	}
	return res, err
}

// choose selects the name that the file is sent to, and whether a file with that name may be
// continued. The first case that applies decides:
//
//	the caller renames, or the file is no regular one     the final name
//	the server refuses hidden names or renames            the final name
//	Beside, an earlier try has sent part of this version  the name of that try
//	Beside and Continue                                   the hidden name of this version
//	Beside                                                a random hidden name
//	the server stores whole files itself (miniftp)        the final name
//	an earlier try has sent part of this version          the name of that try
//	Resume, and a part of this version exists             its hidden name
//	Resume, or no file has the final name                 the final name
//	a file would be replaced                              a hidden name
func (u *upload) choose(ctx context.Context) error {
	o, t := &u.o, u.o.tries
	o.Continue = o.Beside && (o.Continue || u.size >= resumable)
	beside := partName(u.remote, VersionTag(u.size, u.v.modified))
	again := t != nil && t.begun && !u.v.differs(t.version)
	u.resumes = o.Resume || o.Continue || again
	switch {
	case o.rename != "" || u.size < 0:
		return nil
	case u.c.history.noHiddenNames.Load():
		o.Continue, u.resumes = false, o.Resume || again
		return nil
	case o.Beside && again && t.name != u.remote:
		u.to, o.rename = t.name, u.remote
		return nil
	case o.Beside && o.Continue:
		u.to, o.rename = beside, u.remote
		return nil
	case o.Beside: // no other run uses that name
		u.to, o.rename = partName(u.remote, randomTag()), u.remote
		return nil
	case u.c.storesWhole():
		return nil
	case again:
		if u.to = t.name; u.to != u.remote {
			o.rename = u.remote
		}
		return nil
	}
	if o.Resume {
		if n, err := u.c.askSize(ctx, beside); n > 0 || err != nil {
			u.to, o.rename = beside, u.remote
			return err
		}
		return nil // the file with the final name may be a partial upload
	}
	typ := ftp.Image
	if o.ASCII {
		typ = ftp.ASCII
	}
	old, err := u.c.there(ctx, u.remote, typ)
	if old == nil || err != nil {
		return err
	}
	u.to, o.rename, o.Replaces = beside, u.remote, old
	taken := int64(0)
	if u.size >= resumable { // large enough that a later run should find the part by its name
		if taken, err = u.c.askSize(ctx, beside); err != nil {
			return err
		}
	}
	if taken >= 0 { // another run may be writing to it
		u.to = partName(u.remote, randomTag())
	}
	return nil
}

// storesWhole reports whether the server itself keeps the old file until the new one is whole, and
// preserves owner and permissions, as miniftp does (ftp.FeatureMiniftp).
func (c *Client) storesWhole() bool { return c.features.Has(ftp.FeatureMiniftp) }

// there returns the existing file with the name path, to which a file of type typ is about to be
// sent. It returns nil if no such file is known.
func (c *Client) there(ctx context.Context, path string, typ ftp.Type) (*ftp.Entry, error) {
	if c.hasMLST() {
		e, err := c.mlstAlong(ctx, path, typ)
		switch {
		case err == nil && e.Type == ftp.FileEntry:
			return &e, nil
		case err == nil, isReply(err) && !refused(err):
			return nil, nil
		case !isReply(err) && (c.dead() || ctx.Err() != nil):
			return nil, err
		}
	}
	size, _, err := c.look(ctx, path, false)
	if err != nil || size < 0 && c.hasSize() {
		return nil, err
	}
	return &ftp.Entry{Name: baseName(path), Type: ftp.FileEntry, Size: size}, nil
}
