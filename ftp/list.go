package ftp

import (
	"iter"
	"strings"
	"time"
)

// ListParser reads the answer to LIST line by line, in the formats of Unix,
// MS-DOS, EPLF, NetWare, OpenVMS, MVS, JES, OS/400, OS/2, HP NonStop, VShell and
// Connect:Enterprise. The zero value is ready; it is not safe for concurrent use,
// and each listing needs a parser of its own, as some formats spread over lines
// and as lines explain each other. A line in doubt is unreadable: a name read
// wrong would be another file.
type ListParser struct {
	Now      time.Time      // for dates without a year; the zero time is the present
	Location *time.Location // of the server's clock; nil is UTC

	begun   string // the first line of an OpenVMS entry
	members bool   // below the heading of an MVS member list

	line evidence // what the current line says about its listing
	seen style    // what the lines so far have said
}

// LineError is a line of a listing that no known format fits.
type LineError struct{ Line string }

// Error quotes the line.
func (e *LineError) Error() string {
	return "unreadable line in the listing: " + Printable(clipText(e.Line))
}

// Parse reads one line. It returns ok false and no error for a line that holds
// no entry, such as a heading, a total, or an older version of the OpenVMS file
// before it, and a *LineError for one that can't be read. An entry and an error
// come together if the line before was the one that can't be read, the first half
// of an entry that did not continue.
//
// The size is -1 where the format counts in blocks, is garbled or is missing. A
// date without a year is the last such date up to tomorrow. "." and ".." are
// CDirEntry and PDirEntry. Parse knows only the lines so far; Entries also uses
// the lines that follow.
func (p *ListParser) Parse(line string) (e Entry, ok bool, err error) {
	e, ok, err = p.parse(line)
	if ok {
		p.finish(&e, &p.line)
	}
	return e, ok, err
}

// Entries reads a whole listing: its entries, and a *LineError for each line that
// can't be read, an entry that the end of the listing cut off included. It keeps
// back lines whose dates or names depend on the style of the listing until a line
// shows it, at most some 256 KiB of them.
func (p *ListParser) Entries(lines iter.Seq[string]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		h := holder{p: p, yield: yield}
		for line := range lines {
			if !h.take(line) {
				return
			}
		}
		if !h.release() {
			return
		}
		if err := p.End(); err != nil {
			yield(Entry{}, err)
		}
	}
}

// parse reads a line and leaves in p.line what finish needs to know.
func (p *ListParser) parse(line string) (e Entry, ok bool, err error) {
	line = strings.TrimRight(line, "\r\n")
	begun := p.begun
	if p.begun = ""; begun != "" {
		if e, ok := p.continues(begun, line); ok {
			return p.accept(e, line, nil)
		}
		err = &LineError{Line: begun}
	}
	if isBlank(line) {
		return Entry{Size: -1}, false, err
	}
	if e, ok := p.entry(line); ok {
		return p.accept(e, line, err)
	}
	if p.begins(line) || p.isHeading(line) {
		return Entry{Size: -1}, false, err
	}
	if begun != "" {
		line = begun + " " + line
	}
	return Entry{Size: -1}, false, &LineError{Line: line}
}

// accept takes an entry unless it contradicts the lines before.
func (p *ListParser) accept(e Entry, line string, before error) (Entry, bool, error) {
	if p.isOlder(&e) {
		return Entry{Size: -1}, false, before
	}
	if !p.seen.add(&p.line) {
		return Entry{Size: -1}, false, &LineError{Line: line}
	}
	p.seen.dated = p.seen.dated || !e.Modified.IsZero()
	switch e.Name {
	case ".":
		e.Type = CDirEntry
	case "..":
		e.Type = PDirEntry
	}
	return e, true, before
}

// End returns an error for the first half of an entry that the end of the listing
// cut off.
func (p *ListParser) End() error {
	if p.begun == "" {
		return nil
	}
	err := &LineError{Line: p.begun}
	p.begun = ""
	return err
}

// listFormats are the formats in the order in which they are tried, the most
// frequent first.
var listFormats = [...]func(*ListParser, string) (Entry, bool){
	(*ListParser).unix,
	(*ListParser).dos,
	(*ListParser).eplf,
	(*ListParser).netware,
	(*ListParser).vms,
	(*ListParser).os400,
	(*ListParser).os2,
	(*ListParser).jes,
	(*ListParser).nonstop,
	(*ListParser).vshell,
	(*ListParser).enterprise,
	(*ListParser).numeric,
	(*ListParser).mvs,
}

func (p *ListParser) entry(line string) (Entry, bool) {
	for _, read := range listFormats {
		p.line = evidence{}
		if e, ok := read(p, line); ok {
			return e, true
		}
		if p.line.unix {
			break
		}
	}
	return Entry{}, false
}

func (p *ListParser) now() time.Time {
	if p.Now.IsZero() {
		return time.Now()
	}
	return p.Now
}

func (p *ListParser) location() *time.Location {
	if p.Location == nil {
		return time.UTC
	}
	return p.Location
}
