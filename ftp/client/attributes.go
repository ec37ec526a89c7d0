package client

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"miniftp/ftp"
)

// Chmod sets the permission bits of mode by SITE CHMOD, if the server supports it.
func (c *Client) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	bits := uint32(mode.Perm())
	for i, bit := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if mode&bit != 0 {
			bits |= 0o1000 << i
		}
	}
	return c.simple(ctx, "SITE", fmt.Sprintf("CHMOD %03o %s", bits, path))
}

// Size returns the size of a file in bytes, as a binary transfer would send it (RFC 3659 §4).
func (c *Client) Size(ctx context.Context, path string) (int64, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	defer c.end()
	return c.size(ctx, path)
}

// hasSize reports whether the server supports SIZE, as far as is known. A server without FEAT is asked.
func (c *Client) hasSize() bool {
	return !c.history.noSIZE.Load() && (len(c.features) == 0 || c.features.Has("SIZE"))
}

// askSize is like size but returns -1 if the server does not report the size.
func (c *Client) askSize(ctx context.Context, path string) (int64, error) {
	if !c.hasSize() {
		return -1, nil
	}
	n, err := c.size(ctx, path)
	if isReply(err) {
		return -1, nil
	}
	return n, err
}

func (c *Client) size(ctx context.Context, path string) (int64, error) {
	if err := sendable(path); err != nil {
		return 0, err
	}
	if err := c.setType(ctx, ftp.Image); err != nil {
		return 0, err
	}
	r, err := c.exchange(ctx, "SIZE", path)
	if err != nil {
		return 0, err
	}
	n := c.sizeIn(r)
	if n < 0 {
		return 0, &ftp.Error{Verb: "SIZE", Reply: r}
	}
	return n, nil
}

// sizeIn returns the size in a reply to SIZE, -1 if it has none.
func (c *Client) sizeIn(r ftp.Reply) int64 {
	if no := refusal("SIZE", r); no != nil {
		if r.Code == 500 || r.Code == 502 {
			c.history.noSIZE.Store(true)
		}
		return -1
	}
	n, err := sizeOf(r)
	if err != nil {
		return -1
	}
	return n
}

// sizeOf parses a 213 reply.
func sizeOf(r ftp.Reply) (int64, error) { return ftp.ParseOffset(strings.TrimSpace(r.Last())) }

// ModTime returns the modification time of a file (MDTM, RFC 3659 §3).
func (c *Client) ModTime(ctx context.Context, path string) (time.Time, error) {
	if err := c.begin(); err != nil {
		return time.Time{}, err
	}
	defer c.end()
	t, _, err := c.modTime(ctx, path)
	return t, err
}

func (c *Client) modTime(ctx context.Context, path string) (time.Time, time.Duration, error) {
	r, err := c.do(ctx, "MDTM", path)
	if err != nil {
		return time.Time{}, 0, err
	}
	return ftp.ParseTime(strings.TrimSpace(r.Last()))
}

// SetModTime sets the modification time of a file, to the second. It uses MFMT, MDTM with a time, or SITE
// UTIME, whichever the server supports.
func (c *Client) SetModTime(ctx context.Context, path string, t time.Time) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.end()
	return c.setModTime(ctx, path, t)
}

func (c *Client) setModTime(ctx context.Context, path string, t time.Time) (err error) {
	defer func() { c.history.learnTime(err) }()
	for _, cmd := range c.timing(path, t) {
		if _, err := c.do(ctx, cmd.Verb, cmd.Arg); settled(cmd.Verb, err) {
			return err
		}
	}
	at := ftp.FormatTime(t)
	_, err = c.do(ctx, "SITE", "UTIME "+path+" "+at+" "+at+" "+at+" UTC")
	if !isReply(err) {
		return err
	}
	_, err = c.do(ctx, "SITE", "UTIME "+at+" "+path)
	return err
}

// timing returns the commands that may set a file's time. Those of SITE are tried after them.
func (c *Client) timing(path string, t time.Time) (cmds []ftp.Command) {
	for _, verb := range []string{"MFMT", "MDTM"} {
		if c.features.Has(verb) || verb == "MDTM" && len(c.features) == 0 {
			cmds = append(cmds, ftp.Command{Verb: verb, Arg: ftp.FormatTime(t) + " " + path})
		}
	}
	return cmds
}

// settled reports whether no other command needs to be tried. A server may have taken MDTM with a time
// for a question about a file of that odd name, so its refusal is not final.
func settled(verb string, err error) bool {
	return err == nil || !isReply(err) || verb == "MFMT" && !refused(err)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
