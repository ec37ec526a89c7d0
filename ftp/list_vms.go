package ftp

import "strings"

// vms parses an entry of OpenVMS, "NAME.TXT;1  213/216  29-JAN-1996 03:33:12
// [GROUP,OWNER]  (RWED,RWED,RE,)". The version is removed from the name, and ".DIR"
// from the name of a directory. The size is unknown, because OpenVMS counts blocks.
func (p *ListParser) vms(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	name, version, rest, ok := vmsName(line)
	if !ok || isBlank(rest) {
		return e, false
	}
	e.Name, p.line.number = name, version
	if n := len(name) - len(".DIR"); n > 0 && strings.EqualFold(name[n:], ".DIR") {
		e.Type, e.Name = DirEntry, name[:n]
	}
	f := splitWords(rest)
	if word := f.word(0); word[0] == '%' || strings.Contains(rest, "privilege") {
		return e, true // the user may not see more than the name
	}
	for i := range f.n {
		w, ok := parseDateWord(f.word(i))
		if !ok || w.month == 0 || w.digits[2] != 4 {
			continue
		}
		c, _ := parseClock(f.word(i + 1))
		d, ok := p.dated(w, c, dayFirst, true)
		e.Modified, e.Precise = d.time, d.precise
		e.takeVMSOwner(rest)
		return e, ok
	}
	return e, false
}

// vmsName parses "NAME.TXT;1" at the start of a line.
func vmsName(line string) (name string, version int, rest string, ok bool) {
	i := strings.IndexByte(line, ';')
	if i <= 0 || startsBlank(line) {
		return "", 0, "", false
	}
	end := i + 1
	for end < len(line) && isDigit(line[end]) {
		end++
	}
	rest = line[end:]
	version, ok = smallNumber(line[i+1 : end])
	return line[:i], version, rest, ok && end <= i+6 && (rest == "" || startsBlank(rest))
}

// begins reports whether a line consists only of the name of an OpenVMS entry. If so,
// it sets p.begun, because the rest of the entry follows on the next line.
func (p *ListParser) begins(line string) bool {
	name := strings.TrimRight(line, " ")
	if _, _, rest, ok := vmsName(name); !ok || rest != "" || strings.ContainsAny(name, " \t") {
		return false
	}
	p.begun = name
	return true
}

// continues parses the second line of the OpenVMS entry whose first line is begun. The
// second line begins with blanks, or with the number of blocks.
func (p *ListParser) continues(begun, line string) (Entry, bool) {
	if !startsBlank(line) && (line == "" || !isDigit(line[0]) || strings.IndexByte(line, ';') >= 0) {
		return Entry{}, false
	}
	p.line = evidence{}
	return p.vms(begun + " " + line)
}

// isOlder reports whether e is an older version of the file before it, and remembers e if
// not. OpenVMS lists the newest version first, and a name without a version means that one.
func (p *ListParser) isOlder(e *Entry) bool {
	number, s := p.line.number, &p.seen
	if number > 0 && number < s.number && e.Name == s.name && e.Type == s.kind {
		return true
	}
	s.name, s.kind, s.number = "", e.Type, number
	if number > 0 {
		s.name = e.Name
	}
	return false
}

// takeVMSOwner sets owner and group from [GROUP,OWNER] or [OWNER] in s.
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
