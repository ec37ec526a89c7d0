package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"miniftp/ftp"
)

// Replace gives the whole file temp the name final. If a file has that name (old), it keeps it
// until the new one gets it: where the server replaces nothing the old file is moved aside
// first, and moved back if the new one does not get the name. The error is that of the first
// rename where nothing came of it, or a *LeftError.
func (c *Client) Replace(ctx context.Context, temp, final string, old bool) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	err := c.place(ctx, temp, final, old, nil)
	if refusedRename(err, "RNFR") {
		c.history.noBeside.Store(true)
	}
	return err
}

// place gives the whole file temp on the server the name final. no is the refusal of a
// rename that was tried already; nil if none was. A file that has the name keeps it until
// the new one gets it: a server that replaces nothing has the old file moved aside first,
// and moved back if the new one does not get the name. The error is that of the first
// rename where nothing came of it, and names what is left under other names.
func (c *Client) place(ctx context.Context, temp, final string, replaces bool, no error) error {
	if no == nil {
		if no = c.rename(ctx, temp, final); no == nil {
			return nil
		}
	}
	if !refusedRename(no, "RNTO") {
		return c.stillThere(ctx, temp, no)
	}
	if !replaces {
		return no
	}
	if is, err := c.isDir(ctx, final); is || err != nil { // there are servers that tell the size of one
		return firstOf(err, no)
	}
	old := partName(final, randomTag())
	if err := c.rename(ctx, final, old); err != nil {
		if !isReply(err) || !saysExists(no) {
			return firstOf(notReply(err), no)
		}
		return c.placeAnew(ctx, temp, final, no)
	}
	if err := c.rename(ctx, temp, final); err != nil {
		if back := c.rename(ctx, old, final); back != nil {
			return &LeftError{err, fmt.Sprintf("the old file is on the server as %s, the new one as %s", ftp.Printable(old), ftp.Printable(temp))}
		}
		return no
	}
	if _, err := c.do(ctx, "DELE", old); err != nil {
		return &LeftError{err, "the new file is there, and the old one is still on the server as " + ftp.Printable(old)}
	}
	return nil
}

// placeAnew is place where the old file can be removed only, as the server says that it is
// in the way.
func (c *Client) placeAnew(ctx context.Context, temp, final string, no error) error {
	if _, err := c.do(ctx, "DELE", final); err != nil {
		return firstOf(notReply(err), no)
	}
	if err := c.rename(ctx, temp, final); err != nil {
		return LeftAs(temp, err)
	}
	return nil
}

// stillThere is the refusal of an RNFR. It is another error if temp is not there any more.
func (c *Client) stillThere(ctx context.Context, temp string, no error) error {
	if !refusedRename(no, "RNFR") || !c.hasSize() {
		return no
	}
	size, err := c.askSize(ctx, temp)
	if err == nil && size < 0 && c.hasSize() && !says(no, fs.ErrPermission) {
		err = &TruncatedError{Want: -1, Err: fmt.Errorf("%s is gone from the server: does another run use it, too?", ftp.Printable(temp))}
	}
	return firstOf(err, no)
}

// LeftError is an error that leaves files on a server under other names, which it tells.
type LeftError struct {
	Err  error
	Left string // what is left, and where, as a clause
}

func (e *LeftError) Error() string { return e.Err.Error() + "; " + e.Left }

// Unwrap returns the cause.
func (e *LeftError) Unwrap() error { return e.Err }

// LeftAs returns err as a *LeftError with the name of what was written.
func LeftAs(temp string, err error) error {
	return &LeftError{err, "what was written is on the server as " + ftp.Printable(temp)}
}

// refusedRename reports whether err is the server's refusal of one of the two commands of a
// rename; "" is either.
func refusedRename(err error, verb string) bool {
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) {
		return false
	}
	return no.Verb == verb || verb == "" && (no.Verb == "RNFR" || no.Verb == "RNTO")
}

// saysExists reports whether a refusal says that the name is taken.
func saysExists(err error) bool { return says(err, fs.ErrExist) }

// notReply is err, nil if it is only the server's no.
func notReply(err error) error {
	if isReply(err) {
		return nil
	}
	return err
}

// RefusedName reports whether the error of an upload may be about the name of a part: there are
// servers that take no names that begin with a dot. If a file would be written over instead (old),
// the server has to say that it is the name.
func RefusedName(err error, old bool) bool {
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) || no.Verb != "STOR" {
		return false
	}
	return no.Code == 553 || no.Code == 501 || no.Code == 550 && !old
}

// MayWriteOver reports whether a file may be written straight to its name after a Replace
// that failed: the user may have no right to rename. Where a file has the name (old) it stays
// if the refusal may be about anything else, such as a quota.
func MayWriteOver(err error, old bool) bool {
	var no *ftp.Error
	var left *LeftError
	if !refusedRename(err, "") || !errors.As(err, &no) || errors.As(err, &left) {
		return false
	}
	switch no.Code {
	case 500, 501, 502, 504, 530, 532, 550, 553:
		return true
	}
	return !old
}
