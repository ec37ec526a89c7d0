package ftp

import (
	"strings"
	"time"
)

// dateWord is a date in one word: 06-05-03, 16.01.2002, 1999/10/12, 05-10,
// 29-JAN-1996.
type dateWord struct {
	n         [3]int // the numbers in the order in which they are written
	digits    [3]int // the number of digits of each
	parts     int    // three, or two if the year is missing
	month     int    // if the middle part is the name of a month; else 0
	separator byte   // '-', '/' or '.'
}

func parseDateWord(s string) (w dateWord, ok bool) {
	if len(s) < 5 || len(s) > 32 || !isDigit(s[0]) {
		return w, false
	}
	i := strings.IndexAny(s, "-/.")
	if i < 0 {
		return w, false
	}
	w.separator = s[i]
	for rest := s; w.parts < 3; w.parts++ {
		part, after, more := strings.Cut(rest, s[i:i+1])
		n, ok := smallNumber(part)
		if !ok && w.parts == 1 {
			n, ok = parseMonth(part)
			w.month = n
		}
		if !ok || len(part) > 4 && (w.month == 0 || w.parts != 1) {
			return w, false
		}
		w.n[w.parts], w.digits[w.parts] = n, len(part)
		if rest = after; !more {
			w.parts++
			return w, w.fits()
		}
	}
	return w, false // there is a fourth part
}

// fits reports whether the parts have as many digits as those of a date.
func (w *dateWord) fits() bool {
	first, last := w.digits[0], w.digits[2]
	switch {
	case w.parts == 2: // 12.30 is a time, or a size
		return w.month == 0 && first == 2 && w.digits[1] == 2 && w.separator != '.'
	case w.parts != 3 || w.month == 0 && w.digits[1] > 2:
		return false
	case first == 4:
		return last <= 2 && w.n[0] >= firstYear
	}
	return first <= 2 && last >= 2 && (last < 4 || w.n[2] >= firstYear)
}

// yearFirst reports whether the first part has four digits and so must be the year.
func (w *dateWord) yearFirst() bool { return w.digits[0] == 4 }

// dated returns the date for a word and a time of day. If the order of year, month
// and day is ambiguous, it is prefer, unless the listing shows another order. If
// usual is set, the result is then not marked as imprecise; see ordered.
func (p *ListParser) dated(w dateWord, c clock, prefer order, usual bool) (d date, ok bool) {
	d.precise = c.precise
	if c.precise == 0 {
		d.precise = 24 * time.Hour
	}
	at := func(year, month, day int) (time.Time, bool) {
		return makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
	}
	var t time.Time
	switch {
	case w.yearFirst():
		t, ok = at(w.n[0], w.n[1], w.n[2])
	case w.month != 0:
		t, ok = at(fullYear(w.n[2], w.digits[2]), w.month, w.n[0])
	default:
		return p.ambiguous(w, c, ordered{prefer: prefer, usual: usual, precise: d.precise})
	}
	d.time = t.UTC()
	return d, ok
}

// ambiguous finds all orders of year, month and day in which w is a date. Orders that
// give a date after tomorrow count only if there are no others.
func (p *ListParser) ambiguous(w dateWord, c clock, o ordered) (d date, ok bool) {
	latest := p.now().Add(24 * time.Hour)
	var future order
	for i, numbers := range [...][3]int{{2, 0, 1}, {2, 1, 0}, {0, 1, 2}} { // monthFirst, dayFirst, yearFirst
		var t time.Time
		y, m, day := numbers[0], numbers[1], numbers[2]
		switch {
		case w.parts == 2 && i == 2, w.parts == 3 && w.digits[y] < 2:
			continue
		case w.parts == 2:
			t, ok = p.thisYear(w.n[m], w.n[day], c)
		case w.digits[m] > 2 || w.digits[day] > 2:
			continue
		default:
			t, ok = makeTime(fullYear(w.n[y], w.digits[y]), w.n[m], w.n[day], c.hour, c.minute, c.second, p.location())
		}
		if !ok {
			continue
		}
		o.times[i] = t.Unix()
		o.orders |= 1 << i
		if t.After(latest) {
			future |= 1 << i
		}
	}
	if past := o.orders &^ future; past != 0 {
		o.orders = past
	}
	if o.orders == 0 {
		return d, false
	}
	d.time, d.precise = o.choose(&style{})
	if d.precise > o.precise || o.usual || o.orders&(o.orders-1) == 0 {
		d.doubt = o // unless all orders give the same date
	}
	return d, true
}

// thisYear returns the time for a date without a year. The year is the latest in which
// the date is not after tomorrow; the extra day allows for clocks that differ. For
// February 29 it is the latest leap year.
func (p *ListParser) thisYear(month, day int, c clock) (time.Time, bool) {
	latest := p.now().Add(24 * time.Hour)
	year := latest.In(p.location()).Year()
	for back := range 9 { // leap years can be 8 years apart: 1896 and 1904
		t, ok := makeTime(year-back, month, day, c.hour, c.minute, c.second, p.location())
		if ok && !t.After(latest) {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
