package ftp

import (
	"testing"
	"time"
)

var otherTests = []listTest{
	// EPLF.
	{"+i8388621.29609,m824255902,/,\tdev", Entry{Name: "dev", Type: DirEntry, Size: -1, Unique: "8388621.29609", Modified: utc(1996, 2, 13, 23, 58, 22), Precise: time.Second}},
	{"+i8388621.44468,m839956783,r,s10376,\tR FC.txt ", Entry{Name: "R FC.txt ", Type: FileEntry, Size: 10376, Unique: "8388621.44468", Modified: utc(1996, 8, 13, 17, 19, 43), Precise: time.Second}},
	{"+up4755,r,,x,\ta\tb", Entry{Name: "a\tb", Type: FileEntry, Size: -1, Mode: unixMode(0o4755), HasMode: true}},
	{"+s-5,mx,up9,ui,\tx", Entry{Name: "x", Type: FileEntry, Size: -1}},
	// NetWare.
	{
		"d [R----F--] supervisor            512       May 10 12:30    login",
		Entry{Name: "login", Type: DirEntry, Size: 512, Owner: "supervisor", Modified: may10, Precise: time.Minute},
	},
	{
		"- [R----F--] rhesus             214059       Jan  1  2000    cx 1.exe",
		Entry{Name: "cx 1.exe", Type: FileEntry, Size: 214059, Owner: "rhesus", Modified: y2k, Precise: day},
	},
	{"-[RWCEAFMS] rhesus 3 May 10 12:30 x", Entry{Name: "x", Type: FileEntry, Size: 3, Owner: "rhesus", Modified: may10, Precise: time.Minute}},
	// MVS data sets.
	{"WEB3   3390   2001/06/05  1    1  FB      80  3120  PS  MY.DATA.SET", Entry{Name: "MY.DATA.SET", Type: FileEntry, Size: -1}},
	{"WEB3   3390   2001/06/05  1   15  FB      80  3120  PO  'MY.LIB'", Entry{Name: "MY.LIB", Type: DirEntry, Size: -1}},
	{"WEB3   3390   2001/06/05  1   15  U        0 27998  PO-E MY.LIB", Entry{Name: "MY.LIB", Type: DirEntry, Size: -1}},
	{"WEB3   3390   **NONE**    1   15  ?        0     0  ??  ODD", Entry{Name: "ODD", Type: OtherEntry, Size: -1}},
	{"TSO004 3390   VSAM FOO.BAR", Entry{Name: "FOO.BAR", Type: FileEntry, Size: -1}},
	{"Migrated                              OLD.DATA", Entry{Name: "OLD.DATA", Size: -1}},
	{"ARCIVE Not Direct Access Device       TAPE.DATA", Entry{Name: "TAPE.DATA", Size: -1}},
	{"Pseudo Directory                      DEEP", Entry{Name: "DEEP", Type: DirEntry, Size: -1}},
	// MVS members.
	{" ADATAB    01.01 2001/12/06 2002/01/15 13:30    19    19     0 USERID", Entry{Name: "ADATAB", Type: FileEntry, Size: -1, Modified: utc(2002, 1, 15, 13, 30, 0), Precise: time.Minute}},
	// OS/400.
	{"QSYS            77824 02/23/00 15:09:55 *DIR       QOpenSys/", Entry{Name: "QOpenSys", Type: DirEntry, Size: -1, Owner: "QSYS", Modified: utc(2000, 2, 23, 15, 9, 55), Precise: time.Second}},
	{"PEP             36864 31/12/04 14:19:34 *STMF      a b.txt", Entry{Name: "a b.txt", Type: FileEntry, Size: 36864, Owner: "PEP", Modified: utc(2004, 12, 31, 14, 19, 34), Precise: time.Second}},
	{"PEP              4096 04/02/23 14:19:34 *LIB       MYLIB", Entry{Name: "MYLIB", Type: DirEntry, Size: -1, Owner: "PEP", Modified: utc(2004, 2, 23, 14, 19, 34), Precise: 6978*day + time.Second}},
	{"PEP             *MEM                               LIB.FILE/ONE.MBR", Entry{Name: "ONE.MBR", Type: FileEntry, Size: -1, Owner: "PEP"}},
}

func TestListOther(t *testing.T) { checkLines(t, otherTests) }
