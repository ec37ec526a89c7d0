package ftp

import (
	"strings"
	"time"
)

// date is a point in time in a line of a listing.
type date struct {
	time    time.Time
	precise time.Duration
	last    int        // the index of its last word; -1 if it cannot be distinguished from the name
	pad     int        // how many blanks may fill up its column, besides the one that separates columns
	year    yearColumn // the position of its year, if that shows the style of the listing
	doubt   ordered    // the possible orders, if the date is ambiguous
}

// date parses a date of ls at the i-th word: "Nov 22 1995", "22 Nov 12:30",
// "Nov 22 12:30:59 1995", "Nov 22, 1995 12:30", "1995-11-22 12:30", "11-22 12:30",
// "11 22 12:30", "24-04-2003 17:12", "11月 22日 1995年", "1995년 11월 22일".
func (p *ListParser) date(f *words, i int) (date, bool) {
	if isWeekday(f.word(i)) {
		i++
	}
	first, second := f.word(i), f.word(i+1)
	if first == "" || second == "" {
		return date{}, false
	}
	if month, ok := parseMonth(first); ok {
		if day, ok := parseDay(second); ok {
			return p.dateEnd(f, i+2, month, day)
		}
		return date{}, false
	}
	if !isDigit(first[0]) {
		return date{}, false
	}
	if day, ok := parseDay(first); ok {
		if month, ok := parseMonth(second); ok {
			return p.dateEnd(f, i+2, month, day)
		}
		return p.twoNumbers(f, i)
	}
	if year, ok := parseSignedYear(first); ok {
		return p.eastern(f, i, year)
	}
	return p.oneWord(f, i)
}

