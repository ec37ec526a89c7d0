package ftp

import (
	"strings"
	"time"
	"unicode/utf8"
)

// date is a point in time as a listing tells it, and its last word.
type date struct {
	time    time.Time
	precise time.Duration
	last    int
}

// date finds one of ls's dates at the i-th word: "Nov 22 1995", "22 Nov 12:30",
// "Nov 22 12:30:59 1995", "1995-11-22 12:30", "11-22 12:30", "11月 22日 1995年".
func (p *ListParser) date(f *words, i int) (date, bool) {
	first, second := f.word(i), f.word(i+1)
	if month, ok := parseMonth(first); ok {
		if day, ok := parseDay(second); ok {
			return p.dateEnd(f, i+2, month, day)
		}
		return date{}, false
	}
	if day, ok := parseDay(first); ok && second != "" {
		if month, ok := parseMonth(second); ok {
			return p.dateEnd(f, i+2, month, day)
		}
	}
	return p.isoDate(f, i)
}

// dateEnd reads what follows month and day: a year, a time of day, or both.
func (p *ListParser) dateEnd(f *words, i, month, day int) (date, bool) {
	word := strings.TrimSuffix(f.word(i), "年")
	if year, ok := parseYear(word); ok {
		t, ok := makeTime(year, month, day, 0, 0, 0, p.location())
		return date{t.UTC(), 24 * time.Hour, i}, ok
	}
	c, ok := parseClock(word)
	if !ok {
		return date{}, false
	}
	if year, ok := parseYear(f.word(i + 1)); ok && c.precise == time.Second { // ls -T
		t, ok := makeTime(year, month, day, c.hour, c.minute, c.second, p.location())
		return date{t.UTC(), c.precise, i + 1}, ok
	}
	t, ok := p.thisYear(month, day, c)
	return date{t, c.precise, i}, ok
}

// isoDate reads 2005-04-14, with or without a time and a zone, and 04-14 12:30.
func (p *ListParser) isoDate(f *words, i int) (date, bool) {
	word := f.word(i)
	c, hasClock := parseClock(f.word(i + 1))
	if len(word) == 5 && word[2] == '-' && hasClock {
		month, ok1 := smallNumber(word[:2])
		day, ok2 := smallNumber(word[3:])
		t, ok3 := p.thisYear(month, day, c)
		return date{t, c.precise, i + 1}, ok1 && ok2 && ok3
	}
	if len(word) != 10 || word[4] != '-' || word[7] != '-' {
		return date{}, false
	}
	year, ok1 := smallNumber(word[:4])
	month, ok2 := smallNumber(word[5:7])
	day, ok3 := smallNumber(word[8:])
	d, loc := date{precise: 24 * time.Hour, last: i}, p.location()
	if hasClock {
		d.precise, d.last = c.precise, i+1
		if zone, ok := parseZone(f.word(i + 2)); ok {
			loc, d.last = zone, i+2
		}
	}
	t, ok4 := makeTime(year, month, day, c.hour, c.minute, c.second, loc)
	d.time = t.UTC()
	return d, ok1 && ok2 && ok3 && ok4
}

