package ftp

import (
	"strings"
	"time"
)

// ListParser reads the answer to LIST line by line, in the formats of Unix,
// MS-DOS, EPLF, NetWare, OpenVMS, MVS, OS/400 and OS/2. The zero value is ready;
// it is not safe for concurrent use, and each listing needs a parser of its own,
// as some formats spread over lines.
type ListParser struct {
	Now      time.Time      // for dates without a year; the zero time is the present
	Location *time.Location // of the server's clock; nil is UTC

	begun   string // the first line of an OpenVMS entry
	members bool   // below the heading of an MVS member list
}

// LineError is a line of a listing that no known format fits.
type LineError struct{ Line string }

// Error quotes the line.
func (e *LineError) Error() string {
	return "unreadable line in the listing: " + Printable(clipText(e.Line))
}

// Parse reads one line. It returns ok false and no error for a line that holds
// no entry, such as a heading or a total, and a *LineError for one that can't be
// read. An entry and an error come together if the line before was the one that
// can't be read, the first half of an entry that did not go on.
//
// The size is -1 where the format counts in blocks or not at all. A date without
// a year is the last such date up to tomorrow. "." and ".." are CDirEntry and PDirEntry.
func (p *ListParser) Parse(line string) (e Entry, ok bool, err error) {
	line = strings.TrimRight(line, "\r\n")
	begun := p.begun
	if p.begun = ""; begun != "" {
		if e, ok := p.vms(begun + " " + line); ok && startsBlank(line) {
			return e, true, nil
		}
		err = &LineError{Line: begun}
	}
	if isBlank(line) {
		return Entry{Size: -1}, false, err
	}
	if e, ok := p.entry(line); ok {
		switch e.Name {
		case ".":
			e.Type = CDirEntry
		case "..":
			e.Type = PDirEntry
		}
		return e, true, err
	}
	if p.begins(line) || p.isHeading(line) {
		return Entry{Size: -1}, false, err
	}
	if begun != "" {
		line = begun + " " + line
	}
	return Entry{Size: -1}, false, &LineError{Line: line}
}

// End reports the first half of an entry that the end of the listing cut off.
func (p *ListParser) End() error {
	if p.begun == "" {
		return nil
	}
	err := &LineError{Line: p.begun}
	p.begun = ""
	return err
}

// entry tries the formats, the most frequent first.
func (p *ListParser) entry(line string) (Entry, bool) {
	if e, ok := p.unix(line); ok {
		return e, true
	}
	if e, ok := p.dos(line); ok {
		return e, true
	}
	if e, ok := eplf(line); ok {
		return e, true
	}
	if e, ok := p.netware(line); ok {
		return e, true
	}
	if e, ok := p.vms(line); ok {
		return e, true
	}
	if e, ok := p.os400(line); ok {
		return e, true
	}
	if e, ok := p.os2(line); ok {
		return e, true
	}
	return p.mvs(line)
}

// begins keeps a line that is only the name of an OpenVMS entry.
func (p *ListParser) begins(line string) bool {
	name := strings.TrimRight(line, " ")
	if _, rest, ok := vmsName(name); !ok || rest != "" || strings.ContainsAny(name, " \t") {
		return false
	}
	p.begun = name
	return true
}

// isHeading finds lines that are about the listing, not in it.
func (p *ListParser) isHeading(line string) bool {
	f := splitWords(line)
	first := strings.ToLower(f.word(0))
	switch {
	case f.n == 2 && isTotal(first) && isDigit(f.word(1)[0]): // "total 12"
		return true
	case strings.HasPrefix(line, "Total of "), strings.HasPrefix(line, "Grand total of "), // OpenVMS
		first == "directory" && strings.HasSuffix(strings.TrimRight(line, " "), "]"):
		return true
	case first == "volume" && f.word(1) == "Unit": // MVS data sets
		p.members = false
		return true
	case first == "name" && (f.word(1) == "VV.MM" || f.word(1) == "Size" && f.word(2) == "TTR"):
		p.members = true
		return true
	}
	// The name of a directory in ls -R.
	return strings.HasSuffix(line, ":") && len(line) > 1 && (strings.HasPrefix(line, "/") || strings.HasPrefix(line, ".") || f.n == 1)
}

func isTotal(word string) bool {
	switch word {
	case "total", "totale", "totaal", "totalt", "insgesamt", "summe", "razem", "celkem", "yhteensä", "toplam", "összesen",
		"итого", "всего", "合計", "总计", "总用量":
		return true
	}
	return false
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

// words are the first words of a line and where they stand; names come behind
// them and are never split.
type words struct {
	line string
	at   [16]struct{ from, to int }
	n    int
}

func splitWords(line string) words {
	f := words{line: line}
	for i := 0; f.n < len(f.at); f.n++ {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		from := i
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		if i == from {
			break
		}
		f.at[f.n].from, f.at[f.n].to = from, i
	}
	return f
}

// word is the i-th word, or "".
func (f *words) word(i int) string {
	if i < 0 || i >= f.n {
		return ""
	}
	return f.line[f.at[i].from:f.at[i].to]
}

// behind is what follows the i-th word.
func (f *words) behind(i int) string {
	if i < 0 || i >= f.n {
		return ""
	}
	return f.line[f.at[i].to:]
}

func startsBlank(s string) bool { return s != "" && (s[0] == ' ' || s[0] == '\t') }

func isBlank(s string) bool { return skipBlanks(s) == "" }
