package ftp

import "strings"

// mvs parses a line of a data set list or, below its heading, of a member list.
// Size and time of a data set are unknown: the list shows the number of tracks and
// the date of the last use.
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

// isVolume reports whether the first words are the name of a volume, its unit, such
// as 3390, and a date.
func isVolume(f *words) bool {
	_, isUnit := smallNumber(f.word(1))
	if len(f.word(0)) > 6 || len(f.word(1)) != 4 || !isUnit {
		return false
	}
	referred := f.word(2)
	_, isDate := parseDateWord(referred)
	return isDate || referred == "**NONE**" || referred == "VSAM"
}

// mvsMember parses a member with statistics, "NAME 01.01 2001/12/06 2002/01/15
// 13:30 19 …", or, below the heading of a member list, also one without them.
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
	w, ok1 := parseDateWord(f.word(3))
	c, ok2 := parseClock(f.word(4))
	d, ok3 := p.dated(w, c, yearFirst, true)
	e.Modified, e.Precise, p.line.date = d.time, d.precise, d.doubt
	return e, ok1 && ok2 && ok3 && w.parts == 3
}

// isMember reports whether s may be the name of a member: at most eight capital
// letters, digits, $, # or @.
func isMember(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 'A' && !isDigit(c) && c != '$' && c != '#' && c != '@' || c > 'Z' {
			return false
		}
	}
	return s != "" && len(s) <= 8
}

// jes parses a job of JES, "OWNER1  JOB01906  OUTPUT    3 Spool Files". In another
// form, the third column is the owner and the fourth the status. The name is the
// number of the job, because RETR and DELE expect that.
func (p *ListParser) jes(line string) (Entry, bool) {
	e := Entry{Size: -1, Type: FileEntry}
	f := splitWords(line)
	status := 2
	if !isJobStatus(f.word(status)) {
		status = 3
		e.Owner = f.word(2)
	}
	e.Name = f.word(1)
	return e, isMember(f.word(0)) && isJob(e.Name) && isJobStatus(f.word(status))
}

// isJob reports whether s is the number of a job, such as JOB01906 or J0001906.
func isJob(s string) bool {
	digits := strings.TrimLeft(s, "JOBTSUC")
	switch s[:len(s)-len(digits)] {
	case "JOB", "TSU", "STC", "J", "T", "S":
		_, ok := smallNumber(digits)
		return ok && len(s) == 8
	}
	return false
}

func isJobStatus(s string) bool {
	return s == "INPUT" || s == "ACTIVE" || s == "OUTPUT" || s == "HELD" || s == "EXECUTING"
}
