package ftp

import (
	"io/fs"
	"strconv"
	"time"
)

// halfYear is where ls changes from the time of day to the year: half of the
// mean Gregorian year.
const halfYear = 31556952 * time.Second / 2

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// AppendList adds e to b as ls -l would write it: one line without its end. The
// time is UTC and shows the year instead of the time of day if it is older than
// half a year or later than now. It does not allocate if b has room. A name
// that can't be on a line, with a CR, LF or NUL in it, is not listed: b comes
// back as it was.
func AppendList(b []byte, e *Entry, now time.Time) []byte {
	if e.Name == "" || hasLineBreak(e.Name) {
		return b
	}
	b = append(appendMode(b, e), ' ')
	b = append(appendPadded(b, int64(max(e.Links, 1)), 3), ' ')
	b = append(appendWord(b, e.Owner), ' ')
	b = append(appendWord(b, e.Group), ' ')
	b = append(appendPadded(b, max(e.Size, 0), 12), ' ')
	b = append(appendListTime(b, e.Modified, now), ' ')
	b = append(b, e.Name...)
	if e.Type == LinkEntry && e.Target != "" && !hasLineBreak(e.Target) {
		b = append(append(b, " -> "...), e.Target...)
	}
	return b
}

// appendMode writes the ten letters by hand, as fs.FileMode's own are not those of ls.
func appendMode(b []byte, e *Entry) []byte {
	mode := e.Mode
	switch {
	case e.HasMode:
	case e.Type == LinkEntry:
		mode = 0o777
	case e.IsDir():
		mode = 0o755
	default:
		mode = 0o644
	}
	b = append(b, typeLetter(e))
	at := len(b)
	const rwx = "rwxrwxrwx"
	for i := range len(rwx) {
		c := byte('-')
		if mode&(1<<(8-i)) != 0 {
			c = rwx[i]
		}
		b = append(b, c)
	}
	setSpecial(&b[at+2], mode&fs.ModeSetuid != 0, 's')
	setSpecial(&b[at+5], mode&fs.ModeSetgid != 0, 's')
	setSpecial(&b[at+8], mode&fs.ModeSticky != 0, 't')
	return b
}

// setSpecial puts s or t in the place of x, S or T where x is not set.
func setSpecial(c *byte, on bool, letter byte) {
	switch {
	case !on:
	case *c == 'x':
		*c = letter
	default:
		*c = letter - 'a' + 'A'
	}
}

func typeLetter(e *Entry) byte {
	switch {
	case e.IsDir():
		return 'd'
	case e.Type == LinkEntry:
		return 'l'
	case e.Type != OtherEntry:
		return '-'
	case e.Mode&fs.ModeNamedPipe != 0:
		return 'p'
	case e.Mode&fs.ModeSocket != 0:
		return 's'
	case e.Mode&fs.ModeCharDevice != 0:
		return 'c'
	case e.Mode&fs.ModeDevice != 0:
		return 'b'
	}
	return '-'
}

// appendListTime writes "Mmm dd HH:MM" or "Mmm dd  yyyy".
func appendListTime(b []byte, t, now time.Time) []byte {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	t = t.UTC()
	year, month, day := t.Date()
	year = max(0, min(year, 9999))
	m := int(month-1) * 3
	b = append(append(b, monthNames[m:m+3]...), ' ')
	b = append(appendPadded(b, int64(day), 2), ' ')
	if age := now.Sub(t); age >= 0 && age < halfYear {
		hour, minute, _ := t.Clock()
		return appendTwo(append(appendTwo(b, hour), ':'), minute)
	}
	return appendTwo(appendTwo(append(b, ' '), year/100), year%100)
}

// appendWord writes an owner or a group: one word, filled up to eight columns.
func appendWord(b []byte, s string) []byte {
	if s == "" {
		s = "ftp"
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == 0x7f {
			c = '_'
		}
		b = append(b, c)
	}
	for i := len(s); i < 8; i++ {
		b = append(b, ' ')
	}
	return b
}

// appendPadded writes n, 0 or more, with blanks before it to fill width.
func appendPadded(b []byte, n int64, width int) []byte {
	for limit := int64(10); width > 1; width-- {
		if n < limit {
			for ; width > 1; width-- {
				b = append(b, ' ')
			}
			break
		}
		limit *= 10
	}
	return strconv.AppendInt(b, n, 10)
}
