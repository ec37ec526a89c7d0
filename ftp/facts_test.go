package ftp

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func TestParseMLSx(t *testing.T) {
	noon := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		line string
		want Entry
	}{
		{
			"type=file;size=3;modify=20240229120000; name",
			Entry{Name: "name", Type: FileEntry, Size: 3, Modified: noon, Precise: time.Second},
		},
		{
			"TYPE=File;SiZe=3;Modify=20240229120000.000; name",
			Entry{Name: "name", Type: FileEntry, Size: 3, Modified: noon, Precise: time.Millisecond},
		},
		{" type=cdir;perm=el; /", Entry{Name: "/", Type: CDirEntry, Size: -1, Perm: "el"}},
		{"type=pdir; ..", Entry{Name: "..", Type: PDirEntry, Size: -1}},
		{"type=dir;sizd=4096; d", Entry{Name: "d", Type: DirEntry, Size: 4096}},
		{"size=3;type=file name", Entry{Name: "name", Type: FileEntry, Size: 3}},
		{"type=file;;size=3;; name", Entry{Name: "name", Type: FileEntry, Size: 3}},
		{"type=file;  lead and trail  ", Entry{Name: " lead and trail  ", Type: FileEntry, Size: -1}},
		{"type=file; a;b=c; d", Entry{Name: "a;b=c; d", Type: FileEntry, Size: -1}},
		{"type=file; \xff\xc3\xa9\t", Entry{Name: "\xff\xc3\xa9\t", Type: FileEntry, Size: -1}},
		{"  type=file;size=3; a b", Entry{Name: "a b", Type: FileEntry, Size: 3}},
		{"    Type=dir;  d ", Entry{Name: " d ", Type: DirEntry, Size: -1}},
		{"250-type=file;size=3; a", Entry{Name: "a", Type: FileEntry, Size: 3}},
		{"250- type=file; 250-x", Entry{Name: "250-x", Type: FileEntry, Size: -1}},
		{"type=file;size=3; a\r", Entry{Name: "a", Type: FileEntry, Size: 3}},
		{"type=file;size=3; a \r\r", Entry{Name: "a ", Type: FileEntry, Size: 3}},
		{"   three blanks", Entry{Name: "  three blanks", Size: -1}},
		{"  a= b", Entry{Name: " a= b", Size: -1}},
		{" name only", Entry{Name: "name only", Size: -1}},
		{" a=b c", Entry{Name: "a=b c", Size: -1}},
		{"size=3; x", Entry{Name: "x", Size: 3}},
		{"type=OS.unix=slink:/a/b; l", Entry{Name: "l", Type: LinkEntry, Size: -1, Target: "/a/b"}},
		{"type=OS.Unix=SLINK; l", Entry{Name: "l", Type: LinkEntry, Size: -1}},
		{"type=OS.unix=symlink:x:y; l", Entry{Name: "l", Type: LinkEntry, Size: -1, Target: "x:y"}},
		{"size=1;type=OS.unix=slink:a b;perm=r; l; m", Entry{Name: "l; m", Type: LinkEntry, Size: 1, Perm: "r", Target: "a b"}},
		{"type=OS.unix=chr-5/0; tty", Entry{Name: "tty", Type: OtherEntry, Size: -1}},
		{"type=file;size=-1;modify=yesterday;UNIX.mode=9; x", Entry{Name: "x", Type: FileEntry, Size: -1}},
		{"type=file;size=99999999999999999999; x", Entry{Name: "x", Type: FileEntry, Size: -1}},
		{
			"type=file;unique=8U1;unix.mode=04755;UNIX.owner=0;UNIX.ownername=root;UNIX.group=9; x",
			Entry{Name: "x", Type: FileEntry, Size: -1, Unique: "8U1", Mode: 0o755 | fs.ModeSetuid, HasMode: true, Owner: "root", Group: "9"},
		},
		{
			"type=file;UNIX.groupname=staff;UNIX.gid=7;x.y=z=1;media-type=text/plain; x",
			Entry{Name: "x", Type: FileEntry, Size: -1, Group: "staff"},
		},
	}
	for _, tt := range tests {
		if got, err := ParseMLSx(tt.line); err != nil || got != tt.want {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", tt.line, got, err, tt.want)
		}
	}
	for _, line := range []string{"", " ", "type=file;", "type=file; ", "type=file; \r", "250-", "250-type=file;", "name", "total 12", "-rw-r--r-- 1 a b", "type; x"} {
		if got, err := ParseMLSx(line); !errors.Is(err, ErrSyntax) || got.Name != "" {
			t.Errorf("%q: got %+v, %v; want ErrSyntax", line, got, err)
		}
	}
}

func TestFacts(t *testing.T) {
	tests := []struct {
		opts          string
		want          Facts
		text, feature string
	}{
		{"", 0, "", "type;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"},
		{"Type;Size;", FactType | FactSize, "type;size;", "type*;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"},
		{"size;type", FactType | FactSize, "type;size;", "type*;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;"},
		{
			"unix.MODE;nonsense;; Perm ;", FactMode | FactPerm, "perm;UNIX.mode;",
			"type;size;modify;perm*;unique;UNIX.mode*;UNIX.owner;UNIX.group;",
		},
	}
	for _, tt := range tests {
		f := ParseFacts(tt.opts)
		if f != tt.want || f.String() != tt.text || f.Feature() != tt.feature {
			t.Errorf("%q: got %b, %q, %q", tt.opts, f, f, f.Feature())
		}
	}
	for f := range Facts(AllFacts + 1) {
		if got := ParseFacts(f.String()); got != f {
			t.Errorf("%q: got %b, want %b", f, got, f)
		}
	}
	if want := FactGroup<<1 - 1; AllFacts != want {
		t.Errorf("AllFacts is %b, want %b", AllFacts, want)
	}
}

