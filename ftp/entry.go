package ftp

import (
	"io/fs"
	"time"
)

// EntryType is what kind of thing a name stands for (RFC 3659 §7.5.1).
type EntryType uint8

// The entry types.
const (
	UnknownEntry EntryType = iota
	FileEntry
	DirEntry
	CDirEntry // the directory that is listed
	PDirEntry // its parent
	LinkEntry // a symbolic link: type=OS.unix=slink
	OtherEntry
)

func (t EntryType) String() string {
	return pick(t, "unknown", "file", "dir", "cdir", "pdir", "link", "other")
}

// Entry is one name in a listing, however it was listed.
type Entry struct {
	Name     string // one path component, byte for byte as the server sent it
	Type     EntryType
	Size     int64     // in bytes; -1 if unknown
	Modified time.Time // UTC; the zero time if unknown
	// Precise is how exact Modified is: a second for MLSx, a minute or a day for LIST,
	// which leave out the rest, so that the file is up to Precise younger. More than a
	// day means that the listing does not show which number of a date is the day, the
	// month or the year: the file is up to Precise younger or older.
	Precise time.Duration
	Mode    fs.FileMode // permission bits; valid if HasMode
	HasMode bool
	Perm    string // MLSx perm fact: what this user may do (RFC 3659 §7.5.5)
	Unique  string // MLSx unique fact: the same for the same file
	Owner   string
	Group   string
	Target  string // of a link, if the server told
	Links   int    // hard links, 0 if unknown
}

// Differs reports whether the two are certainly of different files, or of two versions of one:
// by their sizes, their unique facts, or their times as far as both are exact (Precise; 0 is a
// second here). What is unknown of one of them says nothing.
func (e Entry) Differs(f Entry) bool {
	switch {
	case e.Size >= 0 && f.Size >= 0 && e.Size != f.Size, e.Unique != "" && f.Unique != "" && e.Unique != f.Unique:
		return true
	case e.Modified.IsZero() || f.Modified.IsZero():
		return false
	}
	step := max(e.Precise, f.Precise)
	if e.Precise == 0 || f.Precise == 0 {
		step = max(step, time.Second) // as servers tell it
	}
	return !e.Modified.Truncate(step).Equal(f.Modified.Truncate(step))
}

// IsDir reports whether the entry is a directory, the listed one and its parent included.
func (e Entry) IsDir() bool {
	return e.Type == DirEntry || e.Type == CDirEntry || e.Type == PDirEntry
}
