package ftp

import (
	"io/fs"
	"strings"
)

// unix reads a line of ls -l. Between the mode and the date stand links, owner,
// group and size; servers leave some of them out or glue two together, so the
// date is what is looked for and the rest is told by its place before it.
func (p *ListParser) unix(line string) (Entry, bool) {
	e := Entry{Size: -1}
	if !e.takeMode(line) {
		return e, false
	}
	f := splitWords(line)
	for _, needSize := range [...]bool{true, false} {
		for i := 1; i < f.n; i++ {
			if needSize && !endsInSize(f.word(i-1)) {
				continue
			}
			d, ok := p.date(&f, i)
			if !ok || i == 2 && needSize && p.sizeAndDate(&f, 5) {
				continue // at 2 it is an owner with the name of a month
			}
			if e.takeUnix(&f, i, d) {
				return e, true
			}
		}
	}
	return e, false
}

// sizeAndDate reports whether a date stands at the i-th word and a size before it.
func (p *ListParser) sizeAndDate(f *words, i int) bool {
	if !endsInSize(f.word(i - 1)) {
		return false
	}
	_, ok := p.date(f, i)
	return ok
}

// takeUnix reads the line with the date at the i-th word.
func (e *Entry) takeUnix(f *words, i int, d date) bool {
	name := f.behind(d.last)
	if len(f.word(d.last)) == len("2005-04-14") && strings.HasPrefix(name, "  ") {
		name = name[1:] // ls --time-style=iso leaves room for a time
	}
	if len(name) < 2 || !startsBlank(name) {
		return false
	}
	e.Modified, e.Precise = d.time, d.precise
	e.takeColumns(f, 1, i)
	e.Name = name[1:] // one blank parts them, more belong to the name
	if e.Type == LinkEntry {
		e.splitLink()
	}
	return true
}

// takeMode reads "drwxr-xr-x" and a mark for an ACL or attributes behind it.
func (e *Entry) takeMode(line string) bool {
	if len(line) < 11 {
		return false
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
		return false
	}
	for i := range 9 {
		bit := fs.FileMode(1) << (8 - i)
		switch c := line[1+i]; c {
		case "rwx"[i%3]:
			e.Mode |= bit
		case 's', 't':
			e.Mode |= bit | specialBit(i)
		case 'S', 'T':
			e.Mode |= specialBit(i)
		case '-', 'l', 'L': // l is a mandatory lock
		default:
			return false
		}
	}
	rest := strings.TrimLeft(line[10:], ".@+")
	e.HasMode = startsBlank(rest)
	return e.HasMode
}

func specialBit(i int) fs.FileMode {
	return [...]fs.FileMode{fs.ModeSetuid, fs.ModeSetgid, fs.ModeSticky}[i/3]
}

// takeColumns reads links, owner, group and size from the words between mode and date.
func (e *Entry) takeColumns(f *words, from, to int) {
	glued := ""
	switch size := f.word(to - 1); {
	case e.Type == OtherEntry && strings.HasSuffix(f.word(to-2), ","): // "8, 0" are major and minor
		to -= 2
	case e.Type == OtherEntry && strings.Contains(size, ","):
		to--
	case endsInSize(size):
		glued, e.Size = splitSize(size)
		to--
	}
	if n, ok := smallNumber(f.word(from)); ok && from < to {
		e.Links = n
		from++
	}
	if from < to {
		e.Owner = f.word(from)
		from++
	}
	switch {
	case from < to: // a group may be of several words
		e.Group = f.line[f.at[from].from:f.at[to-1].to]
		if glued != "" {
			e.Group = strings.TrimSpace(e.Group + " " + glued)
		}
	case glued != "":
		e.Group = glued
	}
}

// endsInSize reports whether s may be a size, or one glued to a group.
func endsInSize(s string) bool {
	if s == "" {
		return false
	}
	if isDigit(s[len(s)-1]) {
		return true
	}
	return isDigit(s[0]) && strings.IndexByte("KMGTPB", s[len(s)-1]) >= 0 // ls -h
}

// splitSize parts a size from what is glued before it. The rounded ones of ls -h
// are no sizes.
func splitSize(s string) (glued string, size int64) {
	i := len(s)
	for i > 0 && isDigit(s[i-1]) {
		i--
	}
	n, err := ParseOffset(s[i:])
	if err != nil {
		return "", -1
	}
	return s[:i], n
}

// splitLink parts "name -> target". If the arrow is there more than once, the
// size, which is the target's length, tells which one it is.
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
