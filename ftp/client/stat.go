package client

import (
	"cmp"
	"context"
	"path"
	"strings"

	"miniftp/ftp"
)

// Stat returns the entry at path, by MLST (RFC 3659 §7) if the server supports it. Otherwise it uses
// SIZE and MDTM, or CWD, or a listing of the parent directory. If path does not exist, the error is an
// *ftp.Error that matches fs.ErrNotExist.
func (c *Client) Stat(ctx context.Context, path string) (ftp.Entry, error) {
	if err := c.begin(); err != nil {
		return ftp.Entry{}, err
	}
	defer c.end()
	return c.stat(ctx, path)
}

// hasMLST reports whether the server supports MLST, as far as is known.
func (c *Client) hasMLST() bool { return c.features.Has("MLST") && !c.history.noMLST.Load() }

func (c *Client) stat(ctx context.Context, path string) (ftp.Entry, error) {
	var no error // of MLST; it may concern the command rather than the path
	if c.hasMLST() {
		e, err := c.mlst(ctx, path)
		switch {
		case refused(err):
			c.history.noMLST.Store(true)
		case err == nil:
			c.history.mlstWorks.Store(true)
			return e, nil
		case c.history.mlstWorks.Load() || c.isMeasured() || !isBroken(err) || saysMissing(err):
			return e, err
		default:
			no = err
		}
	}
	e, err := c.statPlain(ctx, path)
	switch {
	case no == nil:
	case err == nil:
		c.history.noMLST.Store(true)
	case isReply(err):
		err = no
	}
	return e, err
}

// statPlain is stat without MLST. A path with a size is a file, and one that CWD accepts is a directory.
// Any other path is looked up in a listing of its parent directory.
func (c *Client) statPlain(ctx context.Context, path string) (ftp.Entry, error) {
	e := ftp.Entry{Name: baseName(path), Type: ftp.FileEntry, Size: -1}
	if c.batches() && c.cwd != "" && path != "" && !c.history.noSIZE.Load() {
		return c.statTogether(ctx, path)
	}
	noSize := error(nil)
	if !c.history.noSIZE.Load() {
		if e.Size, noSize = c.size(ctx, path); noSize != nil && !isReply(noSize) {
			return ftp.Entry{}, noSize
		}
	}
	if e.Size < 0 || noSize != nil {
		return c.statOther(ctx, path, noSize)
	}
	if ofFile, err := c.sizeTellsFile(ctx); err != nil {
		return ftp.Entry{}, err
	} else if !ofFile {
		switch noDir := c.within(ctx, path, func() error { return nil }); {
		case noDir == nil:
			e.Type, e.Size = ftp.DirEntry, -1
		case !isReply(noDir):
			return ftp.Entry{}, noDir
		}
	}
	return e, c.addTime(ctx, path, &e)
}

// sizeTellsFile reports whether the server answers SIZE only for files. Some servers report a size for
// directories; to find out, the size of / is asked for once.
func (c *Client) sizeTellsFile(ctx context.Context) (bool, error) {
	h := c.history
	if c.isMeasured() || h.sizeIsOfFile.Load() || h.sizeIsOfAny.Load() {
		return !h.sizeIsOfAny.Load(), nil
	}
	_, err := c.size(ctx, "/")
	switch {
	case err == nil:
		h.sizeIsOfAny.Store(true)
	case isReply(err):
		h.sizeIsOfFile.Store(true)
		err = nil
	}
	return !h.sizeIsOfAny.Load(), err
}

// statOther is stat for a path without a size (noSize says why): a directory, a file that may not be
// read, or any file if the server does not support SIZE.
func (c *Client) statOther(ctx context.Context, path string, noSize error) (ftp.Entry, error) {
	e := ftp.Entry{Name: baseName(path), Type: ftp.DirEntry, Size: -1}
	noDir := c.within(ctx, path, func() error { return nil })
	if noDir == nil {
		return e, c.addTime(ctx, path, &e)
	}
	return c.statListed(ctx, path, noSize, noDir)
}

