package ftp

import (
	"fmt"
	"strings"
	"time"
)

// ParseTime parses a time-val, YYYYMMDDHHMMSS with an optional fraction, in UTC
// (RFC 3659 §2.3). precise is the precision of t: a second, or the unit of the last
// digit of the fraction. A leap second becomes the first second of the next minute. Some
// servers write 19 and then the number of years since 1900 ("19125…" for 2025);
// ParseTime accepts that.
func ParseTime(s string) (t time.Time, precise time.Duration, err error) {
	digits, fraction, hasFraction := strings.Cut(s, ".")
	if len(digits) == 15 && strings.HasPrefix(digits, "191") {
		digits = "20" + digits[3:]
	}
	var v [6]int // year, month, day, hour, minute, second
	ok := len(digits) == 14
	for i := 0; ok && i < len(v); i++ {
		from, to := 2+2*i, 4+2*i
		if i == 0 {
			from = 0
		}
		v[i], ok = smallNumber(digits[from:to])
	}
	nanos, precise := 0, time.Second
	if ok && hasFraction {
		nanos, precise, ok = parseFraction(fraction)
	}
	if ok {
		t, ok = makeTime(v[0], v[1], v[2], v[3], v[4], min(v[5], 59), time.UTC)
	}
	if !ok || v[3] > 23 || v[5] > 60 {
		return time.Time{}, 0, fmt.Errorf("%w: %q is not YYYYMMDDHHMMSS", ErrSyntax, clipText(s))
	}
	if v[5] == 60 {
		t = t.Add(time.Second)
	}
	return t.Add(time.Duration(nanos)), precise, nil
}

// FormatTime returns t as a time-val in UTC, truncated to the second. A year that
// does not fit in four digits becomes the nearest that does.
func FormatTime(t time.Time) string {
	return string(appendTime(make([]byte, 0, 14), t))
}

func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	year = max(0, min(year, 9999))
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = appendTwo(appendTwo(b, int(month)), day)
	return appendTwo(appendTwo(appendTwo(b, hour), minute), second)
}

func appendTwo(b []byte, n int) []byte {
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

// parseFraction parses the digits after the point. Digits beyond the nanosecond
// are ignored.
func parseFraction(s string) (nanos int, precise time.Duration, ok bool) {
	precise = time.Second
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, 0, false
		}
		if i < 9 {
			precise /= 10
			nanos += int(s[i]-'0') * int(precise)
		}
	}
	return nanos, precise, s != ""
}

// smallNumber parses a number of one to eight digits.
func smallNumber(s string) (n int, ok bool) {
	if s == "" || len(s) > 8 {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// makeTime is like time.Date, but ok is false for a date or a time of day that does
// not exist, which time.Date would normalize. 24:00 is accepted as the end of the day.
func makeTime(year, month, day, hour, minute, second int, loc *time.Location) (time.Time, bool) {
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 24 || minute > 59 || second > 59 || hour == 24 && minute+second > 0 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, loc), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