func isWeekday(s string) bool {
	switch s {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// dateEnd parses what follows month and day: a year, a time of day, or both.
func (p *ListParser) dateEnd(f *words, i, month, day int) (date, bool) {
	word := f.word(i)
	signed := strings.TrimSuffix(strings.TrimSuffix(word, "年"), "년")
	if year, ok := parseYear(signed); ok {
		return p.yearEnd(f, i, year, month, day)
	}
	c, ok := parseClock(word)
	if !ok {
		return date{}, false
	}
	if year, ok := parseYear(f.word(i + 1)); ok && c.precise == time.Second { // ls -T
		return p.at(year, month, day, c, i+1)
	}
	t, ok := p.thisYear(month, day, c)
	return date{time: t, precise: c.precise, last: i}, ok
}

// yearEnd parses a date whose year is the i-th word. ls writes the year in the column
// of the time of day, which is one character wider. If the year is right-aligned, there
// is a blank more before it; if it is left-aligned, there is one more after it. If the
// year has a column of its own, a time of day may follow.
func (p *ListParser) yearEnd(f *words, i, year, month, day int) (date, bool) {
	d, ok := p.at(year, month, day, clock{precise: 24 * time.Hour}, i)
	if f.gap(i-1) > 1 {
		d.year = yearRight
		return d, ok
	}
	comma := strings.HasSuffix(f.word(i-1), ",")
	if c, isClock := parseClock(f.word(i + 1)); isClock && f.gap(i) == 1 && len(f.word(i+1)) > len("0:00") {
		d, ok = p.at(year, month, day, c, i+1)
		if !comma { // no ls writes both year and time, so the time may also be a name
			d.year = yearClock
		}
		return d, ok
	}
	d.pad, d.year = 1, yearLeft
	return d, ok
}

// at returns an unambiguous date.
func (p *ListParser) at(year, month, day int, c clock, last int) (date, bool) {
	t, ok := makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
	return date{time: t.UTC(), precise: c.precise, last: last}, ok
}

// twoNumbers parses "3 29 12:30", with month and day as separate numbers.
func (p *ListParser) twoNumbers(f *words, i int) (date, bool) {
	a, ok1 := smallNumber(f.word(i))
	b, ok2 := smallNumber(f.word(i + 1))
	c, ok3 := parseClock(f.word(i + 2))
	if !ok1 || !ok2 || !ok3 || len(f.word(i)) > 2 || len(f.word(i+1)) > 2 {
		return date{}, false
	}
	d, ok := p.ambiguous(dateWord{n: [3]int{a, b}, parts: 2}, c, ordered{prefer: monthFirst, precise: c.precise})
	d.last = i + 2
	return d, ok
}

// parseSignedYear parses the year of "2005年 1月 6日". The sign is required.
func parseSignedYear(s string) (int, bool) {
	digits := strings.TrimSuffix(strings.TrimSuffix(s, "年"), "년")
	year, ok := parseYear(digits)
	return year, ok && digits != s
}

// eastern parses "2005年 1月 6日", with or without a time of day.
func (p *ListParser) eastern(f *words, i, year int) (date, bool) {
	month, ok1 := parseMonth(f.word(i + 1))
	day, ok2 := parseDay(f.word(i + 2))
	if !ok1 || !ok2 || !isDigit(f.word(i + 1)[0]) {
		return date{}, false
	}
	if c, ok := parseClock(f.word(i + 3)); ok && f.gap(i+2) == 1 {
		return p.at(year, month, day, c, i+3)
	}
	d, ok := p.at(year, month, day, clock{precise: 24 * time.Hour}, i+2)
	d.pad = 1
	return d, ok
}

// oneWord parses 2005-04-14, 24-04-2003 or 01-jun-99, with or without a time of day and
// a zone, and 04-14 with a time or a year.
func (p *ListParser) oneWord(f *words, i int) (date, bool) {
	w, ok := parseDateWord(f.word(i))
	if !ok {
		return date{}, false
	}
	prefer := monthFirst
	if w.separator == '.' {
		prefer = dayFirst
	}
	c, hasClock := parseClock(f.word(i + 1))
	if w.parts == 2 {
		if year, ok := parseYear(f.word(i + 1)); ok {
			w.n[2], w.digits[2], w.parts = year, 4, 3
			d, ok := p.dated(w, clock{}, prefer, false)
			d.last, d.pad = i+1, 1
			return d, ok
		}
		d, ok := p.dated(w, c, prefer, w.separator == '-') // ls --time-style=iso
		d.last = i + 1
		return d, ok && hasClock
	}
	if !hasClock {
		d, ok := p.dated(w, clock{}, prefer, w.separator == '.')
		if d.last, d.pad = i, 2; w.separator == '-' {
			d.pad = 1 // ls --time-style=iso leaves room for a time
		}
		return d, ok
	}
	d, ok := p.dated(w, c, prefer, w.separator == '.')
	d.last = i + 1
	if zone, isZone := parseZone(f.word(i + 2)); isZone {
		_, offset := time.Date(2000, 1, 1, 0, 0, 0, 0, zone).Zone()
		if !w.yearFirst() || c.precise > time.Second { // no ls writes a zone then: it may be a name
			d.last = -1
			return d, ok
		}
		t, ok := makeTime(w.n[0], w.n[1], w.n[2], c.hour, c.minute, c.second, time.UTC)
		d.time, d.last = t.Add(-time.Duration(offset)*time.Second), i+2
		return d, ok
	}
	if f.gap(i) > 1 { // a time of day, or a name after an empty column
		d.last = -1
	}
	return d, ok
}

// nameAfter returns the name that follows date d. One blank separates them, and more
// only if blanks may fill up the column of the date.
func (p *ListParser) nameAfter(f *words, d *date) (string, bool) {
	return p.nameIn(f.after(d.last), d.pad)
}

// nameIn returns the name in rest, the part of a line after a column that up to pad
// blanks may fill up.
func (p *ListParser) nameIn(rest string, pad int) (string, bool) {
	if len(rest) < 2 || !startsBlank(rest) {
		return "", false
	}
	rest = rest[1:]
	blanks := min(len(rest)-len(strings.TrimLeft(rest, " ")), pad)
	switch {
	case pad == 0 || p.seen.tight:
	case blanks == 0:
		p.line.tight = true
	default:
		p.line.pad = blanks
		rest = rest[blanks:]
	}
	return rest, rest != ""
}
