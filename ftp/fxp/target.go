package fxp

import (
	"context"
	"path"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/pi"
)

// tries is what the tries of one copy share: which version of the file they move, and what
// they have left at the destination.
type tries struct {
	begun   bool
	version ftp.Entry
	name    string // that is written to
	made    bool   // something is there, and nobody else's
}

// first notes the version of the first try, and returns it in all tries.
func (t *tries) first(v ftp.Entry) ftp.Entry {
	if !t.begun {
		t.begun, t.version = true, v
	}
	return t.version
}

// target is where a copy from server to server goes: to another name first, if a file has
// the final one or may have it. In stream mode a server takes the end of its data connection
// for the end of the file, whatever the other one says: what was there before must not be
// lost to that.
type target struct {
	c          *client.Client
	dest, name string // the final name, and the one that is written to
	made       bool   // name was begun, and is nobody else's
	replaces   bool   // a file has the final name, or may have
	over       bool   // the final name is written to though a file had it
	was        ftp.Entry
	tries      *tries
}

// choose finds out whether a file has the final name. What is under the other name may be
// what an earlier try has left.
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

// isFile reports whether the target is the file of that version at name on the server of
// from: both are of one size and time, and the server calls them the same, or shows beside
// the file what was written beside the target.
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

// mayWriteOver reports whether the copy may be written straight to its name after a rename
// to that was refused. What may be the file that is copied, by another name, is not.
func (t *target) mayWriteOver(no error, v ftp.Entry) bool {
	return client.MayWriteOver(no, t.replaces) && (t.was.Size < 0 || t.was.Differs(v))
}

// writeOver has the copy written straight to its name.
func (t *target) writeOver() {
	_ = t.remove(nil)
	t.name, t.made, t.over = t.dest, false, t.replaces
}

// remove takes back what a copy that failed has left. err is its error; it comes to name
// what the server does not let go.
func (t *target) remove(err error) error {
	if !t.made || t.over {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pi.ShortWait)
	defer cancel()
	if t.c.Alive() {
		if _, no := t.c.Command(ctx, "DELE", t.name); no == nil || is550(no) {
			return err
		}
	}
	t.tries.made = true // the next try may remove it
	if err == nil {
		return nil
	}
	return client.LeftAs(t.name, err)
}