// statTogether is statPlain for servers that accept several commands in one write. A path without a size
// is a directory if CWD accepts it; a second CWD changes back.
func (c *Client) statTogether(ctx context.Context, path string) (ftp.Entry, error) {
	if err := sendable(path); err != nil {
		return ftp.Entry{}, err
	}
	was := c.cwd
	var cmds []ftp.Command
	if c.pi.Params().Type != ftp.Image {
		cmds = append(cmds, ftp.Command{Verb: "TYPE", Arg: ftp.Image.String()})
	}
	cmds = append(cmds, ftp.Command{Verb: "SIZE", Arg: path})
	if !c.history.noMDTM.Load() {
		cmds = append(cmds, ftp.Command{Verb: "MDTM", Arg: path})
	}
	cmds = append(cmds, ftp.Command{Verb: "CWD", Arg: path}, ftp.Command{Verb: "CWD", Arg: was})
	replies, err := c.doAll(ctx, cmds...)
	if err != nil {
		return ftp.Entry{}, err
	}
	e := ftp.Entry{Name: baseName(path), Type: ftp.FileEntry, Size: -1}
	var noSize error
	for i, r := range replies[:len(replies)-2] {
		switch no := refusal(cmds[i].Verb, r); cmds[i].Verb {
		case "TYPE":
			if no != nil {
				return ftp.Entry{}, no
			}
		case "SIZE":
			e.Size, noSize = c.sizeIn(r), no
		case "MDTM":
			if no == nil {
				e.Modified, e.Precise, _ = ftp.ParseTime(strings.TrimSpace(r.Last()))
			} else if refused(no) {
				c.history.noMDTM.Store(true)
			}
		}
	}
	noDir, noWay := refusal("CWD", replies[len(replies)-2]), refusal("CWD", replies[len(replies)-1])
	switch {
	case noWay == nil || noDir != nil:
		c.cwd = was
	default: // later relative paths depend on the second CWD
		return ftp.Entry{}, noWay
	}
	switch {
	case noDir == nil:
		e.Type, e.Size = ftp.DirEntry, -1
		return e, nil
	case e.Size >= 0:
		return e, nil
	}
	return c.statListed(ctx, path, noSize, noDir)
}

// statListed is stat for a path that has no size and is no directory (noSize and noDir say why). It looks
// the name up in a listing of the parent directory.
func (c *Client) statListed(ctx context.Context, path string, noSize, noDir error) (ftp.Entry, error) {
	e := ftp.Entry{Name: baseName(path)}
	if !isReply(noDir) || e.Name == "" || saysMissing(noSize) && !c.history.noSIZE.Load() {
		return ftp.Entry{}, noDir
	}
	var found *ftp.Entry
	var bad error
	err := c.list(ctx, strings.TrimSuffix(path, e.Name), func(other ftp.Entry, err error) bool {
		if bad = cmp.Or(bad, err); err == nil && other.Name == e.Name {
			found = &other
		}
		return found == nil
	})
	switch {
	case found != nil:
		return *found, nil
	case isReply(err) || firstOf(bad, err) == nil:
		return ftp.Entry{}, noDir
	}
	return ftp.Entry{}, firstOf(bad, err)
}

// addTime asks for the time. If the server does not report it, it stays unknown.
func (c *Client) addTime(ctx context.Context, path string, e *ftp.Entry) error {
	if c.history.noMDTM.Load() {
		return nil
	}
	t, precise, err := c.modTime(ctx, path)
	switch {
	case err == nil:
		e.Modified, e.Precise = t, precise
	case refused(err):
		c.history.noMDTM.Store(true)
	case !isReply(err) && c.dead():
		return err
	}
	return ctx.Err()
}

// mlst returns the entry at path by MLST.
func (c *Client) mlst(ctx context.Context, path string) (ftp.Entry, error) {
	r, err := c.do(ctx, "MLST", path)
	if err != nil {
		return ftp.Entry{}, err
	}
	return entryIn(r, path)
}

