package ftp

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// listNow is the current time in these tests.
var listNow = time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// utc returns a time in UTC.
func utc(y int, m time.Month, d, h, mi, s int) time.Time {
	return time.Date(y, m, d, h, mi, s, 0, time.UTC)
}

type listTest struct {
	line string
	want Entry
}

// checkLines parses each line with a new parser.
func checkLines(t *testing.T, tests []listTest) {
	t.Helper()
	for _, tt := range tests {
		p := ListParser{Now: listNow}
		if got, ok, err := p.Parse(tt.line); err != nil || !ok || got != tt.want {
			t.Errorf("%q:\n got %+v, %v, %v\nwant %+v", tt.line, got, ok, err, tt.want)
		}
		if err := p.End(); err != nil {
			t.Errorf("%q: %v at the end", tt.line, err)
		}
	}
}

func TestListNoEntry(t *testing.T) {
	for _, line := range []string{
		"", " ", "\t\r\n", "total 12", "total 0", "Total 12", "total 1.2M", "insgesamt 12", "totale 3", "итого 7", "yhteensä 1",
		"Directory DISK$USER:[ANON]", "Directory SYS$COMMON:[FTP.PUB] ", "Total of 3 files, 10 blocks.", "Grand total of 2 directories, 5 files, 9/9 blocks.",
		"Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname",
		" Name     VV.MM   Created       Changed      Size  Init   Mod   Id",
		" Name      Size     TTR   Alias-of AC --------- Attributes --------- Amode Rmode",
		"./sub dir:", "/pub:", "sub:",
	} {
		p := ListParser{Now: listNow}
		if e, ok, err := p.Parse(line); ok || err != nil || e.Name != "" {
			t.Errorf("%q: got %+v, %v, %v; want nothing", line, e, ok, err)
		}
	}
}

func TestListUnreadable(t *testing.T) {
	for _, line := range []string{
		"README", "some words that mean nothing", "ls: no such file or directory", "total", "total much",
		"-rw-r--r--", "-rw-r--r-- ", "-rw-r--r-- 1 a b 3", "-rw-r--r-- 1 a b 3 Jan 1 2024", "-rw-r--r-- 1 a b 3 Jan 1 2024 ",
		"-rw-r--r-- 1 a b 3 Smarch 1 2024 x", "-rw-r--r-- 1 a b 3 Jan 32 2024 x", "-rw-r--r-- 1 a b 3 Feb 30 2024 x",
		"-rw-r--r-- 1 a b 3 Jan 1 25:00 x", "-rw-r--r-- 1 a b 3 Jan 1 12:60 x", "-rw-r--r-- 1 a b 3 Jan 1 24:01 x",
		"-rw-r--r-- 1 a b 3 Jan 1 12:3x x", "-rw-r--r-- 1 a b 3 Jan 1 12:30:5 x", "-rw-r--r-- 1 a b 3 Jan 1 12:30.59 x", "-rw-r--r-- 1 a b 3 Jan 1 12-30 x",
		"drwxr-xr-x 2 a b Jan", "drwxr-xr-x 2 a b Jan 1", "drwxr-xr-x 2 a b 2024-02-30 x",
		"xrw-r--r-- 1 a b 3 Jan 1 2024 x", "-rwzr--r-- 1 a b 3 Jan 1 2024 x", "-rw-r--r--? 1 a b 3 Jan 1 2024 x",
		"13-13-24 10:00AM 5 x", "01-16-02 13:14PM 5 x", "01-16-02 11:14XM 5 x", "01-16-02 11:14AM <DIR>", "01-16-02 11:14AM 5", "01-16-02 11:14AM five x",
		"+i1,m2,/", "+", "+\t", "X+/,\tname",
		"d [RWCEAFMX] owner 512 Jan 16 18:53 x", "d [RWCEAFMS] owner 512 x", "d [RWCEAFMS owner 512 Jan 16 18:53 x",
		"A.TXT;123456 1 29-JAN-1996 03:33", "A.TXT;1 29-JAN-1996x", "A.TXT;1 some words", ";1 1 29-JAN-1996 03:33",
		"WEB3 33900 2001/06/05 1 1 FB 80 3120 PS A.B", "Migrated", "WEB3 3390 sometime 1 1 FB 80 3120 PS A.B",
		"QSYS 77824 02/23/00 15:09:55 DIR x", "QSYS 77824 02/23/00 *DIR x", "QSYS *MEM",
		"612 A 07-28-95 x", "612 A 16:18 x",
		"\x00", ":", ";", "-", "+", "[", "d", "0",
	} {
		p := ListParser{Now: listNow}
		e, ok, err := p.Parse(line)
		var lineError *LineError
		if ok || !errors.As(err, &lineError) || lineError.Line != line || e.Name != "" || e.Size != -1 {
			t.Errorf("%q: got %+v, %v, %v; want a LineError", line, e, ok, err)
		}
	}
}

