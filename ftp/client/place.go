package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"miniftp/ftp"
)

// Replace renames the whole file temp to final. old reports whether a file with the name final
// exists; it keeps its name until the new one takes it. If the server does not replace files by a
// rename, the old file is first moved aside, and moved back if the new one can't be renamed. The
// error is that of the first rename if nothing has changed, or a *LeftError.
func (c *Client) Replace(ctx context.Context, temp, final string, old bool) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	err := c.place(ctx, temp, final, old, nil)
	if refusedRename(err, "RNFR") {
		c.history.noHiddenNames.Store(true)
	}
	return err
}

// place renames the whole file temp on the server to final. no is the refusal of a rename that was
// tried already, nil if none was. The steps, each only if the one before was refused:
//
//	RNFR temp, RNTO final           most servers replace the old file
//	rename final to a hidden name,  for servers that do not; if the second rename fails,
//	rename temp to final            the old file is renamed back
//	DELE final, rename temp         only if the server says that final exists (placeAnew)
//
// The error is that of the first rename if nothing has changed. Otherwise it names what is left
// under other names.
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
	if is, err := c.isDir(ctx, final); is || err != nil { // some servers report a size for a directory
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

// placeAnew removes the old file before the rename. It is for servers that can't move the old file
// aside and say that it is in the way.
func (c *Client) placeAnew(ctx context.Context, temp, final string, no error) error {
	if _, err := c.do(ctx, "DELE", final); err != nil {
		return firstOf(notReply(err), no)
	}
	if err := c.rename(ctx, temp, final); err != nil {
		return LeftAs(temp, err)
	}
	return nil
}

// stillThere returns no, the refusal of an RNFR, or another error if temp does not exist any more.
func (c *Client) stillThere(ctx context.Context, temp string, no error) error {
	if !refusedRename(no, "RNFR") || !c.hasSize() {
		return no
	}
	size, err := c.askSize(ctx, temp)
	if err == nil && size < 0 && c.hasSize() && !says(no, fs.ErrPermission) {
		err = &TruncatedError{Want: -1, Err: fmt.Errorf("%s is gone from the server; another run may be using the same name", ftp.Printable(temp))}
	}
	return firstOf(err, no)
}

// LeftError is returned when a failure has left files on a server under other names.
type LeftError struct {
	Err  error
	Left string // the files that are left, and their names, as a clause
}

func (e *LeftError) Error() string { return e.Err.Error() + "; " + e.Left }

// Unwrap returns the cause.
func (e *LeftError) Unwrap() error { return e.Err }

// LeftAs returns err as a *LeftError that names temp, the file that holds the uploaded data.
func LeftAs(temp string, err error) error {
	return &LeftError{err, "the uploaded data is on the server as " + ftp.Printable(temp)}
}

// refusedRename reports whether err is the server's refusal of verb, RNFR or RNTO. "" means either.
func refusedRename(err error, verb string) bool {
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) {
		return false
	}
	return no.Verb == verb || verb == "" && (no.Verb == "RNFR" || no.Verb == "RNTO")
}

// saysExists reports whether a refusal says that the name exists already.
func saysExists(err error) bool { return says(err, fs.ErrExist) }

// notReply returns nil if err is a reply by the server, else err.
func notReply(err error) error {
	if isReply(err) {
		return nil
	}
	return err
}

// RefusedName reports whether an upload may have failed because of the hidden name it was sent to:
// some servers accept no names that begin with a dot. The caller may then send it to its final name.
// If that would overwrite a file (old), the reply must certainly be about the name.
func RefusedName(err error, old bool) bool {
	var no *ftp.Error
	if !isReply(err) || !errors.As(err, &no) || no.Verb != "STOR" {
		return false
	}
	return no.Code == 553 || no.Code == 501 || no.Code == 550 && !old
}

// MayWriteOver reports whether a file may be sent directly to its final name after Replace has
// failed: the user may have no permission to rename. If a file with that name exists (old), it is
// not overwritten when the refusal may have another reason, such as a quota.
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
