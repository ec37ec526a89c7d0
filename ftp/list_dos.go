package ftp

import (
	"strings"
	"time"
)

// dos reads a line of IIS or dir: "06-05-03  03:19PM  1973 name".
func (p *ListParser) dos(line string) (Entry, bool) {
	e := Entry{Size: -1}
	if !isDigit(line[0]) {
		return e, false
	}
	f := splitWords(line)
	year, month, day, ok := parseDashed(f.word(0))
	if !ok {
		return e, false
	}
	c, rest, ok := dosClock(&f)
	if !ok {
		return e, false
	}
	e.Modified, ok = makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
	if !ok {
		return e, false
	}
	e.Modified, e.Precise = e.Modified.UTC(), c.precise
	return e, e.dosEnd(rest)
}

// dosClock reads 14:22, 02:22PM and 02:22 PM at the second word.
func dosClock(f *words) (c clock, rest string, ok bool) {
	word, last := f.word(1), 1
	half := ""
	if n := len(word); n > 2 && (word[n-1]|0x20) == 'm' {
		word, half = word[:n-2], word[n-2:]
	} else if s := f.word(2); strings.EqualFold(s, "AM") || strings.EqualFold(s, "PM") {
		half, last = s, 2
	}
	if c, ok = parseClock(word); !ok {
		return c, "", false
	}
	switch strings.ToUpper(half) {
	case "":
	case "AM", "PM":
		if c.hour > 12 {
			return c, "", false
		}
		c.hour %= 12 // 12:30AM is half past midnight
		if half[0]|0x20 == 'p' {
			c.hour += 12
		}
	default:
		return c, "", false
	}
	return c, f.behind(last), true
}

// dosEnd reads what follows the time: <DIR> or a size, and the name.
func (e *Entry) dosEnd(rest string) bool {
	rest = skipBlanks(rest)
	i := strings.IndexByte(rest, ' ')
	if i < 0 {
		return false
	}
	kind, name := rest[:i], rest[i+1:]
	if kind[0] != '<' {
		size, err := ParseOffset(strings.ReplaceAll(kind, ",", ""))
		e.Type, e.Size, e.Name = FileEntry, size, name
		return err == nil && name != ""
	}
	// The size's column follows and is empty: its nine blanks, if they are there,
	// are not part of the name.
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

// parseDashed reads 06-05-03, 06-05-2003, 2003-06-05 and the same with '/' or
// '.', the month before the day unless it can't be one.
func parseDashed(s string) (year, month, day int, ok bool) {
	i := strings.IndexAny(s, "-/.")
	if i < 0 {
		return 0, 0, 0, false
	}
	a, b, _ := strings.Cut(s, s[i:i+1])
	b, c, _ := strings.Cut(b, s[i:i+1])
	if len(a) > 4 || len(b) > 2 || len(c) > 4 {
		return 0, 0, 0, false
	}
	n1, ok1 := smallNumber(a)
	n2, ok2 := smallNumber(b)
	n3, ok3 := smallNumber(c)
	switch {
	case !ok1 || !ok2 || !ok3:
		return 0, 0, 0, false
	case len(a) == 4 || n1 > 31: // the year is first
		return fullYear(n1, len(a)), n2, n3, true
	case n1 > 12: // the day is first
		n1, n2 = n2, n1
	}
	return fullYear(n3, len(c)), n1, n2, true
}

// fullYear completes a year of two digits, and one that counts from 1900.
func fullYear(n, digits int) int {
	switch {
	case digits > 3:
		return n
	case n < 70:
		return 2000 + n
	}
	return 1900 + n
}

// os2 reads a line of OS/2: "  612  A  07-28-95  16:18  name".
func (p *ListParser) os2(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	size, err := ParseOffset(f.word(0))
	if err != nil {
		return e, false
	}
	e.Size = size
	for i := 1; i < 5; i++ {
		year, month, day, ok := parseDashed(f.word(i))
		if !ok {
			if f.word(i) == "DIR" {
				e.Type, e.Size = DirEntry, -1
			}
			continue
		}
		c, ok := parseClock(f.word(i + 1))
		if !ok {
			return e, false
		}
		var t time.Time
		t, ok = makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
		e.Modified, e.Precise = t.UTC(), c.precise
		e.Name = skipBlanks(f.behind(i + 1))
		return e, ok && e.Name != ""
	}
	return e, false
}
