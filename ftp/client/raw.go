package client

import (
	"context"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// This file holds what other packages need from a Client that its users seldom do: access to the control
// connection, and information about the server.

// Raw calls f with the control connection, which the Client does not use meanwhile. f may send any command
// and must read all replies. A data connection that was negotiated or kept is closed first. The Client
// follows changes of the transfer parameters.
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

// Addr returns the address of the server as it was dialed, "host:port".
func (c *Client) Addr() string { return c.pi.Addr() }

// Options returns the Options of the Client.
func (c *Client) Options() Options { return c.opts }

// Facts returns what the server reports about a file, by MLST or else by SIZE and MDTM, without listing a
// directory. It is cheaper than Stat. What the server does not report is left unknown (Size -1, a zero
// Modified) and is no error. So a file that does not exist gives an entry without any facts.
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

// Renames reports whether the server may be able to rename files that were uploaded under a hidden name. It
// returns false after the server has refused a rename or a hidden name.
func (p *Pool) Renames() bool { return !p.opts.history.noHiddenNames.Load() }

// SetsTimes reports whether the server may be able to set the times of files. It returns false after the
// server has refused every command for that.
func (p *Pool) SetsTimes() bool { return !p.opts.history.noTime.Load() }

// Options returns the Options of the Pool's Clients.
func (p *Pool) Options() Options { return p.opts }

// CheckName returns an error if name can't be the name of a file on a server.
func CheckName(name string) error {
	if !isName(name) {
		return &NameError{Name: name}
	}
	return sendable(name)
}
