package ftp_test

import (
	"testing"
	"time"

	"miniftp/ftp"
)

func TestEntryDiffers(t *testing.T) {
	at := time.Date(2026, 11, 29, 13, 14, 15, 600_000_000, time.UTC)
	full := ftp.Entry{Size: 5, Modified: at, Precise: time.Millisecond, Unique: "1"}
	for _, tt := range []struct {
		what  string
		other ftp.Entry
		want  bool
	}{
		{"itself", full, false},
		{"nothing known", ftp.Entry{Size: -1}, false},
		{"size", ftp.Entry{Size: 6}, true},
		{"unique", ftp.Entry{Size: -1, Unique: "2"}, true},
		{"time", ftp.Entry{Size: 5, Modified: at.Add(time.Second)}, true},
		{"the same second", ftp.Entry{Size: 5, Modified: at.Truncate(time.Second)}, false},
		{"the same minute", ftp.Entry{Size: 5, Modified: at.Truncate(time.Minute), Precise: time.Minute}, false},
		{"another minute", ftp.Entry{Size: 5, Modified: at.Add(time.Minute), Precise: time.Minute}, true},
	} {
		if a, b := full.Differs(tt.other), tt.other.Differs(full); a != tt.want || b != tt.want {
			t.Errorf("%s: %v and %v", tt.what, a, b)
		}
	}
}
