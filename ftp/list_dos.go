package ftp

import "strings"

// dos parses a line of IIS or of dir: "06-05-03  03:19PM  1973 name".
func (p *ListParser) dos(line string) (Entry, bool) {
	e := Entry{Size: -1}
	f := splitWords(line)
	w, ok := parseDateWord(f.word(0))
	if !ok || w.parts != 3 || w.month != 0 {
		return e, false
	}
	c, last, half, ok := dosClock(&f)
	if !ok {
		return e, false
	}
	prefer, usual := monthFirst, half == glued && w.separator == '-' // IIS writes this in every country
	if w.separator == '.' {
		prefer, usual = dayFirst, true
	}
	d, ok := p.dated(w, c, prefer, usual)
	e.Modified, e.Precise = d.time, d.precise
	ok = ok && p.dosEnd(&e, f.after(last))
	p.line.date = d.doubt
	return e, ok
}

// half is the notation for the half of the day in a time of day.
type half uint8

const (
	noHalf half = iota // 14:22
	glued              // 02:22PM
	parted             // 02:22 PM
)

// dosClock parses the time of day that begins at the second word. last is the index of its
// last word.
func dosClock(f *words) (c clock, last int, how half, ok bool) {
	word, last := f.word(1), 1
	noon := ""
	if n := len(word); n > 2 && (word[n-1]|0x20) == 'm' {
		word, noon, how = word[:n-2], word[n-2:], glued
	} else if s := f.word(2); strings.EqualFold(s, "AM") || strings.EqualFold(s, "PM") {
		noon, last, how = s, 2, parted
	}
	if c, ok = parseClock(word); !ok {
		return c, 0, how, false
	}
	switch {
	case noon == "":
	case c.hour > 12 || !strings.EqualFold(noon, "AM") && !strings.EqualFold(noon, "PM"):
		return c, 0, how, false
	default:
		c.hour %= 12 // 12:30AM is half past midnight
		if noon[0]|0x20 == 'p' {
			c.hour += 12
		}
	}
	return c, last, how, true
}

// dosEnd parses what follows the time: <DIR> or a size, and the name.
func (p *ListParser) dosEnd(e *Entry, rest string) bool {
	blanks := countBlanks(rest)
	kind, name := rest[blanks:], ""
	i := strings.IndexByte(kind, ' ')
	if i < 1 {
		return false
	}
	kind, name = kind[:i], kind[i:]
	if kind[0] == '<' {
		return e.dosKind(kind, name[1:])
	}
	// IIS right-aligns the size in a column of 21 characters, and dir in one of 18. One
	// blank follows. Other programs write two.
	const iis, dir, huge = 21, 18, len("99,999,999,999")
	pad := 1
	if end := blanks + i; end == iis || end == dir && i < huge {
		pad = 0
	} else if countBlanks(name) > 2 && !p.seen.tight {
		return false // either the column has another width, or the name begins with blanks
	}
	var ok1, ok2 bool
	e.Type = FileEntry
	e.Size, ok1 = parseGrouped(kind)
	e.Name, ok2 = p.nameIn(name, pad)
	if ok2 && pad == 0 && e.Name[0] != ' ' {
		p.line.tight = true
	}
	return ok1 && ok2
}

// dosKind parses the name of an entry that has a kind, such as <DIR>, instead of a size.
func (e *Entry) dosKind(kind, name string) bool {
	// The empty column of the size follows: nine blanks. If all are there, further ones
	// belong to the name.
	const column = "         "
	if cut, ok := strings.CutPrefix(name, column); ok {
		name = cut
	} else {
		name = skipBlanks(name)
	}
	e.Name = name
	switch strings.ToUpper(kind) {
	case "<DIR>":
		e.Type = DirEntry
	case "<JUNCTION>", "<SYMLINK>", "<SYMLINKD>":
		e.Type = LinkEntry
		if i := strings.LastIndex(name, " ["); i > 0 && strings.HasSuffix(name, "]") {
			e.Name, e.Target = name[:i], name[i+2:len(name)-1]
		}
	default:
		e.Type = OtherEntry
	}
	return e.Name != ""
}

// os2 parses a line of OS/2: "  612  A  07-28-95  16:18  name".
func (p *ListParser) os2(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	size, ok := parseGrouped(f.word(0))
	if !ok {
		return e, false
	}
	e.Size = size
	for i := 1; i < 5; i++ {
		w, ok := parseDateWord(f.word(i))
		if !ok || w.parts != 3 || w.month != 0 {
			if f.word(i) == "DIR" {
				e.Type, e.Size = DirEntry, -1
			}
			continue
		}
		c, ok1 := parseClock(f.word(i + 1))
		d, ok2 := p.dated(w, c, monthFirst, false)
		e.Modified, e.Precise, p.line.date = d.time, d.precise, d.doubt
		e.Name = skipBlanks(f.after(i + 1))
		return e, ok1 && ok2 && e.Name != ""
	}
	return e, false
}
