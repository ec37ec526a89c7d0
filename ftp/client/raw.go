package client

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// This file is what other rooms need of a Client that a user of it seldom does: its control
// connection, and files that are whole before they have their name.

// Raw lends the control connection: as long as f runs the Client does nothing with it. f may
// send any command, and has to leave no reply behind. What was agreed on for the next data
// connection is dropped before; the transfer parameters are followed.
func (c *Client) Raw(f func(conn *pi.Conn) error) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	c.dropOffer()
	c.data.Keep(nil)
	c.cwd = ""
	return f(c.pi)
}

// Addr is the server as it was dialed, host and port.
func (c *Client) Addr() string { return c.pi.Addr() }

// Options returns what the Client was made with.
func (c *Client) Options() Options { return c.opts }

// Facts returns what the server tells of a file, and lists no directory for it: by MLST, or
// else by SIZE and MDTM. It is cheaper than Stat. What the server does not tell is unknown
// (Size -1, a zero Modified), which is no error; so nothing is known of a file that isn't
// there.
func (c *Client) Facts(ctx context.Context, path string) (ftp.Entry, error) {
	if err := sendable(path); err != nil {
		return ftp.Entry{Size: -1}, err
	}
	if err := c.begin(); err != nil {
		return ftp.Entry{Size: -1}, err
	}
	defer c.end()
	v, err := c.version(ctx, path)
	e := ftp.Entry{Name: baseName(path), Size: v.size, Modified: v.modified, Precise: v.precise, Unique: v.unique}
	if e.Precise == 0 && !e.Modified.IsZero() {
		e.Precise = time.Second
	}
	return e, err
}

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

// Renames reports whether the server may give whole files their names: not if it has refused to
// rename, or a name of a part.
func (p *Pool) Renames() bool { return !p.opts.history.noBeside.Load() }

// SetsTimes reports whether the server may set the times of files: not if it has said that it knows
// no way.
func (p *Pool) SetsTimes() bool { return !p.opts.history.noTime.Load() }

// Options returns what the Clients are made with.
func (p *Pool) Options() Options { return p.opts }

// RefusedName reports whether the error of an upload may be about the name of a part: there are
// servers that take no names that begin with a dot. If a file would be written over instead (old),
// the server has to say that it is the name.
func RefusedName(err error, old bool) bool { return refusedName(err, old) }

// CheckName returns why a name can't be that of a file on a server.
func CheckName(name string) error {
	if !isName(name) {
		return &NameError{Name: name}
	}
	return sendable(name)
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
func LeftAs(temp string, err error) error { return leftAs(temp, err) }

// MayWriteOver reports whether a file may be written straight to its name after a Replace
// that failed: the user may have no right to rename. Where a file has the name (old) it stays
// if the refusal may be about anything else, such as a quota.
func MayWriteOver(err error, old bool) bool { return mayWriteOver(err, old) }

// PartName returns a name in the directory of path for a file that is not whole yet. No other
// run and no other program uses it, and IsPart knows it.
func PartName(path string) string { return partName(path, randomTag()) }

// IsPart reports whether miniftp made a file of that name for one that is not whole.
func IsPart(name string) bool { return isPart(name) }
