package mirror

import (
	"github.com/spf13/afero"

	"miniftp/ftp/client"
)

// Tree is one side of a mirror: all that is below a directory, of a filesystem or of a server.
type Tree struct {
	FS   afero.Fs     // a filesystem; nil: the files of this host, or
	Pool *client.Pool // a server
	// Root is the directory: as FS names it, "" for "."; on a server a relative one is taken
	// from the login directory.
	Root string
}

// Plan says what a mirror does: it makes To hold what From holds. Beyond that the zero value
// changes and removes nothing, leaves links out, and copies one file at a time.
type Plan struct {
	From, To Tree
	// Delete removes what the source does not have, in directories that both sides
	// listed without an error.
	Delete bool
	// MaxDelete is how many names Delete may remove; 0: any number, NoDeletion: none.
	// At the first one too many no more is removed, and ErrMaxDelete is an error.
	MaxDelete int
	DryRun    bool // change nothing; Observe is told the same as in a run
	// Checksum compares contents, by the hash that a server offers (see Client.Hash),
	// else by reading both; otherwise size and time tell whether files differ.
	Checksum bool
	Newer    bool // copy only files that are missing or older at the destination
	Perms    bool // permission bits, too
	Links    LinkPolicy
	// Select says whether a name is in the mirror; path is the one below the root,
	// with slashes. What is not is neither copied nor deleted. nil: all.
	Select func(path string, dir bool) bool
	// Parallel is how many files are copied at once; 0 is 1. A Pool should have as
	// many connections. The last large files of a download are fetched in segments.
	Parallel int
	Retry    client.Retry // of everything that breaks on the way; copies resume
	// Observe is told what is found to be done, begun and done, one call at a time.
	Observe func(Action)
	// Progress is told how far the copy of a file is, as in Transfer; for several
	// files at once it runs in several goroutines.
	Progress func(path string, done, total int64)
}

// NoDeletion is a MaxDelete of none: that something would be deleted is ErrMaxDelete.
const NoDeletion = -1

// LinkPolicy is what becomes of symbolic links in the source.
type LinkPolicy uint8

// The policies.
const (
	SkipLinks   LinkPolicy = iota // left out, and Observe is told
	FollowLinks                   // what they lead to, as if it were there
	CopyLinks                     // links, if relative and not leading out of the tree
)
