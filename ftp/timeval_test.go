package ftp

import (
	"errors"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	at := func(y int, m time.Month, d, h, mi, s, ns int) time.Time {
		return time.Date(y, m, d, h, mi, s, ns, time.UTC)
	}
	tests := []struct {
		in      string
		want    time.Time
		precise time.Duration
	}{
		{"20240229123456", at(2024, 2, 29, 12, 34, 56, 0), time.Second},
		{"00010101000000", at(1, 1, 1, 0, 0, 0, 0), time.Second},
		{"99991231235959", at(9999, 12, 31, 23, 59, 59, 0), time.Second},
		{"19980615100045.014", at(1998, 6, 15, 10, 0, 45, 14e6), time.Millisecond},
		{"20240101000000.5", at(2024, 1, 1, 0, 0, 0, 5e8), 100 * time.Millisecond},
		{"20240101000000.000000001", at(2024, 1, 1, 0, 0, 0, 1), time.Nanosecond},
		{"20240101000000.1234567899999", at(2024, 1, 1, 0, 0, 0, 123456789), time.Nanosecond},
		{"20161231235960", at(2017, 1, 1, 0, 0, 0, 0), time.Second},
		{"20161231235960.25", at(2017, 1, 1, 0, 0, 0, 25e7), 10 * time.Millisecond},
		{"191000101000000", at(2000, 1, 1, 0, 0, 0, 0), time.Second},
		{"191240229120000", at(2024, 2, 29, 12, 0, 0, 0), time.Second},
		{"19100101000000", at(1910, 1, 1, 0, 0, 0, 0), time.Second},
	}
	for _, tt := range tests {
		got, precise, err := ParseTime(tt.in)
		if err != nil || !got.Equal(tt.want) || precise != tt.precise || got.Location() != time.UTC {
			t.Errorf("%q: got %v, %v, %v; want %v, %v", tt.in, got, precise, err, tt.want, tt.precise)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, in := range []string{
		"", "2024", "202401010000", "2024010100000", "202401010000000", "20240101T00000",
		"20240230000000", "20230229000000", "19000229000000", "20240431000000", "20241301000000", "20240001000000",
		"20240100000000", "20240101240000", "20240101006000", "20240101000061", "20240101000000.", "20240101000000.x",
		"20240101000000,5", " 20240101000000", "20240101000000 ", "-0240101000000", "+20240101000000", "2024010100000０",
	} {
		if got, precise, err := ParseTime(in); !errors.Is(err, ErrSyntax) || !got.IsZero() || precise != 0 {
			t.Errorf("%q: got %v, %v, %v; want ErrSyntax", in, got, precise, err)
		}
	}
}

func TestFormatTime(t *testing.T) {
	east := time.FixedZone("east", 2*3600)
	tests := []struct {
		in   time.Time
		want string
	}{
		{time.Date(2024, 2, 29, 1, 2, 3, 999, east), "20240228230203"},
		{time.Date(2024, 12, 31, 23, 59, 59, 0, time.UTC), "20241231235959"},
		{time.Time{}, "00010101000000"},
		{time.Date(12345, 1, 2, 3, 4, 5, 0, time.UTC), "99990102030405"},
		{time.Date(-5, 1, 2, 3, 4, 5, 0, time.UTC), "00000102030405"},
	}
	for _, tt := range tests {
		if got := FormatTime(tt.in); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"20240229123456", "19980615100045.014", "20161231235960", "191240229120000", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, precise, err := ParseTime(s)
		if err != nil {
			return
		}
		if precise < 1 || precise > time.Second {
			t.Errorf("%q: precise to %v", s, precise)
		}
		again, _, err := ParseTime(FormatTime(got))
		if got.Year() <= 9999 && (err != nil || !again.Equal(got.Truncate(time.Second))) {
			t.Errorf("%q: %v, then %v, %v", s, got, again, err)
		}
	})
}
