package client

import (
	"context"
	"io/fs"
	"time"

	"miniftp/ftp"
)

// version identifies a version of a file. It is recorded when a transfer begins, and compared before a later
// try or run continues that transfer, and at the end of one that consisted of several tries.
type version struct {
	size     int64         // -1: unknown
	modified time.Time     // zero: unknown
	precise  time.Duration // precision of modified; 0: a second, as servers report it
	unique   string        // the unique fact of MLSx; "": unknown
	info     fs.FileInfo   // of a local file; nil: the file is remote
}

// localVersion returns the version of an open local file.
func localVersion(info fs.FileInfo) version {
	return version{size: info.Size(), modified: info.ModTime(), precise: time.Nanosecond, info: info}
}

// listedVersion returns the version of a file in a listing.
func listedVersion(e *ftp.Entry) version {
	return version{size: e.Size, modified: e.Modified, precise: e.Precise, unique: e.Unique}
}

// known reports whether a change of the file would show in more than its size.
func (v version) known() bool { return v.size >= 0 && (!v.modified.IsZero() || v.unique != "") }

// differs reports whether the two are certainly different files, or different versions of one file.
func (v version) differs(w version) bool {
	return v.info != nil && w.info != nil && !sameFile(v.info, w.info) || v.entry().Differs(w.entry())
}

func (v version) entry() ftp.Entry {
	return ftp.Entry{Size: v.size, Modified: v.modified, Precise: v.precise, Unique: v.unique}
}

// version asks the server for the version of a file. What it does not report is unknown.
func (c *Client) version(ctx context.Context, path string) (v version, err error) {
	if err := c.setType(ctx, ftp.Image); err != nil { // SIZE depends on the type
		return version{size: -1}, err
	}
	if c.hasMLST() {
		e, err := c.mlst(ctx, path)
		switch {
		case err == nil && e.Size >= 0 && !e.Modified.IsZero() && !e.IsDir():
			c.history.mlstWorks.Store(true)
			return listedVersion(&e), nil
		case saysMissing(err) && (c.history.mlstWorks.Load() || c.isMeasured()):
			return version{size: -1}, nil // SIZE and MDTM would say the same
		case err != nil && !isReply(err):
			return version{size: -1}, err
		}
	}
	if v.size, err = c.askSize(ctx, path); err != nil || c.history.noMDTM.Load() {
		return v, err
	}
	t, precise, err := c.modTime(ctx, path)
	switch {
	case err == nil:
		v.modified, v.precise = t, precise
	case c.dead() || ctx.Err() != nil:
		return v, err
	}
	return v, nil
}
