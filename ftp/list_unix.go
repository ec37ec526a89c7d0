package ftp

import (
	"io/fs"
	"strings"
)

// unix parses a line of ls -l. Between mode and date it has links, owner, group and
// size. Some servers omit a column or leave no blank between two. So unix looks for
// the date first, and then interprets the words before it.
func (p *ListParser) unix(line string) (Entry, bool) {
	e := Entry{Size: -1}
	rest, ok := e.takeMode(line)
	if !ok {
		return e, false
	}
	p.line.unix = true
	f := splitWords(rest)
	for _, needSize := range [...]bool{true, false} {
		for i := range f.n {
			if needSize && !endsInSize(f.word(i-1)) {
				continue
			}
			d, ok := p.date(&f, i)
			if !ok || i == 1 && needSize && p.sizeAndDate(&f, 4) {
				continue // the word is an owner named like a month
			}
			return e, p.takeUnix(&e, &f, i, &d)
		}
	}
	return e, p.dateless(&e, &f)
}

// sizeAndDate reports whether the i-th word begins a date and the word before it is a size.
func (p *ListParser) sizeAndDate(f *words, i int) bool {
	if !endsInSize(f.word(i - 1)) {
		return false
	}
	_, ok := p.date(f, i)
	return ok
}

// takeUnix sets e from a line whose i-th word begins the date d.
func (p *ListParser) takeUnix(e *Entry, f *words, i int, d *date) bool {
	name, ok := p.nameAfter(f, d)
	if !ok || !e.takeColumns(f, 0, i) {
		return false
	}
	if d.year == yearLeft && p.line.pad == 0 {
		d.year = yearTight
	}
	p.line.date, p.line.year = d.doubt, d.year
	e.Modified, e.Precise = d.time, d.precise
	e.Name = name
	if e.Type == LinkEntry {
		e.splitLink()
	}
	return true
}

// dateless parses "drwxr-xr-x 3 own grp 512 name" of a listing without dates. A name
// that may be part of a date is refused, because the line may have been truncated.
func (p *ListParser) dateless(e *Entry, f *words) bool {
	if f.n != 5 || p.seen.dated || f.gap(3) != 1 || f.after(4) != "" {
		return false
	}
	links, ok := smallNumber(f.word(0))
	size, err := ParseOffset(f.word(3))
	name := f.word(4)
	if _, isMonth := parseMonth(name); !ok || err != nil || isMonth || isDigit(name[0]) || len(name) < 4 {
		return false
	}
	e.Links, e.Owner, e.Group, e.Size, e.Name = links, f.word(1), f.word(2), size, name
	return true
}

// takeMode parses "drwxr-xr-x", and a mark for an ACL or attributes after it, and
// returns the columns that follow. There may be no blank before the number of links.
// Some servers omit the type, or the last letters.
func (e *Entry) takeMode(line string) (rest string, ok bool) {
	line = skipBlanks(line)
	if line == "" {
		return "", false
	}
	if line[0] == 'r' { // no type
		e.Type = FileEntry
		n := e.takeLetters(line)
		e.HasMode = n == 9 && startsBlank(line[n:])
		return line[n:], e.HasMode
	}
	switch line[0] {
	case '-':
		e.Type = FileEntry
	case 'd':
		e.Type = DirEntry
	case 'l':
		e.Type = LinkEntry
	case 'b', 'c', 'p', 's', 'D', 'C', 'M', 'n', 'P', 'w', '?':
		e.Type = OtherEntry
	default:
		return "", false
	}
	n := e.takeLetters(line[1:])
	rest = strings.TrimLeft(line[1+n:], ".@+")
	switch {
	case rest == "" || n < 6:
		return "", false
	case n < 9: // letters are missing, so the mode is unknown
		e.Mode = 0
		return rest, startsBlank(rest)
	}
	e.HasMode = true
	return rest, startsBlank(rest) || isDigit(rest[0])
}

// takeLetters parses the letters of the permissions up to the first that is not in its
// place, and returns their number, at most 9.
func (e *Entry) takeLetters(s string) int {
	for i := range 9 {
		if i == len(s) {
			return i
		}
		bit := fs.FileMode(1) << (8 - i)
		switch c := s[i]; c {
		case "rwx"[i%3]:
			e.Mode |= bit
		case 's', 't':
			e.Mode |= bit | specialBit(i)
		case 'S', 'T':
			e.Mode |= specialBit(i)
		case '-', 'l', 'L': // l is a mandatory lock
		default:
			return i
		}
	}
	return 9
}

func specialBit(i int) fs.FileMode {
	return [...]fs.FileMode{fs.ModeSetuid, fs.ModeSetgid, fs.ModeSticky}[i/3]
}

// splitLink splits "name -> target". If there is more than one arrow, the size, which
// is the length of the target, shows which one separates the two.
func (e *Entry) splitLink() {
	const arrow = " -> "
	first := strings.Index(e.Name, arrow)
	if first < 1 {
		return
	}
	at := first
	if exact := len(e.Name) - len(arrow); e.Size >= 0 && e.Size < int64(exact) {
		if i := exact - int(e.Size); e.Name[i:i+len(arrow)] == arrow {
			at = i
		}
	}
	e.Name, e.Target = e.Name[:at], e.Name[at+len(arrow):]
}