// mlstAlong is mlst for the path of the next transfer, whose type is typ; see askAlong. A refused TYPE is
// not reported here: the transfer sends it again.
func (c *Client) mlstAlong(ctx context.Context, path string, typ ftp.Type) (ftp.Entry, error) {
	if !c.asksAlong() {
		return c.mlst(ctx, path)
	}
	cmds := []ftp.Command{{Verb: "MLST", Arg: path}}
	if c.pi.Params().Type != typ {
		cmds = append(cmds, ftp.Command{Verb: "TYPE", Arg: typ.String()})
	}
	replies, err := c.askAlong(ctx, cmds...)
	if err == nil {
		err = refusal("MLST", replies[0])
	}
	if err != nil {
		return ftp.Entry{}, err
	}
	return entryIn(replies[0], path)
}

// entryIn returns the entry in the reply to MLST for path. RFC 3659 §7.2 puts it on a line of its own
// between the first and the last; some servers put it on one of these.
func entryIn(r ftp.Reply, path string) (ftp.Entry, error) {
	last := len(r.Lines) - 1
	for i := 1; i <= last+1; i++ {
		line := r.Lines[i%(last+1)] // try the first line last
		facts, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		if !strings.ContainsRune(line, '=') || (i >= last) && !strings.HasSuffix(facts, ";") {
			continue
		}
		e, err := ftp.ParseMLSx(line)
		if err != nil {
			continue
		}
		if name := baseName(path); name != "" {
			e.Name = name // the server may send the whole path
		}
		if e.IsDir() {
			e.Type = ftp.DirEntry
		}
		return e, nil
	}
	return ftp.Entry{}, &ftp.LineError{Line: r.Text()}
}

// IsDir reports whether path is a directory, or a link to one.
func (c *Client) IsDir(ctx context.Context, path string) (bool, error) {
	if err := c.begin(); err != nil {
		return false, err
	}
	defer c.end()
	return c.isDir(ctx, path)
}

// isDir reports whether path is a directory, or a link to one. CWD is the only test that works with
// every server.
func (c *Client) isDir(ctx context.Context, path string) (bool, error) {
	if c.hasMLST() {
		e, err := c.mlst(ctx, path)
		switch {
		case err == nil && e.Type != ftp.LinkEntry && e.Type != ftp.UnknownEntry:
			return e.IsDir(), nil
		case err != nil && !isReply(err):
			return false, err
		}
	}
	return c.canEnter(ctx, path)
}

// canEnter is isDir by CWD.
func (c *Client) canEnter(ctx context.Context, path string) (bool, error) {
	err := c.within(ctx, path, func() error { return nil })
	if isReply(err) {
		return false, nil
	}
	return err == nil, err
}

// baseName returns the last component of a path, "" if the path does not end in a name.
func baseName(p string) string {
	switch name := path.Base(p); name {
	case ".", "..", "/":
		return ""
	default:
		return name
	}
}

// Resolve is like Stat but follows a link, and finds out a type that the server does not report. The Type
// of the result is that of a file, a directory or something else. The Size of a directory is 0.
func (c *Client) Resolve(ctx context.Context, path string) (ftp.Entry, error) {
	e, err := c.Stat(ctx, path)
	if err != nil || e.Type != ftp.LinkEntry && e.Type != ftp.UnknownEntry {
		return e, err
	}
	if err := c.begin(); err != nil {
		return ftp.Entry{}, err
	}
	defer c.end()
	dir, err := c.isDir(ctx, path)
	switch {
	case err != nil:
		return ftp.Entry{}, err
	case dir:
		e.Type, e.Size = ftp.DirEntry, 0
	default:
		e.Type = ftp.FileEntry
		if e.Size, err = c.size(ctx, path); err != nil {
			return ftp.Entry{}, err
		}
	}
	return e, nil
}
