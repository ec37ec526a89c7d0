package ftp

import (
	"errors"
	"math"
	"strconv"
	"testing"
)

func TestParseOffset(t *testing.T) {
	tests := []struct {
		in   string
		want int64 // -1 means an error
	}{
		{"0", 0},
		{"1", 1},
		{"007", 7},
		{"9223372036854775807", math.MaxInt64},
		{"9223372036854775808", -1},
		{"99999999999999999999999", -1},
		{"", -1},
		{"-1", -1},
		{"+1", -1},
		{" 1", -1},
		{"1 ", -1},
		{"1.0", -1},
		{"0x10", -1},
		{"1_000", -1},
		{"1e3", -1},
		{"x", -1},
	}
	for _, tt := range tests {
		got, err := ParseOffset(tt.in)
		if tt.want < 0 {
			if !errors.Is(err, ErrSyntax) || got != 0 {
				t.Errorf("%q: got %d, %v; want ErrSyntax", tt.in, got, err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%q: got %d, %v; want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestSizeHint(t *testing.T) {
	tests := []struct {
		text string
		want int64 // -1 means no size
	}{
		{"Opening BINARY mode data connection for x (1234 bytes).", 1234},
		{"Opening BINARY mode data connection for a (5 bytes).txt (1234 bytes)", 1234},
		{"Opening data connection for x (0 bytes)", 0},
		{"Opening data connection for x (1 byte)", 1},
		{"Opening data connection (9223372036854775807 Bytes)", math.MaxInt64},
		{"x (12 bytes) (192.0.2.7,20)", 12},
		{"Opening data connection for /bin/ls (192.0.2.7,1042) (0 bytes)", 0},
		{"Opening data connection (9223372036854775808 bytes)", -1},
		{"Opening data connection (-5 bytes)", -1},
		{"Opening data connection ( bytes)", -1},
		{"Opening data connection (5)", -1},
		{"1234 bytes", -1},
		{"(", -1},
		{"", -1},
	}
	for _, tt := range tests {
		got, ok := SizeHint(tt.text)
		if ok != (tt.want >= 0) || ok && got != tt.want {
			t.Errorf("%q: got %d, %v; want %d", tt.text, got, ok, tt.want)
		}
	}
}

func FuzzParseOffset(f *testing.F) {
	for _, s := range []string{"0", "9223372036854775807", "-1", "00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseOffset(s)
		if err != nil {
			return
		}
		if again, err := ParseOffset(strconv.FormatInt(n, 10)); n < 0 || err != nil || again != n {
			t.Errorf("%q: %d, then %d, %v", s, n, again, err)
		}
	})
}

func FuzzSizeHint(f *testing.F) {
	for _, s := range []string{"for x (1234 bytes).", "((((", "(1 byte)(2 bytes)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := SizeHint(s); n < 0 || !ok && n != 0 {
			t.Errorf("%q: %d, %v", s, n, ok)
		}
	})
}
