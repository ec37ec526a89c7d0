package flags

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0": 0, "0.5": 500 * time.Millisecond, "-1": -time.Second, "1m30s": 90 * time.Second, " 7 ": 7 * time.Second,
	} {
		if got, err := ParseDuration(s); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "soon", "5 s", "NaN", "inf", "1e30", "0x10", "1_000", "5s5", "true"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1500": 1500, "500k": 500e3, "1M": 1e6, "1.5MB": 15e5, "2GiB": 2 << 30, "2Gi": 2 << 30, "4KiB": 4096, "3b": 3, "1t": 1e12,
	} {
		if got, err := ParseSize(s, 1000); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "-1", "NaN", "1e3", "1x", "1iB", "i", "1 M", "99999T", "0x10"} {
		if got, err := ParseSize(s, 1000); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

// Numbers of the command line: bounded, or refused.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"1-2", "40000-40100", "0-1", "9-1", "1.5M", "-1", "1e30G", "NaN", "k", "65536-65537"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ByteRate("--rate", s); err == nil && (n < 0 || n > 1e15) {
			t.Errorf("--rate %q is %d", s, n)
		}
		if r, err := PortRange("--passive-ports", s); err == nil && (r[0] > r[1] || s != "" && r[0] == 0) {
			t.Errorf("--passive-ports %q is %v", s, r)
		}
	})
}
