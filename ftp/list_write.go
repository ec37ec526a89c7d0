package ftp

import (
	"io/fs"
	"strconv"
	"time"
)

// halfYear is the age from which ls shows the year instead of the time of day: half of
// the mean Gregorian year.
const halfYear = 31556952 * time.Second / 2

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// AppendList appends e to b as ls -l would write it, without a line ending. The time
// is in UTC. Like ls, AppendList writes the year instead of the time of day if the
// time is more than half a year ago, or later than now. It does not allocate if b has
// room. If the name contains a CR, LF or NUL, which no line can hold, b is returned
// unchanged.
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

// appendMode appends type and permissions as ls writes them. fs.FileMode.String uses other letters.
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

// setSpecial replaces x by s or t, and a hyphen by S or T, if on.
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

// appendListTime appends "Mmm dd HH:MM" or "Mmm dd  yyyy".
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

// appendWord appends an owner or a group as one word, with blanks up to a width of eight.
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

// appendPadded appends n, which must not be negative, with blanks before it up to width.
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
