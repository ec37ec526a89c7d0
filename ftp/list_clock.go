package ftp

import (
	"strings"
	"time"
)

// clock is a time of day.
type clock struct {
	hour, minute, second int
	precise              time.Duration
}

// parseClock parses 9:05, 09.05, 12:30:59 and 12:30:59.000000000, and 0:0, which
// some embedded systems write.
func parseClock(s string) (c clock, ok bool) {
	if len(s) < 3 || !isDigit(s[0]) {
		return clock{}, false
	}
	i := 1
	if isDigit(s[1]) {
		i = 2
	}
	if len(s) == i+2 && s[i] == ':' && isDigit(s[i+1]) {
		c.hour, ok = smallNumber(s[:i])
		c.minute, c.precise = int(s[i+1]-'0'), time.Minute
		return c, ok
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
	return c, true // makeTime checks the ranges
}

// firstYear is the earliest year of a file's time. Windows counts from 1601.
const firstYear = 1601

// parseYear parses a year of four digits.
func parseYear(s string) (int, bool) {
	n, ok := smallNumber(s)
	return n, ok && len(s) == 4 && n >= firstYear
}

// parseDay parses a day of the month: 7, 07, "7.", "7," or "7日".
func parseDay(s string) (int, bool) {
	if s == "" || !isDigit(s[0]) {
		return 0, false
	}
	s = strings.TrimRight(s, ".,")
	n, ok := smallNumber(strings.TrimSuffix(strings.TrimSuffix(s, "日"), "일"))
	return n, ok && n >= 1 && n <= 31
}

// parseZone parses an offset such as +0200.
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

// fullYear returns the full year for a year of two digits, or for a number of years since 1900.
func fullYear(n, digits int) int {
	switch {
	case digits > 3:
		return n
	case n < 70:
		return 2000 + n
	}
	return 1900 + n
}
