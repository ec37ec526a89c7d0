package ftp

import (
	"strconv"
	"strings"
	"time"
)

// eplf reads D. J. Bernstein's easily parsed format: "+i8388621.29609,m824255902,r,s10376,\tname".
func eplf(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	facts, name, ok := strings.Cut(line, "\t")
	if !ok || facts == "" || facts[0] != '+' || name == "" {
		return e, false
	}
	e.Name = name
	for fact := range strings.SplitSeq(facts[1:], ",") {
		if fact == "" {
			continue
		}
		switch value := fact[1:]; fact[0] {
		case '/':
			e.Type = DirEntry
		case 's':
			if n, err := ParseOffset(value); err == nil {
				e.Size = n
			}
		case 'm':
			if n, err := ParseOffset(value); err == nil && n < 1<<40 {
				e.Modified, e.Precise = time.Unix(n, 0).UTC(), time.Second
			}
		case 'i':
			e.Unique = value
		case 'u':
			if mode, ok := strings.CutPrefix(value, "p"); ok {
				if n, err := strconv.ParseUint(mode, 8, 32); err == nil {
					e.Mode, e.HasMode = unixMode(uint32(n)), true
				}
			}
		}
	}
	return e, true
}

// netware reads "d [RWCEAFMS] owner  512  Jan 16 18:53  name".
func (p *ListParser) netware(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	if line[0] != 'd' && line[0] != '-' {
		return e, false
	}
	if line[0] == 'd' {
		e.Type = DirEntry
	}
	rights, rest, ok := strings.Cut(skipBlanks(line[1:]), "]")
	if !ok || rights == "" || rights[0] != '[' || strings.Trim(rights[1:], "RWCEAFMS-") != "" {
		return e, false
	}
	f := splitWords(rest)
	for i := 1; i < f.n; i++ {
		d, ok := p.date(&f, i)
		if !ok || !endsInSize(f.word(i-1)) {
			continue
		}
		e.Modified, e.Precise = d.time, d.precise
		e.takeColumns(&f, 0, i)
		e.Name = skipBlanks(f.behind(d.last))
		return e, e.Name != ""
	}
	return e, false
}

// mvs reads a line of a data set list or, below its heading, of a member list.
// Data sets are measured in tracks, and the date is that of the last use, so
// neither size nor time is known.
func (p *ListParser) mvs(line string) (Entry, bool) {
	f := splitWords(line)
	if e, ok := p.mvsMember(&f); ok {
		return e, true
	}
	e := Entry{Size: -1, Name: strings.Trim(f.word(f.n-1), "'")}
	if p.members || f.n == len(f.at) || e.Name == "" {
		return e, false
	}
	switch kind := f.word(f.n - 2); {
	case f.n == 2 && kind == "Migrated":
	case f.n == 3 && kind == "Directory" && f.word(0) == "Pseudo":
		e.Type = DirEntry
	case f.n > 5 && strings.Contains(line, " Not Direct Access Device "):
	case f.n < 4 || !isVolume(&f):
		return e, false
	case strings.HasPrefix(kind, "PO"): // partitioned: its members are files
		e.Type = DirEntry
	case kind == "PS", kind == "VSAM", kind == "DA":
		e.Type = FileEntry
	default:
		e.Type = OtherEntry
	}
	return e, true
}

// isVolume finds the name of a volume, its unit, such as 3390, and the date.
func isVolume(f *words) bool {
	_, isUnit := smallNumber(f.word(1))
	if len(f.word(0)) > 6 || len(f.word(1)) != 4 || !isUnit {
		return false
	}
	referred := f.word(2)
	_, _, _, isDate := parseDashed(referred)
	return isDate || referred == "**NONE**" || referred == "VSAM"
}

// mvsMember reads a member with statistics, "NAME 01.01 2001/12/06 2002/01/15
// 13:30 19 …", or below the heading of a member list one without.
func (p *ListParser) mvsMember(f *words) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry, Name: f.word(0)}
	version := f.word(1)
	hasStats := len(version) == 5 && version[2] == '.' && isDigit(version[0]) && f.n >= 8
	if !isMember(e.Name) || !hasStats && !p.members {
		return e, false
	}
	if !hasStats {
		return e, true
	}
	year, month, day, ok1 := parseDashed(f.word(3))
	c, ok2 := parseClock(f.word(4))
	t, ok3 := makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
	e.Modified, e.Precise = t.UTC(), c.precise
	return e, ok1 && ok2 && ok3
}

// isMember tells the name of a member: eight capitals, digits and $, # or @.
func isMember(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 'A' && !isDigit(c) && c != '$' && c != '#' && c != '@' || c > 'Z' {
			return false
		}
	}
	return s != "" && len(s) <= 8
}

// os400 reads "OWNER  77824 02/23/00 15:09:55 *DIR  NAME/", and members, that
// have only owner, *MEM and name. A file's last component is its name.
func (p *ListParser) os400(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	kind := 1
	if f.word(1) != "*MEM" {
		kind = 4
		size, err := ParseOffset(f.word(1))
		year, month, day, ok1 := parseDashed(f.word(2))
		c, ok2 := parseClock(f.word(3))
		t, ok3 := makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
		if err != nil || !ok1 || !ok2 || !ok3 || !strings.HasPrefix(f.word(4), "*") {
			return e, false
		}
		e.Size, e.Modified, e.Precise = size, t.UTC(), c.precise
	}
	name := skipBlanks(f.behind(kind))
	if strings.HasSuffix(name, "/") || strings.HasSuffix(f.word(kind), "DIR") || f.word(kind) == "*LIB" {
		e.Type, e.Size = DirEntry, -1
	}
	name = strings.TrimRight(name, "/")
	e.Owner, e.Name = f.word(0), name[strings.LastIndexByte(name, '/')+1:]
	return e, e.Name != ""
}