var fullEntry = Entry{
	Name: "a name; with=signs", Type: FileEntry, Size: 1234567890123,
	Modified: time.Date(2024, 2, 29, 12, 34, 56, 0, time.UTC), Precise: time.Second,
	Mode: 0o640 | fs.ModeSetgid | fs.ModeSticky, HasMode: true, Perm: "adfrw", Unique: "801U2f",
	Owner: "alice", Group: "staff",
}

func TestAppendMLSx(t *testing.T) {
	link := Entry{Name: "l", Type: LinkEntry, Size: -1, Target: "../x"}
	spaced := Entry{Name: "l", Type: LinkEntry, Size: -1, Target: "a b"}
	dir := Entry{Name: " d ", Type: DirEntry, Size: 4096, Mode: 0o7, HasMode: true, Owner: "a b", Group: "c;d", Unique: "e\nf"}
	tests := []struct {
		entry Entry
		facts Facts
		want  string
	}{
		{fullEntry, AllFacts, "type=file;size=1234567890123;modify=20240229123456;perm=adfrw;unique=801U2f;" +
			"UNIX.mode=03640;UNIX.owner=alice;UNIX.group=staff; a name; with=signs"},
		{fullEntry, FactSize | FactType, "type=file;size=1234567890123; a name; with=signs"},
		{fullEntry, 0, " a name; with=signs"},
		{link, AllFacts, "type=OS.unix=slink:../x;perm=; l"},
		{spaced, FactType, "type=OS.unix=slink; l"},
		{dir, AllFacts, "type=dir;perm=;UNIX.mode=0007;  d "},
		{Entry{Name: "/", Type: CDirEntry}, FactType, "type=cdir; /"},
		{Entry{Name: "..", Type: PDirEntry}, FactType, "type=pdir; .."},
		{Entry{Name: "fifo", Type: OtherEntry}, FactType | FactSize, "type=OS.unix=other;size=0; fifo"},
		{Entry{Name: "two\nlines"}, AllFacts, ""},
		{Entry{Name: "two\rlines"}, AllFacts, ""},
		{Entry{Name: "nul\x00"}, AllFacts, ""},
		{Entry{}, AllFacts, ""},
	}
	for _, tt := range tests {
		if got := string(AppendMLSx([]byte("|"), &tt.entry, tt.facts)); got != "|"+tt.want {
			t.Errorf("got  %q\nwant %q", got, "|"+tt.want)
		}
	}
}

func TestMLSxRoundTrip(t *testing.T) {
	entries := []Entry{
		fullEntry,
		{Name: " blanks ", Type: DirEntry, Size: -1, Perm: "el"},
		{Name: "l", Type: LinkEntry, Size: 4, Target: "/x:z"},
		{Name: "\xff\xfe 漢字", Type: OtherEntry, Size: 0},
		{Name: "a -> b", Type: FileEntry, Size: 0, Mode: 0o777 | fs.ModeSetuid, HasMode: true},
	}
	for _, e := range entries {
		line := string(AppendMLSx(nil, &e, AllFacts))
		if got, err := ParseMLSx(line); err != nil || got != e {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", line, got, err, e)
		}
		if got, err := ParseMLSx(" " + line); err != nil || got != e {
			t.Errorf("as in MLST, %q: got %+v, %v", line, got, err)
		}
	}
}

func TestAppendMLSxAllocatesNothing(t *testing.T) {
	b, e := make([]byte, 0, 512), fullEntry
	if n := testing.AllocsPerRun(100, func() { b = AppendMLSx(b[:0], &e, AllFacts) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendMLSx(b *testing.B) {
	buf, e := make([]byte, 0, 512), fullEntry
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMLSx(buf[:0], &e, AllFacts)
	}
}

func BenchmarkParseMLSx(b *testing.B) {
	e := fullEntry
	line := string(AppendMLSx(nil, &e, AllFacts))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMLSx(line); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParseMLSx(f *testing.F) {
	for _, s := range []string{
		"type=file;size=3;modify=20240229120000; name", " type=OS.unix=slink:/a b;perm=; x", " name", "a=b c",
		"UNIX.mode=07777;UNIX.owner=a;unique=x;type=dir; \xff", "=; x", ";;; x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseMLSx(s)
		if err != nil {
			return
		}
		if e.Name == "" || !strings.HasSuffix(strings.TrimRight(s, "\r"), e.Name) || e.Size < -1 {
			t.Fatalf("%q: %+v", s, e)
		}
		line := string(AppendMLSx(nil, &e, AllFacts))
		if line == "" {
			return // the entry does not fit on one line
		}
		again, err := ParseMLSx(line)
		if err != nil || again.Name != e.Name || e.Type != UnknownEntry && again.Type != e.Type || !e.IsDir() && again.Size != e.Size {
			t.Errorf("%q: %+v\nthen %q: %+v, %v", s, e, line, again, err)
		}
	})
}

func FuzzParseFacts(f *testing.F) {
	f.Add("type;size;")
	f.Add(";;x;UNIX.mode*")
	f.Fuzz(func(t *testing.T, s string) {
		got := ParseFacts(s)
		if got > AllFacts || ParseFacts(got.String()) != got {
			t.Errorf("%q: %b", s, got)
		}
	})
}
