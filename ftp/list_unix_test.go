package ftp

import (
	"io/fs"
	"strings"
	"testing"
	"time"
)

// file returns an entry with the attributes that most of these lines have.
func file(name string, size int64, mode fs.FileMode, modified time.Time, precise time.Duration) Entry {
	return Entry{Name: name, Type: FileEntry, Size: size, Mode: mode, HasMode: true, Modified: modified, Precise: precise}
}

func (e Entry) as(t EntryType) Entry { e.Type = t; return e }

func (e Entry) of(links int, owner, group string) Entry {
	e.Links, e.Owner, e.Group = links, owner, group
	return e
}

func (e Entry) to(target string) Entry { e.Type, e.Target = LinkEntry, target; return e }

var (
	may10  = utc(2024, 5, 10, 12, 30, 0)
	nov22  = utc(2023, 11, 22, 9, 5, 0)
	y2k    = utc(2000, 1, 1, 0, 0, 0)
	plain  = file("x", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")
	oldDir = file("d", 512, 0o755, y2k, day).of(2, "alice", "staff").as(DirEntry)
)

var unixTests = []listTest{
	// Usual lines, with a time of day and with a year.
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30 x", plain},
	{"-rw-r--r-- 1 alice staff 3 May 10 12:30 x\r\n", plain},
	{"-rw-r--r--\t1 alice\tstaff 3 May 10 12:30\tx", plain},
	{"-rw-r--r--   1 alice    staff           3 Nov 22 09:05 x", file("x", 3, 0o644, nov22, time.Minute).of(1, "alice", "staff")},
	{"drwxr-xr-x   2 alice    staff         512 Jan  1  2000 d", oldDir},
	// Marks after the mode.
	{"-rw-r--r--.  1 alice    staff           3 May 10 12:30 x", plain},
	{"-rw-r--r--+  1 alice    staff           3 May 10 12:30 x", plain},
	{"-rw-r--r--@  1 alice    staff           3 May 10 12:30 x", plain},
	// Special bits and types.
	{
		"-rwsr-Sr-t   1 alice    staff           3 May 10 12:30 x",
		file("x", 3, 0o745|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky, may10, time.Minute).of(1, "alice", "staff"),
	},
	{"-rw-r-lr-T   1 alice    staff           3 May 10 12:30 x", file("x", 3, 0o644|fs.ModeSticky, may10, time.Minute).of(1, "alice", "staff")},
	{"prw-r--r--   1 alice    staff           0 May 10 12:30 x", file("x", 0, 0o644, may10, time.Minute).of(1, "alice", "staff").as(OtherEntry)},
	{"srwxr-xr-x   1 alice    staff           0 May 10 12:30 x", file("x", 0, 0o755, may10, time.Minute).of(1, "alice", "staff").as(OtherEntry)},
	{"crw-rw-rw-   1 root     sys        13,  2 May 10 12:30 null", file("null", -1, 0o666, may10, time.Minute).of(1, "root", "sys").as(OtherEntry)},
	{"brw-r-----   1 root     disk        8,0 May 10 12:30 sda", file("sda", -1, 0o640, may10, time.Minute).of(1, "root", "disk").as(OtherEntry)},
	{"Drw-r--r--   1 root     root            0 May 10 12:30 door", file("door", 0, 0o644, may10, time.Minute).of(1, "root", "root").as(OtherEntry)},
	// Columns that are missing, numeric, have several words, or have no blank between them.
	{"-rw-r--r--   alice    staff           3 May 10 12:30 x", file("x", 3, 0o644, may10, time.Minute).of(0, "alice", "staff")},
	{"-rw-r--r--   1 alice           3 May 10 12:30 x", file("x", 3, 0o644, may10, time.Minute).of(1, "alice", "")},
	{"-rw-r--r--   1 3 May 10 12:30 x", file("x", 3, 0o644, may10, time.Minute).of(1, "", "")},
	{"-rw-r--r-- 3 May 10 12:30 x", file("x", 3, 0o644, may10, time.Minute)},
	{"drwxr-xr-x   folder        2 May 10  1996 network", file("network", 2, 0o755, utc(1996, 5, 10, 0, 0, 0), day).of(0, "folder", "").as(DirEntry)},
	{"-rw-r--r--   1 1001     100             3 May 10 12:30 x", file("x", 3, 0o644, may10, time.Minute).of(1, "1001", "100")},
	{"-rw-r--r--   1 alice    Domain Users    3 May 10 12:30 x", file("x", 3, 0o644, may10, time.Minute).of(1, "alice", "Domain Users")},
	{"-rw-r--r--   1 alice    staff1234567890 May 10 12:30 x", file("x", 1234567890, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    Domain Users12 May 10 12:30 x", file("x", 12, 0o644, may10, time.Minute).of(1, "alice", "Domain Users")},
	{"drwxr-xr-x   2 alice    staff Jan  1  2000 d", file("d", -1, 0o755, y2k, day).of(2, "alice", "staff").as(DirEntry)},
	{"-rw-r--r--   1 alice    staff        1.5K May 10 12:30 x", file("x", -1, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff        99999999999999999999 May 10 12:30 x", file("x", -1, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 may      12           2010 May 10 12:30 x", file("x", 2010, 0o644, may10, time.Minute).of(1, "may", "12")},
	{"-rw-r--r--   1 12       may          2010 May 10 12:30 x", file("x", 2010, 0o644, may10, time.Minute).of(1, "12", "may")},
	// Other formats of dates.
	{"-rw-r--r--   1 alice    staff           3 10 May 12:30 x", plain},
	{"-rw-r--r--   1 alice    staff           3 10. May 12:30 x", plain},
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30:59 2024 x", file("x", 3, 0o644, utc(2024, 5, 10, 12, 30, 59), time.Second).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30:59 x", file("x", 3, 0o644, utc(2024, 5, 10, 12, 30, 59), time.Second).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 2024-05-10 12:30 x", plain},
	{"-rw-r--r--   1 alice    staff           3 05-10 12:30 x", plain},
	{"-rw-r--r--   1 alice    staff           3 2024-05-10  x", file("x", 3, 0o644, utc(2024, 5, 10, 0, 0, 0), day).of(1, "alice", "staff")},
	{
		"-rw-r--r--   1 alice    staff           3 2024-05-10 12:30:59.123456789 +0230 x",
		file("x", 3, 0o644, utc(2024, 5, 10, 10, 0, 59), time.Second).of(1, "alice", "staff"),
	},
	{"-rw-r--r--   1 alice    staff           3 2024-05-10 12:30:59 -0130 x", file("x", 3, 0o644, utc(2024, 5, 10, 14, 0, 59), time.Second).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 5月 10 12:30 x", plain},
	{"-rw-r--r--   1 alice    staff           3 5월 10일 12:30 x", plain},
	{"-rw-r--r--   1 alice    staff           3  1月  1日 2000年 x", file("x", 3, 0o644, y2k, day).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May  9 24:00 x", file("x", 3, 0o644, utc(2024, 5, 10, 0, 0, 0), time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 9:05 x", file("x", 3, 0o644, utc(2024, 5, 10, 9, 5, 0), time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 12.30 x", plain},
	{"-rw-r--r--   1 alice    staff           3 2024-05-10 12:30 +9999 x", file("+9999 x", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 2024-05-10 12:30 +02x0 x", file("+02x0 x", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	// Names.
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30  a  b ", file(" a  b ", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30 Jan 1 2020 x", file("Jan 1 2020 x", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 Jan  1  2000 12:30 x", file("12:30 x", 3, 0o644, y2k, day).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30 \xff\xe9漢", file("\xff\xe9漢", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30 a -> b", file("a -> b", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"-rw-r--r--   1 alice    staff           3 May 10 12:30 a;1", file("a;1", 3, 0o644, may10, time.Minute).of(1, "alice", "staff")},
	{"drwxr-xr-x   2 alice    staff         512 Jan  1  2000 .", file(".", 512, 0o755, y2k, day).of(2, "alice", "staff").as(CDirEntry)},
	{"drwxr-xr-x   2 alice    staff         512 Jan  1  2000 ..", file("..", 512, 0o755, y2k, day).of(2, "alice", "staff").as(PDirEntry)},
	// Links.
	{"lrwxrwxrwx   1 alice    staff           4 May 10 12:30 l -> ../x", file("l", 4, 0o777, may10, time.Minute).of(1, "alice", "staff").to("../x")},
	{"lrwxrwxrwx   1 alice    staff           1 May 10 12:30 a -> b -> c", file("a -> b", 1, 0o777, may10, time.Minute).of(1, "alice", "staff").to("c")},
	{"lrwxrwxrwx   1 alice    staff           6 May 10 12:30 a -> b -> c", file("a", 6, 0o777, may10, time.Minute).of(1, "alice", "staff").to("b -> c")},
	{"lrwxrwxrwx   1 alice    staff           0 May 10 12:30 a -> b -> c", file("a", 0, 0o777, may10, time.Minute).of(1, "alice", "staff").to("b -> c")},
	{"lrwxrwxrwx   1 alice    staff           9 May 10 12:30 l", file("l", 9, 0o777, may10, time.Minute).of(1, "alice", "staff").as(LinkEntry)},
}

func TestListUnix(t *testing.T) { checkLines(t, unixTests) }

// TestListMonths parses January to December as ls prints them in each language.
func TestListMonths(t *testing.T) {
	languages := map[string]string{
		"English":    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
		"capitals":   "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC",
		"German":     "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
		"Austrian":   "Jän Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
		"French":     "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.",
		"Spanish":    "ene feb mar abr may jun jul ago sep oct nov dic",
		"Italian":    "gen feb mar apr mag giu lug ago set ott nov dic",
		"Portuguese": "jan fev mar abr mai jun jul ago set out nov dez",
		"Dutch":      "jan feb mrt apr mei jun jul aug sep okt nov dec",
		"Swedish":    "jan feb mar apr maj jun jul aug sep okt nov dec",
		"Norwegian":  "jan. feb. mars april mai juni juli aug. sep. okt. nov. des.",
		"Finnish":    "tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu",
		"Polish":     "sty lut mar kwi maj cze lip sie wrz paź lis gru",
		"Czech":      "led úno bře dub kvě čen čec srp zář říj lis pro",
		"Hungarian":  "jan febr márc ápr máj jún júl aug szept okt nov dec",
		"Turkish":    "Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara",
		"Russian":    "янв фев мар апр мая июн июл авг сен окт ноя дек",
		"longer":     "янв. февр. марта апр. мая июня июля авг. сент. окт. нояб. дек.",
		"Ukrainian":  "січ лют бер кві тра чер лип сер вер жов лис гру",
		"whole":      "January February March April May June July August September October November December",
	}
	for language, line := range languages {
		names := strings.Fields(line)
		for i, name := range names {
			for _, date := range []string{name + "  7  1999", "7 " + name + " 1999", "7. " + name + " 1999"} {
				checkMonth(t, language, "-rw-r--r-- 1 a b 3 "+date+" x", i+1)
			}
			if latin1, ok := toLatin1(name); ok {
				checkMonth(t, language+" in Latin-1", "-rw-r--r-- 1 a b 3 "+latin1+"  7  1999 x", i+1)
			}
		}
		if len(names) != 12 {
			t.Errorf("%s: %d months", language, len(names))
		}
	}
	checkMonth(t, "Polish in Latin-2", "-rw-r--r-- 1 a b 3 pa\xbc  7  1999 x", 10)
}

func checkMonth(t *testing.T, language, line string, month int) {
	t.Helper()
	p := ListParser{Now: listNow}
	want := utc(1999, time.Month(month), 7, 0, 0, 0)
	if e, ok, err := p.Parse(line); err != nil || !ok || !e.Modified.Equal(want) || e.Name != "x" || e.Size != 3 {
		t.Errorf("%s, %q: got %+v, %v, %v; want %v", language, line, e, ok, err, want)
	}
}

// toLatin1 returns s in Latin-1, or "" if that is the same as s or impossible.
func toLatin1(s string) (string, bool) {
	var b []byte
	for _, c := range s {
		if c > 0xff {
			return "", false
		}
		b = append(b, byte(c))
	}
	return string(b), string(b) != s
}

func TestListYear(t *testing.T) {
	east := time.FixedZone("east", 10*3600)
	tests := []struct {
		now  time.Time
		date string
		loc  *time.Location
		want time.Time
	}{
		{listNow, "Jul  1 12:00", nil, utc(2024, 7, 1, 12, 0, 0)},
		{listNow, "Jul  2 12:00", nil, utc(2024, 7, 2, 12, 0, 0)}, // the clocks differ
		{listNow, "Jul  2 12:01", nil, utc(2023, 7, 2, 12, 1, 0)},
		{listNow, "Dec 31 23:59", nil, utc(2023, 12, 31, 23, 59, 0)},
		{utc(2024, 12, 31, 23, 0, 0), "Jan  1 08:00", nil, utc(2025, 1, 1, 8, 0, 0)},
		{utc(2025, 1, 1, 0, 0, 0), "Dec 31 23:59", nil, utc(2024, 12, 31, 23, 59, 0)},
		{utc(2024, 2, 28, 12, 0, 0), "Feb 29 12:00", nil, utc(2024, 2, 29, 12, 0, 0)},
		{utc(2024, 2, 27, 12, 0, 0), "Feb 29 12:00", nil, utc(2020, 2, 29, 12, 0, 0)},
		{utc(2025, 3, 1, 12, 0, 0), "Feb 29 12:00", nil, utc(2024, 2, 29, 12, 0, 0)},
		{utc(2027, 3, 1, 12, 0, 0), "Feb 29 12:00", nil, utc(2024, 2, 29, 12, 0, 0)},
		{utc(1903, 3, 1, 12, 0, 0), "Feb 29 12:00", nil, utc(1896, 2, 29, 12, 0, 0)},
		{listNow, "Jul  1 12:00", east, utc(2024, 7, 1, 2, 0, 0)},
		{utc(2024, 12, 31, 20, 0, 0), "Jan  1 06:00", east, utc(2024, 12, 31, 20, 0, 0)},
		{listNow, "Jan  1  2000", east, utc(1999, 12, 31, 14, 0, 0)},
	}
	for _, tt := range tests {
		p := ListParser{Now: tt.now, Location: tt.loc}
		e, ok, err := p.Parse("-rw-r--r-- 1 a b 3 " + tt.date + " x")
		if err != nil || !ok || !e.Modified.Equal(tt.want) || e.Modified.Location() != time.UTC {
			t.Errorf("%s on %v: got %v, %v, %v; want %v", tt.date, tt.now, e.Modified, ok, err, tt.want)
		}
	}
	var p ListParser
	if e, ok, err := p.Parse("-rw-r--r-- 1 a b 3 Feb 29 12:00 x"); err != nil || !ok || e.Modified.Month() != 2 || e.Modified.After(time.Now().Add(day)) {
		t.Errorf("the zero parser: got %v, %v, %v", e.Modified, ok, err)
	}
}
