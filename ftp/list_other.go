package ftp

import (
	"strconv"
	"strings"
	"time"
)

// eplf parses D. J. Bernstein's easily parsed format: "+i8388621.29609,m824255902,r,s10376,\tname".
func (p *ListParser) eplf(line string) (Entry, bool) {
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

// netware parses a line of NetWare: "d [RWCEAFMS] owner  512  Jan 16 18:53  name".
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
		e.Modified, e.Precise, p.line.date = d.time, d.precise, d.doubt
		e.Name = skipBlanks(f.after(d.last))
		return e, e.takeColumns(&f, 0, i) && e.Name != ""
	}
	return e, false
}

// os400 parses a line of OS/400: "OWNER  77824 02/23/00 15:09:55 *DIR  NAME/". The
// line of a member has only owner, *MEM and name. If the name is a path, its last
// component is used.
func (p *ListParser) os400(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	kind := 1
	if f.word(1) != "*MEM" {
		kind = 4
		size, err := ParseOffset(f.word(1))
		w, ok1 := parseDateWord(f.word(2))
		c, ok2 := parseClock(f.word(3))
		if err != nil || !ok1 || !ok2 || w.parts != 3 || !strings.HasPrefix(f.word(4), "*") {
			return e, false
		}
		d, ok := p.dated(w, c, yearFirst, false)
		if !ok {
			return e, false
		}
		e.Size, e.Modified, e.Precise, p.line.date = size, d.time, d.precise, d.doubt
	}
	name := skipBlanks(f.after(kind))
	if strings.HasSuffix(name, "/") || strings.HasSuffix(f.word(kind), "DIR") || f.word(kind) == "*LIB" {
		e.Type, e.Size = DirEntry, -1
	}
	name = strings.TrimRight(name, "/")
	e.Owner, e.Name = f.word(0), name[strings.LastIndexByte(name, '/')+1:]
	return e, e.Name != ""
}
