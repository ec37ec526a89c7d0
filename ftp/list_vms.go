package ftp

import (
	"strings"
	"time"
)

// vms reads an entry of OpenVMS, "NAME.TXT;1  213/216  29-JAN-1996 03:33:12
// [GROUP,OWNER]  (RWED,RWED,RE,)". The version is taken off the name and ".DIR"
// off a directory's. Sizes count blocks, so they are not sizes.
func (p *ListParser) vms(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	name, rest, ok := vmsName(line)
	if !ok || isBlank(rest) {
		return e, false
	}
	e.Name = name
	if n := len(name) - len(".DIR"); n > 0 && strings.EqualFold(name[n:], ".DIR") {
		e.Type, e.Name = DirEntry, name[:n]
	}
	f := splitWords(rest)
	if word := f.word(0); word[0] == '%' || strings.Contains(rest, "privilege") {
		return e, true // it is there, but we may not know more
	}
	for i := range f.n {
		year, month, day, ok := vmsDate(f.word(i))
		if !ok {
			continue
		}
		e.Precise = 24 * time.Hour
		c, ok := parseClock(f.word(i + 1))
		if ok {
			e.Precise = c.precise
		}
		t, ok := makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
		e.Modified = t.UTC()
		e.takeVMSOwner(rest)
		return e, ok
	}
	return e, false
}

// vmsName takes "NAME.TXT;1" off a line.
func vmsName(line string) (name, rest string, ok bool) {
	i := strings.IndexByte(line, ';')
	if i <= 0 || startsBlank(line) {
		return "", "", false
	}
	end := i + 1
	for end < len(line) && isDigit(line[end]) {
		end++
	}
	rest = line[end:]
	return line[:i], rest, end > i+1 && end <= i+6 && (rest == "" || startsBlank(rest))
}

// vmsDate reads 29-JAN-1996.
func vmsDate(s string) (year, month, day int, ok bool) {
	a, b, _ := strings.Cut(s, "-")
	b, c, _ := strings.Cut(b, "-")
	day, ok1 := parseDay(a)
	month, ok2 := parseMonth(b)
	year, ok3 := parseYear(c)
	return year, month, day, ok1 && ok2 && ok3
}

// takeVMSOwner reads [GROUP,OWNER] or [OWNER].
func (e *Entry) takeVMSOwner(s string) {
	_, s, _ = strings.Cut(s, "[")
	s, _, ok := strings.Cut(s, "]")
	if !ok {
		return
	}
	if group, owner, ok := strings.Cut(s, ","); ok {
		e.Group, e.Owner = group, strings.TrimSpace(owner)
		return
	}
	e.Owner = s
}