// thisYear finds the year of a date that has none: the last in which the date
// is not later than tomorrow, for clocks differ. A leap day goes back to the last leap year.
func (p *ListParser) thisYear(month, day int, c clock) (time.Time, bool) {
	latest := p.now().Add(24 * time.Hour)
	year := latest.In(p.location()).Year()
	for back := range 9 { // there are 8 years between 1896 and 1904
		t, ok := makeTime(year-back, month, day, c.hour, c.minute, c.second, p.location())
		if ok && !t.After(latest) {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// clock is a time of day.
type clock struct {
	hour, minute, second int
	precise              time.Duration
}

// parseClock reads 9:05, 09.05, 12:30:59 and 12:30:59.000000000.
func parseClock(s string) (c clock, ok bool) {
	if len(s) < 4 || !isDigit(s[0]) {
		return clock{}, false
	}
	i := 1
	if isDigit(s[1]) {
		i = 2
	}
	if len(s) < i+3 || s[i] != ':' && s[i] != '.' {
		return clock{}, false
	}
	var ok1, ok2 bool
	c.hour, ok1 = smallNumber(s[:i])
	c.minute, ok2 = smallNumber(s[i+1 : i+3])
	c.precise = time.Minute
	if rest := s[i+3:]; rest != "" {
		whole, fraction, _ := strings.Cut(rest[1:], ".")
		_, _, fits := parseFraction(fraction)
		c.second, ok = smallNumber(whole)
		if !ok || rest[0] != s[i] || len(whole) != 2 || fraction != "" && !fits {
			return clock{}, false
		}
		c.precise = time.Second
	}
	if !ok1 || !ok2 {
		return clock{}, false
	}
	return c, true // makeTime looks at the ranges
}

// parseYear reads the four digits of a year.
func parseYear(s string) (int, bool) {
	n, ok := smallNumber(s)
	return n, ok && len(s) == 4 && n >= 1900
}

// parseDay reads a day of the month: 7, 07, "7." and "7日".
func parseDay(s string) (int, bool) {
	if s == "" || !isDigit(s[0]) {
		return 0, false
	}
	if len(s) > 2 {
		s = strings.TrimRight(s, ".,")
		s = strings.TrimSuffix(strings.TrimSuffix(s, "日"), "일")
	}
	n, ok := smallNumber(strings.TrimSuffix(s, "."))
	return n, ok && n >= 1 && n <= 31
}

// parseZone reads +0200.
func parseZone(s string) (*time.Location, bool) {
	if len(s) != 5 || s[0] != '+' && s[0] != '-' {
		return nil, false
	}
	n, ok := smallNumber(s[1:])
	if !ok || n%100 > 59 || n > 1500 {
		return nil, false
	}
	offset := (n/100*60 + n%100) * 60
	if s[0] == '-' {
		offset = -offset
	}
	return time.FixedZone("", offset), true
}

// parseMonth reads the name of a month in the languages of the table, in UTF-8
// or Latin-1, or a number with the sign for month behind it.
func parseMonth(s string) (int, bool) {
	s = strings.TrimRight(s, ".,")
	if len(s) == 3 { // English needs no look into the table
		for i := 0; i < len(monthNames); i += 3 {
			if strings.EqualFold(s, monthNames[i:i+3]) {
				return i/3 + 1, true
			}
		}
	}
	if len(s) < 2 || len(s) > 24 {
		return 0, false
	}
	if isDigit(s[0]) {
		digits := strings.TrimSuffix(strings.TrimSuffix(s, "月"), "월")
		n, ok := smallNumber(digits)
		return n, ok && digits != s && n >= 1 && n <= 12
	}
	if !utf8.ValidString(s) {
		runes := make([]rune, 0, len(s))
		for i := range len(s) {
			runes = append(runes, rune(s[i]))
		}
		s = string(runes)
	}
	n, ok := months[strings.ToLower(s)]
	return n, ok
}

// monthWords are what ls prints for the months in languages other than English,
// one line a month; the last words of a line are whole names.
var monthWords = [12]string{
	"ene gen tammi janv jän oca led sty янв січ ian января january januar januari janvier enero gennaio janeiro",
	"fév févr febr fev şub úno lut фев февр лют helmi februari februar february février febrero febbraio fevereiro",
	"mär märz mrz mars mrt márc bře mart мар мар марта бер maalis march marzo março maart",
	"abr avr avril ápr dub kwi nis апр кві huhti april abril aprile",
	"mai mag mei maj máj kvě май мая тра touko mayo maggio maio",
	"giu juin jún čen cze haz июн июня чер kesä june juni junio giugno junho",
	"lug juil jui júl čec lip tem июл июля лип heinä july juli julio luglio julho juillet",
	"ago aoû août sie srp ağu авг сер elo augusti august augustus agosto",
	"set sept szept wrz zář eyl сен сент вер syys september septembre septiembre settembre setembro",
	"okt ott out paź pa¼ říj eki окт жов loka october oktober octubre ottobre outubro octobre",
	"noi kas ноя нояб лис lis marras november novembre noviembre novembro",
	"dic dez déc des gru pro ara дек гру груд joulu december dezember décembre diciembre dicembre dezembro",
}

var months = func() map[string]int {
	m := map[string]int{}
	for i, line := range monthWords {
		for word := range strings.FieldsSeq(line) {
			m[word] = i + 1
		}
	}
	return m
}()
