package ftp

import (
	"iter"
	"strings"
	"time"
)

// ListParser parses the answer to LIST, line by line, in the formats of Unix,
// MS-DOS, EPLF, NetWare, OpenVMS, MVS, JES, OS/400, OS/2, HP NonStop, VShell and
// Connect:Enterprise. The zero value is ready for use. A ListParser is not safe for
// concurrent use.
//
// Each listing needs its own parser, because an entry may take two lines, and
// because lines help to interpret each other. An ambiguous line is an error rather
// than a guess: a wrong name would be the name of another file.
type ListParser struct {
	Now      time.Time      // used for dates without a year; the zero time means time.Now
	Location *time.Location // the server's time zone; nil means UTC

	begun   string // the first line of an OpenVMS entry that takes two; "" if there is none
	members bool   // the heading of an MVS member list was read

	line evidence // what the current line shows about its listing
	seen style    // what all lines so far have shown
}

// LineError is returned for a line of a listing that fits no known format.
type LineError struct{ Line string }

// Error returns a message that quotes the line.
func (e *LineError) Error() string {
	return "unreadable line in the listing: " + Printable(clipText(e.Line))
}

// Parse parses one line. For a line without an entry, such as a heading, a total or
// an older version of an OpenVMS file, ok is false and err is nil. For a line that
// cannot be parsed, err is a *LineError.
//
// Parse returns an entry and an error if the line is an entry and the previous one
// was not: it looked like the first half of an entry, and the second did not follow.
//
// The size is -1 if it is missing or garbled, or if the format counts blocks. A date
// without a year is the latest such date that is not after tomorrow. The types of
// "." and ".." are CDirEntry and PDirEntry. Parse can only use the lines so far;
// Entries also uses the lines that follow.
func (p *ListParser) Parse(line string) (e Entry, ok bool, err error) {
	e, ok, err = p.parse(line)
	if ok {
		p.finish(&e, &p.line)
	}
	return e, ok, err
}

// Entries parses a whole listing. It yields the entries, and a *LineError for each
// line that cannot be parsed, or that is the first half of an entry at the end of
// the listing. Some dates and names can be interpreted only with the help of a later
// line; Entries holds such entries back until then, up to about 256 KiB of them.
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

// parse parses a line and sets p.line, which finish uses.
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

// accept returns entry e of line, unless it contradicts earlier lines. before is the
// error of the previous line.
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

// End returns a *LineError if the listing ended after the first half of an entry.
// Call it after the last Parse.
func (p *ListParser) End() error {
	if p.begun == "" {
		return nil
	}
	err := &LineError{Line: p.begun}
	p.begun = ""
	return err
}

// listFormats holds the formats in the order in which they are tried, the most
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
