package mirror

import (
	"github.com/spf13/afero"

	"miniftp/ftp/client"
)

// Tree is one side of a mirror: everything below a directory of a file system or of a server.
type Tree struct {
	FS   afero.Fs     // the file system; nil: that of this host. Not used with a Pool
	Pool *client.Pool // the server; nil: the tree is local
	// Root is the directory, by its name in FS; "" is ".". On a server, a relative path is relative
	// to the login directory.
	Root string
}

// Plan configures a mirror, which makes To hold the same files as From. The zero value of the other fields
// copies one file at a time, removes nothing, ignores permissions and skips links.
type Plan struct {
	From, To Tree
	// Delete removes names that the source does not have, in directories that both sides listed
	// completely.
	Delete bool
	// MaxDelete limits how many names Delete may remove. 0 is no limit, NoDeletion forbids it. When
	// the limit is reached nothing more is removed, and Run returns ErrMaxDelete.
	MaxDelete int
	DryRun    bool // change nothing; Observe gets the same Actions as in a real run
	// Checksum compares contents, by a hash that the server computes (see Client.Hash) or else by
	// reading both files. Without it, files are compared by size and time.
	Checksum bool
	Newer    bool // copy only files that are missing or older at the destination
	Perms    bool // also copy permission bits
	Links    LinkPolicy
	// Select reports whether a name belongs to the mirror. path is relative to the root, with slashes.
	// Other names are neither copied nor deleted. nil selects all.
	Select func(path string, dir bool) bool
	// Parallel is how many files are copied at once. 0 means 1. A Pool should have as many
	// connections. The last large files of a download are fetched in segments.
	Parallel int
	Retry    client.Retry // for every operation that fails; copies resume
	// Observe is called for each Action that is planned, begun or done, one call at a time.
	Observe func(Action)
	// Progress is called with the progress of the copy of a file, as in Transfer. Several goroutines
	// may call it at once, each for another file.
	Progress func(path string, done, total int64)
}

// NoDeletion is a MaxDelete that forbids deletion: Run returns ErrMaxDelete if anything would be deleted.
const NoDeletion = -1

// LinkPolicy selects what is done with symbolic links in the source.
type LinkPolicy uint8

// The policies.
const (
	SkipLinks   LinkPolicy = iota // leave them out, and report that to Observe
	FollowLinks                   // copy their targets in their place
	CopyLinks                     // make the same links, if they are relative and stay inside the tree
)