func TestLineErrorIsOneLine(t *testing.T) {
	got := (&LineError{Line: "a\x1b[2J" + strings.Repeat("x", 1000)}).Error()
	if len(got) > 200 || strings.Contains(got, "\x1b") {
		t.Errorf("got %q", got)
	}
}

// TestListWhole parses whole listings with Parse, line by line.
func TestListWhole(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []string // names, or "?" and an unreadable line
	}{
		{"Unix with sub-directories", []string{
			"total 2", "-rw-r--r-- 1 a b 3 Jan 1 2024 x", "drwxr-xr-x 2 a b 3 Jan 1 2024 d", "", "./d:", "total 0", "-rw-r--r-- 1 a b 3 Jan 1 2024 y",
		}, []string{"x", "d", "y"}},
		{"OpenVMS", []string{
			"", "Directory DISK$USER:[ANON]", "", "A.TXT;1             5/6    29-JAN-1996 03:33:12  [G,O]  (RWED,RWED,RE,)",
			"A-VERY-LONG-NAME-INDEED.TXT;2", "                  213/216   2-JAN-1996 03:33  [G,O]  (RWED,RWED,RE,)", "", "Total of 2 files, 218/222 blocks.",
		}, []string{"A.TXT", "A-VERY-LONG-NAME-INDEED.TXT"}},
		{"half entries", []string{
			"A-LONG-NAME.TXT;2", "B-LONG-NAME.TXT;1", "C.TXT;1  1  29-JAN-1996 03:33", "D.TXT;7", "nonsense", "E.TXT;1", "", "F.TXT;1 ",
		}, []string{"?A-LONG-NAME.TXT;2", "?B-LONG-NAME.TXT;1", "C.TXT", "?D.TXT;7 nonsense", "?E.TXT;1", "?F.TXT;1"}},
		{"MVS members", []string{
			" Name     VV.MM   Created       Changed      Size  Init   Mod   Id", "ALPHA", " BETA    01.02 2001/12/06 2002/01/15 13:30   19   19     0 USER", "$X@#9", "lower",
		}, []string{"ALPHA", "BETA", "$X@#9", "?lower"}},
		{"MVS modules", []string{
			" Name      Size     TTR   Alias-of AC --------- Attributes --------- Amode Rmode", "PROG      0001F8   000A05          00 FO                 31    ANY",
		}, []string{"PROG"}},
		{"MVS data sets", []string{
			"Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname", "WEB3   3390   2001/06/05  1    1  FB      80  3120  PS  A.B", "ALPHA",
		}, []string{"A.B", "?ALPHA"}},
	}
	for _, tt := range tests {
		p := ListParser{Now: listNow}
		var got []string
		report := func(err error) {
			var lineError *LineError
			if errors.As(err, &lineError) {
				got = append(got, "?"+lineError.Line)
			} else if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		for _, line := range tt.lines {
			e, ok, err := p.Parse(line + "\r\n")
			report(err)
			if ok {
				got = append(got, e.Name)
			}
		}
		report(p.End())
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
		if err := p.End(); err != nil {
			t.Errorf("%s: the end is reported twice: %v", tt.name, err)
		}
	}
}

