package fxp

import (
	"context"
	"path"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// tries is the state that the tries of one copy share: the version of the file that they copy, and what they
// have left at the destination.
type tries struct {
	begun   bool
	version ftp.Entry
	name    string // the name that is written to
	made    bool   // that file was made by an earlier try
}

// first records the version at the first try, and returns it at every try.
func (t *tries) first(v ftp.Entry) ftp.Entry {
	if !t.begun {
		t.begun, t.version = true, v
	}
	return t.version
}

// target is the destination of a copy. If a file has the final name, or may have it, the copy first goes to
// another name. In stream mode the receiving server takes the close of its data connection for the end of the
// file, even if the sending server failed. The old file must not be lost to that.
type target struct {
	c          *client.Client
	dest, name string    // the final name, and the name that is written to
	made       bool      // the copy has begun to write name, so that it may be removed
	replaces   bool      // a file has the final name, or may have
	overwrites bool      // the final name is written to although a file has it
	was        ftp.Entry // the file that had the final name at the first try; Size -1: none is known
	tries      *tries
}

// choose finds out whether a file has the final name, and selects the name to write to. A later try uses the
// same name, so that it replaces what an earlier one has left.
func (t *target) choose(ctx context.Context) (err error) {
	if t.was.Size = -1; t.tries.name != "" {
		t.name, t.replaces, t.made = t.tries.name, t.tries.name != t.dest, t.tries.made
		return nil
	}
	t.name = t.dest
	if t.was, err = t.c.Facts(ctx, t.dest); err != nil {
		return err
	}
	if t.replaces = t.was.Size >= 0 || !hasSize(t.c); t.replaces {
		t.name = client.PartName(t.dest)
	}
	t.tries.name = t.name
	return nil
}

// isFile reports whether the target is the same file as name on the server of from, of version v. Both must
// have the same size and time, and either the same unique fact, or the part that was written beside the target
// must be visible beside the source.
func (t *target) isFile(ctx context.Context, from *client.Client, name string, v ftp.Entry) (bool, error) {
	switch {
	case t.was.Size < 0 || t.was.Differs(v):
		return false, nil
	case v.Unique != "" && t.was.Unique != "":
		return true, nil
	case !t.made || path.Base(name) != path.Base(t.dest):
		return false, nil
	}
	n, err := size(ctx, from, path.Join(path.Dir(name), path.Base(t.name)))
	return n >= 0, err
}

// mayWriteOver reports whether the copy may be written directly to its final name after a rename was refused.
// It may not if the target could be the source itself under another name.
func (t *target) mayWriteOver(no error, v ftp.Entry) bool {
	return client.MayWriteOver(no, t.replaces) && (t.was.Size < 0 || t.was.Differs(v))
}

// writeOver has the copy written directly to its final name.
func (t *target) writeOver() {
	_ = t.remove(nil)
	t.name, t.made, t.overwrites = t.dest, false, t.replaces
}

// remove deletes what a failed copy has left. err is the error of the copy. If the file can't be deleted, the
// returned error names it.
func (t *target) remove(err error) error {
	if !t.made || t.overwrites {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pi.ShortWait)
	defer cancel()
	if t.c.Alive() {
		if _, no := t.c.Command(ctx, "DELE", t.name); no == nil || is550(no) {
			return err
		}
	}
	t.tries.made = true // the next try may remove or replace it
	if err == nil {
		return nil
	}
	return client.LeftAs(t.name, err)
}
