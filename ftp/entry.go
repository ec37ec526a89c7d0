package ftp

import (
	"io/fs"
	"time"
)

// EntryType is the kind of a directory entry (RFC 3659 §7.5.1).
type EntryType uint8

// The entry types.
const (
	UnknownEntry EntryType = iota
	FileEntry
	DirEntry
	CDirEntry // the listed directory itself
	PDirEntry // its parent
	LinkEntry // a symbolic link: type=OS.unix=slink
	OtherEntry
)

func (t EntryType) String() string {
	return pick(t, "unknown", "file", "dir", "cdir", "pdir", "link", "other")
}

// Entry is one file or directory in a listing, from MLSD, MLST or LIST.
type Entry struct {
	Name     string // one path component, byte for byte as the server sent it
	Type     EntryType
	Size     int64     // in bytes; -1 if unknown
	Modified time.Time // UTC; the zero time if unknown
	// Precise is the precision of Modified: a second in MLSD, a minute or a day in LIST. A
	// listing truncates the time, so the file is up to Precise newer than Modified. More than a
	// day means that the listing does not show which number of a date is the day, the month or
	// the year; the file is then up to Precise newer or older.
	Precise time.Duration
	Mode    fs.FileMode // permission bits; valid if HasMode
	HasMode bool
	Perm    string // MLSx perm fact: what this user may do (RFC 3659 §7.5.5)
	Unique  string // MLSx unique fact: equal for two names of the same file
	Owner   string
	Group   string
	Target  string // of a link, if the listing shows it
	Links   int    // hard links, 0 if unknown
}

// Differs reports whether e and f certainly describe different files, or different versions of
// one file. It compares sizes, unique facts and times. Times are compared with the lower
// precision of the two; a Precise of 0 means a second. Attributes that are unknown in one of
// them are not compared.
func (e Entry) Differs(f Entry) bool {
	switch {
	case e.Size >= 0 && f.Size >= 0 && e.Size != f.Size, e.Unique != "" && f.Unique != "" && e.Unique != f.Unique:
		return true
	case e.Modified.IsZero() || f.Modified.IsZero():
		return false
	}
	step := max(e.Precise, f.Precise)
	if e.Precise == 0 || f.Precise == 0 {
		step = max(step, time.Second) // the precision of MDTM and MLSx
	}
	return !e.Modified.Truncate(step).Equal(f.Modified.Truncate(step))
}

// IsDir reports whether the entry is a directory, including the listed directory and its parent.
func (e Entry) IsDir() bool {
	return e.Type == DirEntry || e.Type == CDirEntry || e.Type == PDirEntry
}
