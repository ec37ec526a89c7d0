package main

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0": 0, "0.5": 500 * time.Millisecond, "-1": -time.Second, "1m30s": 90 * time.Second, " 7 ": 7 * time.Second,
	} {
		if got, err := parseDuration(s); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "soon", "5 s", "NaN", "inf", "1e30", "0x10", "1_000", "5s5", "true"} {
		if got, err := parseDuration(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1500": 1500, "500k": 500e3, "1M": 1e6, "1.5MB": 15e5, "2GiB": 2 << 30, "2Gi": 2 << 30, "4KiB": 4096, "3b": 3, "1t": 1e12,
	} {
		if got, err := parseSize(s, 1000); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "-1", "NaN", "1e3", "1x", "1iB", "i", "1 M", "99999T", "0x10"} {
		if got, err := parseSize(s, 1000); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}
