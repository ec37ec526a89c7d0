package client

import (
	"context"
	"path"
)

// target is where a copy from server to server goes: to another name first, if a file has
// the final one or may have it. In stream mode a server takes the end of its data connection
// for the end of the file, whatever the other one says: what was there before must not be
// lost to that.
type target struct {
	c          *Client
	dest, name string // the final name, and the one that is written to
	made       bool   // name was begun, and is nobody else's
	replaces   bool   // a file has the final name, or may have
	over       bool   // the final name is written to though a file had it
	was        version
	tries      *Tries
}

// choose finds out whether a file has the final name. tries keep the other name.
func (t *target) choose(ctx context.Context, tries *Tries) error {
	t.name, t.was, t.tries = t.dest, version{size: -1}, tries
	if tries != nil && tries.name != "" { // what is there may be what an earlier try has left
		t.name, t.replaces, t.made = tries.name, tries.name != t.dest, tries.made
		return nil
	}
	there, err := t.c.version(ctx, t.dest)
	if err != nil {
		return err
	}
	t.was, t.replaces = there, there.size >= 0 || !t.c.hasSize()
	if t.replaces {
		t.name = partName(t.dest, randomTag())
	}
	if tries != nil {
		tries.name = t.name
	}
	return nil
}

// isFile reports whether the target is the file of that version at path on the server of
// from: both are of one size and time, and the server calls them the same, or shows beside
// the file what was written beside the target.
func (t *target) isFile(ctx context.Context, from *Client, file string, v version) (bool, error) {
	switch {
	case t.was.size < 0 || t.was.differs(v):
		return false, nil
	case v.unique != "" && t.was.unique != "":
		return true, nil
	case !t.made || baseName(file) != baseName(t.dest):
		return false, nil
	}
	size, err := from.askSize(ctx, path.Join(path.Dir(file), baseName(t.name)))
	return size >= 0, err
}

// mayWriteOver reports whether the copy may be written straight to its name after a rename
// to that was refused. What may be the file that is copied, by another name, is not.
func (t *target) mayWriteOver(no error, v version) bool {
	return mayWriteOver(no, t.replaces) && (t.was.size < 0 || t.was.differs(v))
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
	ctx, cancel := context.WithTimeout(context.Background(), shortWait)
	defer cancel()
	if !t.c.dead() {
		if _, no := t.c.exchange(ctx, "DELE", t.name); no == nil || is550(no) {
			return err
		}
	}
	if t.tries != nil {
		t.tries.made = true // the next try may remove it
	}
	return leftAs(t.name, err)
}
