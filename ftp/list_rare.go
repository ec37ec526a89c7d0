package ftp

import (
	"strconv"
	"strings"
	"time"
)

// nonstop parses a line of HP NonStop: `DATA1  101  528 12-Jan-14 14:21:18 255, 0 "oooo"`.
// An O after the code, with or without a blank between them, marks an open file.
func (p *ListParser) nonstop(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	size := 2
	if f.word(2) == "O" {
		size = 3
	}
	_, ok1 := smallNumber(strings.TrimSuffix(f.word(1), "O"))
	n, err := ParseOffset(f.word(size))
	w, ok2 := parseDateWord(f.word(size + 1))
	c, ok3 := parseClock(f.word(size + 2))
	security := f.word(f.n - 1)
	if !ok1 || err != nil || !ok2 || !ok3 || w.month == 0 || !isMember(strings.ToUpper(f.word(0))) ||
		len(security) < 3 || security[0] != '"' || security[len(security)-1] != '"' {
		return e, false
	}
	owner := strings.TrimSpace(strings.TrimSuffix(f.after(size+2), security))
	group, user, ok := strings.Cut(owner, ",")
	d, ok4 := p.dated(w, c, dayFirst, true)
	e.Name, e.Size, e.Group, e.Owner = f.word(0), n, group, skipBlanks(user)
	e.Modified, e.Precise = d.time, d.precise
	return e, ok && ok4
}

// vshell parses a line of old versions of VShell: "206876  Apr 04, 2000 21:06 name". The
// name of a directory ends in a slash.
func (p *ListParser) vshell(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	size, err := ParseOffset(f.word(0))
	if err != nil || startsBlank(line) || !strings.HasSuffix(f.word(2), ",") {
		return e, false
	}
	d, ok := p.date(&f, 1)
	if !ok || d.last != 4 {
		return e, false
	}
	e.Name, ok = p.nameAfter(&f, &d)
	e.Size, e.Modified, e.Precise = size, d.time, d.precise
	if name, isDir := strings.CutSuffix(e.Name, "/"); isDir {
		e.Type, e.Size, e.Name = DirEntry, -1, name
	}
	return e, ok && e.Name != ""
}

// enterprise parses a batch of Connect:Enterprise, "-C--E-----FTP B OWNER1  18128
// 41 Aug 12 13:56 BATCH": flags, protocol, type, owner, number and size.
func (p *ListParser) enterprise(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	flags := f.word(0)
	if len(flags) <= 10 || len(f.word(1)) != 1 {
		return e, false
	}
	for i := range len(flags) {
		if c := flags[i]; c != '-' && (c < 'A' || c > 'Z') || c == '-' && i > 9 {
			return e, false
		}
	}
	_, err1 := ParseOffset(f.word(3))
	size, err2 := ParseOffset(f.word(4))
	d, ok1 := p.date(&f, 5)
	if err1 != nil || err2 != nil || !ok1 {
		return e, false
	}
	var ok2 bool
	e.Name, ok2 = p.nameAfter(&f, &d)
	e.Owner, e.Size, e.Modified, e.Precise = f.word(2), size, d.time, d.precise
	p.line.date, p.line.year = d.doubt, d.year
	return e, ok2
}

// numeric parses "0100644   500  101   12345    123456789       name": the mode of
// stat(2), owner, group, size, and the time in seconds since 1970. The width of the time's
// column is unknown, so all blanks before the name are skipped as part of that column.
func (p *ListParser) numeric(line string) (Entry, bool) {
	e := Entry{Size: -1}
	f := splitWords(line)
	word := f.word(0)
	mode, err := strconv.ParseUint(word, 8, 32)
	_, err1 := ParseOffset(f.word(1))
	_, err2 := ParseOffset(f.word(2))
	size, err3 := ParseOffset(f.word(3))
	seconds, err4 := ParseOffset(f.word(4))
	if err != nil || word[0] != '0' || len(word) < 6 || err1 != nil || err2 != nil || err3 != nil || err4 != nil || seconds >= 1<<40 {
		return e, false
	}
	switch mode >> 12 {
	case 0o10:
		e.Type = FileEntry
	case 0o04:
		e.Type = DirEntry
	case 0o12:
		e.Type = LinkEntry
	default:
		e.Type = OtherEntry
	}
	e.Mode, e.HasMode = unixMode(uint32(mode)), true
	e.Owner, e.Group, e.Size = f.word(1), f.word(2), size
	e.Modified, e.Precise = time.Unix(seconds, 0).UTC(), time.Second
	e.Name = skipBlanks(f.after(4))
	return e, e.Name != ""
}
