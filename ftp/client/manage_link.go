package client

import (
	"context"
	"errors"
	"strings"

	"miniftp/ftp"
)

// errMayBeLink is returned for a directory that may be a link to one.
var errMayBeLink = errors.New("not removed: the server does not show whether it is a directory or a link to one")

// ErrIsLink is returned for a link that the server refuses to remove.
var ErrIsLink = errors.New("it is a link, and was not removed")

// siblings are the links in a directory, as LIST shows them. They are read only when a name in it can be
// removed neither by DELE nor by RMD.
type siblings struct {
	dir   string
	name  string // the one to remove; "" if a listing already showed it as a directory
	read  bool
	links map[string]bool
	found bool // name is listed
}

// isLink reports whether path, which CWD accepts, is a link to a directory. CWD follows links, and so may
// MLST and MLSD, which can report a link as type=dir; LIST shows the link itself. An error means that it
// is unknown: then path must not be emptied.
func (r *removal) isLink(ctx context.Context, path string, in *siblings) (bool, error) {
	if !in.read {
		if err := r.readLinks(ctx, in); err != nil {
			return false, err
		}
	}
	switch {
	case in.links[baseName(path)]:
		return true, nil
	case in.name == "" || in.found:
		return false, nil
	case r.c.hasMLST():
		e, err := r.c.mlst(ctx, path)
		if err == nil && e.Type == ftp.DirEntry || err != nil && !isReply(err) {
			return false, err
		}
	}
	return false, errMayBeLink
}

// readLinks lists the directory. A refusal leaves links empty.
func (r *removal) readLinks(ctx context.Context, in *siblings) error {
	in.links = map[string]bool{}
	var full error
	_, err := r.c.byLIST(ctx, in.dir, &r.ways, func(e ftp.Entry, bad error) bool {
		switch {
		case bad != nil:
			return true // ignore it: links are recognised by their own lines
		case e.Type == ftp.LinkEntry:
			const header = 48 // memory of a string header and its place in the map
			full = r.budget.Take(len(e.Name) + header)
			in.links[e.Name] = true
		case e.Type == ftp.DirEntry && strings.EqualFold(e.Name, in.name): // many servers ignore case
			in.found = true
		}
		return full == nil
	})
	in.read = full == nil && (err == nil || isReply(err))
	switch {
	case full != nil:
		return full
	case in.read:
		return nil
	}
	return err
}
