package ftp

import (
	"testing"
	"time"
)

// bare returns an entry of a format without modes.
func bare(name string, kind EntryType, size int64, modified time.Time, precise time.Duration) Entry {
	return Entry{Name: name, Type: kind, Size: size, Modified: modified, Precise: precise}
}

var (
	jan16 = utc(2002, 1, 16, 11, 14, 0)
	jun5  = utc(2003, 6, 5, 15, 19, 0)
)

var dosTests = []listTest{
	{"01-16-02  11:14AM       <DIR>          pub", bare("pub", DirEntry, -1, jan16, time.Minute)},
	{"06-05-03  03:19PM                 1973 readme.txt", bare("readme.txt", FileEntry, 1973, jun5, time.Minute)},
	{"06-05-2003  03:19PM                 1973 readme.txt", bare("readme.txt", FileEntry, 1973, jun5, time.Minute)},
	{"06-05-2003  15:19                 1973 readme.txt", bare("readme.txt", FileEntry, 1973, jun5, 30*day+time.Minute)},
	{"06/05/2003  03:19 PM             1,973 readme.txt", bare("readme.txt", FileEntry, 1973, jun5, 30*day+time.Minute)},
	{"2003-06-05  15:19                 1973 readme.txt", bare("readme.txt", FileEntry, 1973, jun5, time.Minute)},
	{"16.01.2002  11:14       <DIR>          pub", bare("pub", DirEntry, -1, jan16, time.Minute)},
	{"01-16-102  11:14AM       <DIR>          pub", bare("pub", DirEntry, -1, jan16, time.Minute)},
	{"01-16-02  12:30AM 5 x", bare("x", FileEntry, 5, utc(2002, 1, 16, 0, 30, 0), time.Minute)},
	{"01-16-02  12:30PM 5 x", bare("x", FileEntry, 5, utc(2002, 1, 16, 12, 30, 0), time.Minute)},
	{"01-16-02  1:30pm 5 x", bare("x", FileEntry, 5, utc(2002, 1, 16, 13, 30, 0), time.Minute)},
	{"01-16-02  00:30AM 5 x", bare("x", FileEntry, 5, utc(2002, 1, 16, 0, 30, 0), time.Minute)},
	{"01-16-02  11:59PM 5 x", bare("x", FileEntry, 5, utc(2002, 1, 16, 23, 59, 0), time.Minute)},
	{"02-29-00  11:14AM 5 x", bare("x", FileEntry, 5, utc(2000, 2, 29, 11, 14, 0), time.Minute)},
	{"12-31-69  11:14AM 5 x", bare("x", FileEntry, 5, utc(2069, 12, 31, 11, 14, 0), time.Minute)},
	{"01-01-70  11:14AM 5 x", bare("x", FileEntry, 5, utc(1970, 1, 1, 11, 14, 0), time.Minute)},
	{"01-16-02  11:14AM                    5  a  b ", bare(" a  b ", FileEntry, 5, jan16, time.Minute)},
	{"01-16-02  11:14AM       <DIR>            a  b ", bare("  a  b ", DirEntry, -1, jan16, time.Minute)},
	{"01-16-02  11:14AM       <DIR> pub", bare("pub", DirEntry, -1, jan16, time.Minute)},
	{"01-16-02  11:14AM       <dir>          <DIR>", bare("<DIR>", DirEntry, -1, jan16, time.Minute)},
	{"01-16-02  11:14AM    <JUNCTION>     j [C:\\Users]", Entry{Name: "j", Type: LinkEntry, Size: -1, Modified: jan16, Precise: time.Minute, Target: "C:\\Users"}},
	{"01-16-02  11:14AM    <SYMLINKD>     l", bare("l", LinkEntry, -1, jan16, time.Minute)},
	{"01-16-02  11:14AM    <MYSTERY>      m", bare("m", OtherEntry, -1, jan16, time.Minute)},
	// OS/2.
	{"                 0           DIR   04-11-95   16:26  ADDRESS", bare("ADDRESS", DirEntry, -1, utc(1995, 4, 11, 16, 26, 0), 207*day+time.Minute)},
	{"               612      A          07-28-95   16:18  air 1.bag", bare("air 1.bag", FileEntry, 612, utc(1995, 7, 28, 16, 18, 0), time.Minute)},
	{"            123098                 04-10-95   16:18  x", bare("x", FileEntry, 123098, utc(1995, 4, 10, 16, 18, 0), 177*day+time.Minute)},
}

func TestListDOS(t *testing.T) { checkLines(t, dosTests) }

func TestListDOSLocation(t *testing.T) {
	p := ListParser{Location: time.FixedZone("west", -8*3600)}
	e, ok, err := p.Parse("06-05-03  03:19PM                 1973 readme.txt")
	if want := jun5.Add(8 * time.Hour); err != nil || !ok || !e.Modified.Equal(want) {
		t.Errorf("got %v, %v, %v; want %v", e.Modified, ok, err, want)
	}
}
