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

// Renames reports whether the server may give whole files their names: not if it has refused to
// rename, or a name of a part.
func (p *Pool) Renames() bool { return !p.opts.history.noBeside.Load() }

// SetsTimes reports whether the server may set the times of files: not if it has said that it knows
// no way.
func (p *Pool) SetsTimes() bool { return !p.opts.history.noTime.Load() }

// Options returns what the Clients are made with.
func (p *Pool) Options() Options { return p.opts }

// CheckName returns why a name can't be that of a file on a server.
func CheckName(name string) error {
	if !isName(name) {
		return &NameError{Name: name}
	}
	return sendable(name)
}
