package client

import (
	"context"
	"iter"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// Listing is a directory that has been read completely, sorted by name. It may be of any length:
// what does not fit in memory is in a temporary file until Close.
type Listing struct {
	// Odd holds the first problems of the listing: lines that can't be parsed (*ftp.LineError),
	// invalid names (*NameError), and ErrPartial if names may be missing.
	Odd []error

	entries *kept.List
}

// ReadDir reads the directory at path like List and returns all entries. The caller must close the
// Listing.
func (c *Client) ReadDir(ctx context.Context, path string) (*Listing, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	defer c.end()
	const room = 1 << 20 // small, because many may be open at once, one for each level of a tree
	w := walker{c: c, ctx: ctx, Budget: &kept.Budget{Entries: kept.MaxEntries, Room: room, Disk: kept.MaxDisk}}
	entries, odd, err := w.readDir(path)
	if err != nil {
		entries.Drop()
		return nil, err
	}
	return &Listing{Odd: odd, entries: entries}, nil
}

// Len returns the number of entries.
func (l *Listing) Len() int { return l.entries.Len() }

// At returns entry i, counting from 0. An error is one of the temporary file.
func (l *Listing) At(i int) (ftp.Entry, error) { return l.entries.Entry(i) }

// All yields the entries. An error is one of the temporary file, and ends the sequence.
func (l *Listing) All() iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		for i := range l.entries.Len() {
			if e, err := l.entries.Entry(i); !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Close frees the entries.
func (l *Listing) Close() { l.entries.Drop() }