func TestListRoundTrip(t *testing.T) {
	entries := []Entry{
		{Name: "file", Type: FileEntry, Size: 3, Modified: utc(2024, 6, 30, 23, 59, 0), Precise: time.Minute, Mode: 0o644, HasMode: true, Links: 1, Owner: "a", Group: "b"},
		{Name: "  blanks  ", Type: DirEntry, Size: 4096, Modified: utc(1999, 2, 28, 0, 0, 0), Precise: day, Mode: 0o750, HasMode: true, Links: 12, Owner: "alice.bob", Group: "staff"},
		{Name: "l", Type: LinkEntry, Size: 7, Modified: utc(2024, 2, 29, 0, 0, 0), Precise: time.Minute, Mode: 0o777, HasMode: true, Links: 1, Owner: "0", Group: "0", Target: " -> odd"},
		{Name: "x -> y", Type: FileEntry, Size: 1 << 40, Modified: utc(2030, 1, 1, 0, 0, 0), Precise: day, Mode: fullEntry.Mode, HasMode: true, Links: 99999, Owner: "may", Group: "5"},
		{Name: "Jan 1 2020 \xff漢", Type: FileEntry, Size: 0, Modified: utc(2024, 7, 1, 12, 0, 0), Precise: time.Minute, HasMode: true, Links: 1, Owner: "jan", Group: "12"},
	}
	for _, e := range entries {
		p := ListParser{Now: listNow}
		line := string(AppendList(nil, &e, listNow))
		if got, ok, err := p.Parse(line); err != nil || !ok || got != e {
			t.Errorf("%q:\n got %+v, %v, %v\nwant %+v", line, got, ok, err, e)
		}
	}
}

func FuzzListParser(f *testing.F) {
	for _, tests := range [][]listTest{unixTests, dosTests, vmsTests, otherTests} {
		for _, tt := range tests {
			f.Add(tt.line, "")
		}
	}
	for _, row := range listRows(f) {
		first, second, _ := strings.Cut(row[1], `\r\n`)
		f.Add(first, second)
	}
	f.Add("A-LONG-NAME.TXT;2", "   213/216  29-JAN-1996 03:33  [G,O]")
	f.Add(" Name     VV.MM   Created", "ALPHA")
	f.Add("Volume Unit", "total 3")
	f.Fuzz(func(t *testing.T, line1, line2 string) {
		p := ListParser{Now: listNow}
		for _, line := range []string{line1, line2} {
			e, ok, err := p.Parse(line)
			if ok == (e.Name == "") || e.Size < -1 || len(e.Name)+len(e.Target) > len(line1)+len(line2)+1 {
				t.Fatalf("%q: %+v, %v, %v", line, e, ok, err)
			}
			if ok && !e.Modified.IsZero() && (e.Precise < time.Second || e.Precise > 101*366*day) {
				t.Fatalf("%q: precise to %v", line, e.Precise)
			}
			if ok && (e.Type == FileEntry || e.Type == DirEntry) {
				checkRoundTrip(t, e)
			}
		}
		p, n := ListParser{Now: listNow}, 0
		for e, err := range p.Entries(slices.Values([]string{line1, line2})) {
			if n++; n > 4 || (err == nil) == (e.Name == "") {
				t.Fatalf("%q, %q: %+v, %v", line1, line2, e, err)
			}
		}
	})
}

// checkRoundTrip writes e as a line of ls -l and parses it again.
func checkRoundTrip(t *testing.T, e Entry) {
	if e.Name == "." || e.Name == ".." {
		return // the names "." and ".." change the type
	}
	p := ListParser{Now: listNow}
	line := string(AppendList(nil, &e, listNow))
	if line == "" {
		return // it does not fit on a line
	}
	again, ok, err := p.Parse(line)
	if err != nil || !ok || again.Name != e.Name || again.Type != e.Type || again.Size != max(e.Size, 0) {
		t.Errorf("%+v\nthen %q: %+v, %v, %v", e, line, again, ok, err)
	}
}

func BenchmarkListParser(b *testing.B) {
	p := ListParser{Now: listNow}
	e := fullEntry
	line := string(AppendList(nil, &e, listNow))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := p.Parse(line); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
