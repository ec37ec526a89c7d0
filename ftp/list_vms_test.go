package ftp

import (
	"testing"
	"time"
)

var (
	jan29 = utc(1996, 1, 29, 3, 33, 12)
	vmsA  = Entry{Name: "MANUAL.TEX", Type: FileEntry, Size: -1, Modified: jan29, Precise: time.Second, Group: "GROUP", Owner: "OWNER"}
)

var vmsTests = []listTest{
	{"MANUAL.TEX;1  213/216  29-JAN-1996 03:33:12  [GROUP,OWNER]   (RWED,RWED,RE,)", vmsA},
	{"MANUAL.TEX;32767  213  29-JAN-1996 03:33:12.45  [GROUP,OWNER]   (RWED,RWED,RE,)", vmsA},
	{"MANUAL.TEX;1  29-JAN-1996 03:33:12  213/216  [GROUP, OWNER]", vmsA},
	{
		"SUB.DIR;1  1   2-JUN-1994 07:47  [OWNER]  (RWE,RWE,RE,)",
		Entry{Name: "SUB", Type: DirEntry, Size: -1, Modified: utc(1994, 6, 2, 7, 47, 0), Precise: time.Minute, Owner: "OWNER"},
	},
	{"sub.dir;1  1   2-Jun-1994", Entry{Name: "sub", Type: DirEntry, Size: -1, Modified: utc(1994, 6, 2, 0, 0, 0), Precise: day}},
	{".DIR;1  1   2-JUN-1994 07:47", Entry{Name: ".DIR", Type: FileEntry, Size: -1, Modified: utc(1994, 6, 2, 7, 47, 0), Precise: time.Minute}},
	{"My File.txt;3  1   2-JUN-1994 07:47", Entry{Name: "My File.txt", Type: FileEntry, Size: -1, Modified: utc(1994, 6, 2, 7, 47, 0), Precise: time.Minute}},
	{"SECRET.TXT;1   %RMS-E-PRV, insufficient privilege or file protection violation", Entry{Name: "SECRET.TXT", Type: FileEntry, Size: -1}},
	{"SECRET.DIR;1   No privilege for attempted operation", Entry{Name: "SECRET", Type: DirEntry, Size: -1}},
}

func TestListVMS(t *testing.T) { checkLines(t, vmsTests) }

func TestListVMSTwoLines(t *testing.T) {
	p := ListParser{Now: listNow}
	e, ok, err := p.Parse("MANUAL.TEX;1")
	if ok || err != nil || e.Name != "" {
		t.Fatalf("the first half: got %+v, %v, %v", e, ok, err)
	}
	e, ok, err = p.Parse("    213/216  29-JAN-1996 03:33:12  [GROUP,OWNER]   (RWED,RWED,RE,)")
	if !ok || err != nil || e != vmsA {
		t.Errorf("the second half: got %+v, %v, %v\nwant %+v", e, ok, err, vmsA)
	}
	if err := p.End(); err != nil {
		t.Error(err)
	}
}
