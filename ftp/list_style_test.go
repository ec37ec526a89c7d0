package ftp

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// listed parses a listing. It returns the names with their dates, with "?" for an unreadable
// line, and for each of them the number of lines that had been read when it was yielded.
func listed(t *testing.T, lines []string) (got []string, at []int) {
	t.Helper()
	read := 0
	p := ListParser{Now: listNow}
	for e, err := range p.Entries(func(yield func(string) bool) {
		for _, line := range lines {
			if read++; !yield(line) {
				return
			}
		}
	}) {
		at = append(at, read)
		if err != nil {
			if !errors.As(err, new(*LineError)) {
				t.Error(err)
			}
			got = append(got, "?")
			continue
		}
		got = append(got, e.Name+" "+e.Modified.Format(time.DateOnly))
	}
	return got, at
}

func TestEntries(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []string
		at    []int
	}{
		{
			"nothing is in doubt",
			[]string{"-rw-r--r-- 1 a b 3 Jan  1  2000 x", "?", "total 3", "2003-06-05  15:19 5 y"},
			[]string{"x 2000-01-01", "?", "y 2003-06-05"},
			[]int{1, 2, 4},
		},
		{
			"a later line decides the order",
			[]string{"05/06/03 15:19 5 x", "?", "06/06/06 15:19 5 same", "05/13/03 15:19 5 y", "05/06/03 15:19 5 z"},
			[]string{"x 2003-05-06", "?", "same 2006-06-06", "y 2003-05-13", "z 2003-05-06"},
			[]int{4, 4, 4, 4, 5},
		},
		{
			"the other order",
			[]string{"05/06/03 15:19 5 x", "31/05/03 15:19 5 y"},
			[]string{"x 2003-06-05", "y 2003-05-31"},
			[]int{2, 2},
		},
		{
			"no order fits all",
			[]string{"05/06/03 15:19 5 x", "31/05/03 15:19 5 y", "05/13/03 15:19 5 z", "05/06/03 15:19 5 u"},
			[]string{"x 2003-06-05", "y 2003-05-31", "z 2003-05-13", "u 2003-05-06"},
			[]int{2, 2, 3, 4},
		},
		{
			"the end decides",
			[]string{"05/06/03 15:19 5 x", "05/06/03 15:19 5 y"},
			[]string{"x 2003-05-06", "y 2003-05-06"},
			[]int{2, 2},
		},
		{
			"a leading blank",
			[]string{"-rw-r--r-- 1 a b 3 Jan 1 2000  x", "lrwxrwxrwx 1 a b 3 Jan 1 2000  l -> abc", "-rw-r--r-- 1 a b 3 Jan 1 2000 y"},
			[]string{" x 2000-01-01", " l 2000-01-01", "y 2000-01-01"},
			[]int{3, 3, 3},
		},
		{
			"a cut entry",
			[]string{"A.TXT;2 1 29-JAN-1996 03:33", "A.TXT;1 1 28-JAN-1996 03:33", "B.TXT;1 1 28-JAN-1996 03:33", "C.TXT;1"},
			[]string{"A.TXT 1996-01-29", "B.TXT 1996-01-28", "?"},
			[]int{1, 3, 4},
		},
	}
	for _, tt := range tests {
		if got, at := listed(t, tt.lines); !slices.Equal(got, tt.want) || !slices.Equal(at, tt.at) {
			t.Errorf("%s:\n got %q, %v\nwant %q, %v", tt.name, got, at, tt.want, tt.at)
		}
	}
}

// TestEntriesKeepsLittle checks that Entries holds back only a limited number of lines of a
// listing that does not show its style. A line that contradicts names already yielded is an error.
func TestEntriesKeepsLittle(t *testing.T) {
	var lines []string
	for n := range 5000 {
		lines = append(lines, fmt.Sprintf("-rw-r--r-- 1 a b 3 Jan 1 2000  x%d", n))
	}
	lines = append(lines, "-rw-r--r-- 1 a b 3 Jan 1 2000 late")
	got, at := listed(t, lines)
	if len(got) != len(lines) || at[0] > 1000 || at[4000] != 4001 || got[0] != "x0 2000-01-01" || got[5000] != "?" {
		t.Errorf("%d entries, the first after %d lines, the 4001st after %d, the last %q", len(got), at[0], at[4000], got[5000])
	}
}

func TestEntriesStopsEarly(t *testing.T) {
	p := ListParser{Now: listNow}
	n := 0
	for range p.Entries(func(yield func(string) bool) {
		for n < 10 {
			if n++; !yield("-rw-r--r-- 1 a b 3 Jan  1  2000 x") {
				return
			}
		}
	}) {
		break
	}
	if n != 1 {
		t.Errorf("%d lines were read", n)
	}
	held := []string{"05/06/03 15:19 5 x", "05/06/03 15:19 5 y"}
	for e := range p.Entries(slices.Values(held)) {
		if e.Name != "x" {
			t.Errorf("got %q after the break", e.Name)
		}
		break
	}
}

// TestPrecise checks that Precise covers the possible error of an ambiguous date, in both directions.
func TestPrecise(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"06-05-03  03:19PM 5 x": time.Minute, // IIS writes the month first
		"06-05-03  15:19 5 x":   1063*day + time.Minute,
		"06.05.2003  15:19 5 x": time.Minute, // with dots the day is first
		"06/05/2003  15:19 5 x": 30*day + time.Minute,
		"06/06/2003  15:19 5 x": time.Minute,
		"06/13/2003  15:19 5 x": time.Minute,
		"2003/06/05  15:19 5 x": time.Minute,
	} {
		p := ListParser{Now: utc(2044, 1, 1, 0, 0, 0)}
		if e, ok, err := p.Parse(line); !ok || err != nil || e.Precise != want {
			t.Errorf("%q: %v, %v, %v; want %v", line, e.Precise, ok, err, want)
		}
	}
}

func TestListAllocatesNothing(t *testing.T) {
	for _, line := range []string{
		"-rw-r--r--   1 alice    staff           3 May 10 12:30 x",
		"drwxr-xr-x   2 alice    staff         512 Jan  1  2000 d",
		"06-25-03  03:19PM                 1973 readme.txt",
		"06-05-03  03:19PM                 1973 readme.txt",
		"-rw-r--r--   1 alice    staff           3 2024-05-10 12:30 x",
	} {
		p := ListParser{Now: listNow}
		if n := testing.AllocsPerRun(100, func() { _, _, _ = p.Parse(line) }); n != 0 {
			t.Errorf("%q: %v allocations", line, n)
		}
	}
}
