package ftp

import (
	"io/fs"
	"testing"
	"time"
)

func TestAppendList(t *testing.T) {
	now := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)
	recent := time.Date(2024, 2, 29, 9, 5, 59, 0, time.UTC)
	old := time.Date(2023, 11, 3, 9, 5, 0, 0, time.UTC)
	tests := []struct {
		entry Entry
		want  string
	}{
		{
			Entry{Name: "f", Type: FileEntry, Size: 1234, Modified: recent, Mode: 0o644, HasMode: true, Links: 1, Owner: "alice", Group: "staff"},
			"-rw-r--r--   1 alice    staff            1234 Feb 29 09:05 f",
		},
		{
			Entry{Name: " d ", Type: DirEntry, Size: 4096, Modified: old, Mode: 0o750, HasMode: true, Links: 12345, Owner: "averylongname", Group: "g"},
			"drwxr-x--- 12345 averylongname g                4096 Nov  3  2023  d ",
		},
		{
			Entry{Name: "l", Type: LinkEntry, Size: 4, Modified: recent, Target: "../x y"},
			"lrwxrwxrwx   1 ftp      ftp                 4 Feb 29 09:05 l -> ../x y",
		},
		{
			Entry{Name: "tmp", Type: DirEntry, Size: -1, Modified: recent, Mode: 0o777 | fs.ModeSticky, HasMode: true},
			"drwxrwxrwt   1 ftp      ftp                 0 Feb 29 09:05 tmp",
		},
		{
			Entry{Name: "su", Type: FileEntry, Size: 1, Modified: recent, Mode: 0o755 | fs.ModeSetuid | fs.ModeSetgid, HasMode: true},
			"-rwsr-sr-x   1 ftp      ftp                 1 Feb 29 09:05 su",
		},
		{
			Entry{Name: "odd", Type: FileEntry, Size: 1, Modified: recent, Mode: fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, HasMode: true},
			"---S--S--T   1 ftp      ftp                 1 Feb 29 09:05 odd",
		},
		{Entry{Name: ".", Type: CDirEntry, Modified: recent}, "drwxr-xr-x   1 ftp      ftp                 0 Feb 29 09:05 ."},
		{
			Entry{Name: "big", Type: FileEntry, Size: 1<<63 - 1, Modified: recent, Owner: "a b", Group: "c\nd"},
			"-rw-r--r--   1 a_b      c_d      9223372036854775807 Feb 29 09:05 big",
		},
		{
			Entry{Name: "p", Type: OtherEntry, Mode: fs.ModeNamedPipe | 0o600, HasMode: true, Modified: recent},
			"prw-------   1 ftp      ftp                 0 Feb 29 09:05 p",
		},
		{Entry{Name: "s", Type: OtherEntry, Mode: fs.ModeSocket, HasMode: true}, "s---------   1 ftp      ftp                 0 Jan  1  1970 s"},
		{Entry{Name: "c", Type: OtherEntry, Mode: fs.ModeDevice | fs.ModeCharDevice, HasMode: true}, "c---------   1 ftp      ftp                 0 Jan  1  1970 c"},
		{Entry{Name: "b", Type: OtherEntry, Mode: fs.ModeDevice, HasMode: true}, "b---------   1 ftp      ftp                 0 Jan  1  1970 b"},
		{Entry{Name: "l", Type: LinkEntry, Target: "x\ny", Modified: recent}, "lrwxrwxrwx   1 ftp      ftp                 0 Feb 29 09:05 l"},
		{Entry{Name: "a\nb"}, ""},
		{Entry{Name: ""}, ""},
	}
	for _, tt := range tests {
		if got := string(AppendList([]byte("|"), &tt.entry, now)); got != "|"+tt.want {
			t.Errorf("got  %q\nwant %q", got, "|"+tt.want)
		}
	}
}

func TestAppendListTime(t *testing.T) {
	now := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		at   time.Time
		want string
	}{
		{now, "Jul  1 12:00"},
		{now.Add(time.Second), "Jul  1  2024"}, // in the future
		{now.Add(-182 * 24 * time.Hour), "Jan  1 12:00"},
		{now.Add(-halfYear), "Dec 31  2023"},
		{now.Add(1 - halfYear), "Dec 31 21:05"},
		{now.In(time.FixedZone("east", 14*3600)), "Jul  1 12:00"},
		{time.Date(12345, 1, 2, 0, 0, 0, 0, time.UTC), "Jan  2  9999"},
		{time.Date(-5, 1, 2, 0, 0, 0, 0, time.UTC), "Jan  2  0000"},
		{time.Time{}, "Jan  1  1970"},
	}
	for _, tt := range tests {
		if got := string(appendListTime(nil, tt.at, now)); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.at, got, tt.want)
		}
	}
}

func TestAppendListAllocatesNothing(t *testing.T) {
	b, e, now := make([]byte, 0, 512), fullEntry, time.Now()
	if n := testing.AllocsPerRun(100, func() { b = AppendList(b[:0], &e, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendList(b *testing.B) {
	buf, e, now := make([]byte, 0, 512), fullEntry, time.Now()
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendList(buf[:0], &e, now)
	}
}
