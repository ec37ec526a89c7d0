package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// collect reads a listing and returns its entries and its errors.
func collect(t *testing.T, c *client.Client, dir string) (entries []ftp.Entry, errs []error) {
	t.Helper()
	for e, err := range c.List(t.Context(), dir) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entries = append(entries, e)
	}
	return entries, errs
}

func names(entries []ftp.Entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

func TestListMLSD(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.Dirs["/pub"] = "type=cdir; /pub\r\ntype=pdir; /\r\ntype=dir;unique=1; sub\r\n" +
			"Type=file;Size=3;Modify=20240102030405;  two blanks \r\nsize=4;type=file; a;b=c\nnonsense\r\ntype=file; last\r\n"
	})
	c := dial(t, f, nil)
	entries, errs := collect(t, c, "/pub")
	if want := []string{"sub", " two blanks ", "a;b=c", "last"}; !slices.Equal(names(entries), want) {
		t.Errorf("names %q", names(entries))
	}
	if len(errs) != 1 || !testutil.IsA[*ftp.LineError](errs[0]) {
		t.Errorf("errors %v", errs)
	}
	if entries[1].Size != 3 || entries[1].Modified.IsZero() || entries[0].Type != ftp.DirEntry {
		t.Errorf("entries %+v", entries)
	}
	if f.Count("TYPE") != 0 {
		t.Errorf("commands %q", f.Commands())
	}
}

func TestListFallsBackToLIST(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.On["MLSD"] = fakeserver.Says("502 not here")
		f.Dirs[""] = "total 3\r\ndrwxr-xr-x 2 a b 4096 Jan  1 2020 .\r\ndrwxr-xr-x 2 a b 4096 Jan  1 2020 ..\r\n" +
			"drwxr-xr-x 2 a b 4096 Jan  1 2020 sub\r\n-rw-r--r-- 1 a b 5 Jan  1 2020 x y\r\n?????\r\n"
	})
	c := dial(t, f, nil)
	for range 2 {
		entries, errs := collect(t, c, "")
		if want := []string{"sub", "x y"}; !slices.Equal(names(entries), want) {
			t.Errorf("names %q", names(entries))
		}
		if len(errs) != 1 || !testutil.IsA[*ftp.LineError](errs[0]) {
			t.Errorf("errors %v", errs)
		}
	}
	if f.Count("MLSD") != 1 || !slices.Contains(f.Commands(), "LIST -a") {
		t.Errorf("commands %q", f.Commands())
	}
}

// The names of a listing can't refer to anything outside of the directory.
func TestListHostileNames(t *testing.T) {
	for _, name := range []string{"../x", "/abs/x", "a/b", "..", ".", "nul\x00", "sub/"} {
		for _, feat := range [][]string{fakeserver.MLST, {}} {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = feat
				f.Dirs[""] = "type=file;size=1; " + name + "\r\n"
				if len(feat) == 0 {
					f.Dirs[""] = "-rw-r--r-- 1 a b 5 Jan  1 2020 " + name + "\r\n"
				}
			})
			c := dial(t, f, nil)
			entries, errs := collect(t, c, "")
			if len(entries) != 0 {
				t.Errorf("%q was listed as %q", name, entries[0].Name)
			}
			if name != "." && name != ".." && (len(errs) != 1 || !testutil.IsA[*client.NameError](errs[0]) && !testutil.IsA[*ftp.LineError](errs[0])) {
				t.Errorf("%q: errors %v", name, errs)
			}
		}
	}
}

func TestListErrors(t *testing.T) {
	long := "type=file; " + strings.Repeat("x", 70<<10)
	tests := []struct {
		name  string
		mlsd  func(s *fakeserver.Session)
		check func(err error) bool
	}{
		{"550", func(s *fakeserver.Session) { s.Say("550 no such directory") }, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		{"line too long", func(s *fakeserver.Session) {
			s.Say("150 yes")
			s.Send(long)
			s.Say("226 done")
		}, func(err error) bool { return errors.Is(err, ftp.ErrLineTooLong) }},
		{"451 at the end", func(s *fakeserver.Session) { s.Say("150 yes"); s.Send("type=file; a\r\n"); s.Say("451 no") }, testutil.IsA[*ftp.Error]},
		{
			"control dies", func(s *fakeserver.Session) { s.Say("150 yes"); s.Send("type=file; a\r\n"); _ = s.Conn.Close() },
			func(err error) bool { return errors.Is(err, client.ErrUnconfirmed) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = fakeserver.MLST
				f.On["MLSD"] = func(s *fakeserver.Session, _ string) { tt.mlsd(s) }
			})
			c := dial(t, f, nil)
			if _, errs := collect(t, c, "x"); len(errs) != 1 || !tt.check(errs[0]) {
				t.Errorf("errors %v", errs)
			}
		})
	}
}

// An endless listing is streamed: leaving the loop ends it.
func TestListStreams(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.On["MLSD"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			c := s.Data()
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(c, "type=file; %d\r\n", i); err != nil {
					break
				}
			}
			_ = c.Close()
			s.Say("426 broken")
		}
	})
	c := dial(t, f, nil)
	n := 0
	for _, err := range c.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 5000 {
			break
		}
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var last error
	for _, err := range c.List(ctx, "") {
		cancel(errEnough)
		last = err
	}
	if !errors.Is(last, errEnough) {
		t.Errorf("cancelled: %v", last)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

// Directories whose names LIST would take for flags or patterns are listed in another way.
func TestListOddPaths(t *testing.T) {
	const line = "-rw-r--r-- 1 a b 5 Jan  1 2020 x\r\n"
	for dir, want := range map[string][]string{
		"-la":    {"LIST -a ./-la/"},
		"[x]":    {"PWD", "CWD [x]", "LIST -a", "CWD /"},
		" blank": {"PWD", "CWD  blank", "LIST -a", "CWD /"},
		"a b":    {"PWD", "CWD a b", "LIST -a", "CWD /"},
		"plain":  {"LIST -a plain/"},
		"":       {"LIST -a"},
	} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Dirs[""], f.Dirs["[x]"], f.Dirs[" blank"], f.Dirs["a b"], f.Dirs["plain"], f.Dirs["./-la"] = line, line, line, line, line, line
		})
		c := dial(t, f, nil)
		before := len(f.Commands())
		if entries, errs := collect(t, c, dir); errs != nil || len(entries) != 1 {
			t.Errorf("%q: %v, %v", dir, entries, errs)
		}
		if got := since(f, before); !slices.Equal(got, want) {
			t.Errorf("%q: commands %q, want %q", dir, got, want)
		}
	}
}

// since returns the commands after the first n, except EPSV.
func since(f *fakeserver.Server, n int) (got []string) {
	for _, line := range f.Since(n) {
		if line != "EPSV" {
			got = append(got, line)
		}
	}
	return got
}

// TestListWays uses servers that do not support -a, or a slash after a directory, or either.
func TestListWays(t *testing.T) {
	const line = "-rw-r--r-- 1 a b 5 Jan  1 2020 x\r\n"
	for name, takes := range map[string]func(arg string) bool{
		"all":      func(string) bool { return true },
		"no -a":    func(arg string) bool { return !strings.HasPrefix(arg, "-a") },
		"no slash": func(arg string) bool { return !strings.HasSuffix(arg, "/") },
		"neither":  func(arg string) bool { return arg == "d" },
	} {
		for _, no := range []string{"", "550 no such directory", "501 what?", "450 no files"} {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Dirs["d"] = line
				f.On["LIST"] = func(s *fakeserver.Session, arg string) {
					switch {
					case takes(arg):
						s.Behave("LIST", arg)
					case no != "":
						s.Say(no)
					default:
						s.Say("150 here it comes")
						s.Send("")
						s.Say("226 done")
					}
				}
			})
			c := dial(t, f, nil)
			if entries, errs := collect(t, c, "d"); errs != nil || !slices.Equal(names(entries), []string{"x"}) {
				t.Errorf("%s, %q: %v, %v", name, no, entries, errs)
			}
		}
	}
}

// TestListIncomplete checks that a 226 whose text says that the listing is incomplete is an error.
func TestListIncomplete(t *testing.T) {
	const mlsd, list = "type=file;size=1; a\r\n", "-rw-r--r-- 1 a b 5 Jan  1 2020 a\r\n"
	for final, check := range map[string]func(err error) bool{
		"226-Options: -a -l \r\n226 Output truncated to 10000 matches": func(err error) bool { return errors.Is(err, client.ErrPartial) },
		"226-Output truncated to 10000 matches\r\n226 3 matches total": func(err error) bool { return errors.Is(err, client.ErrPartial) },
		"226 Transfer done (but failed to open directory).":            testutil.IsA[*ftp.Error],
	} {
		for verb, lines := range map[string]string{"MLSD": mlsd, "LIST": list, "NLST": "a\r\n"} {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				if f.Dirs["d"] = lines; verb == "MLSD" {
					f.Feat = fakeserver.MLST
				}
				f.On[verb] = func(s *fakeserver.Session, _ string) { s.Say("150 yes"); s.Send(lines); s.Say(final) }
			})
			c := dial(t, f, nil)
			if verb == "NLST" {
				if got, err := c.Names(t.Context(), "d"); !check(err) || len(got) != 1 {
					t.Errorf("%s: %q, %v", final, got, err)
				}
				continue
			}
			entries, errs := collect(t, c, "d")
			if len(entries) != 1 || len(errs) != 1 || !check(errs[0]) || f.Count(verb) != 1 {
				t.Errorf("%s, %s: %v, %v", verb, final, entries, errs)
			}
			var walked []error
			for _, err := range c.Walk(t.Context(), "d") {
				if err != nil {
					walked = append(walked, err)
				}
			}
			if len(walked) != 1 || !check(walked[0]) {
				t.Errorf("Walk, %s, %s: %v", verb, final, walked)
			}
			if _, err := c.Glob(t.Context(), "d/*"); errors.Is(errs[0], client.ErrPartial) && !errors.Is(err, client.ErrPartial) {
				t.Errorf("Glob, %s, %s: %v", verb, final, err)
			}
		}
	}
}

// TestListHalfLine checks listings whose last line has no line end. MLSD requires one, so the last name may be cut.
// LIST has no standard, and some servers omit the last line end.
func TestListHalfLine(t *testing.T) {
	for feat, lines := range map[string]string{
		"MLST": "type=file;size=2; a\r\ntype=file;size=2; bb",
		"":     "-rw-r--r-- 1 a b 5 Jan  1 2020 a\r\n-rw-r--r-- 1 a b 5 Jan  1 2020 bb",
	} {
		f := fakeserver.New(t, func(f *fakeserver.Server) { f.Feat, f.Dirs[""] = []string{"SIZE", feat}, lines })
		c := dial(t, f, nil)
		entries, errs := collect(t, c, "")
		switch {
		case feat == "":
			if !slices.Equal(names(entries), []string{"a", "bb"}) || errs != nil {
				t.Errorf("LIST: %v, %v", entries, errs)
			}
		case !slices.Equal(names(entries), []string{"a"}) || len(errs) != 1 || !testutil.IsA[*client.TruncatedError](errs[0]):
			t.Errorf("MLSD: %v, %v", entries, errs)
		}
	}
}

// TestListStyle checks that the date order which a later line shows is used for the whole listing.
func TestListStyle(t *testing.T) {
	for _, tt := range []struct {
		name, lines string
		want        []string
		bad         int
	}{
		{"order of dates", "A 1 04/12/14 14:19:31 *STMF one\r\nA 2 28/11/15 15:19:30 *STMF two\r\n", []string{"one 2014-12-04", "two 2015-11-28"}, 0},
		{"year on the left", "-rw-r--r-- 1 a b 5 Jan 01 2020  a\r\n-rw-r--r-- 1 a b 5 Jan 02 2020  b\r\n", []string{"a 2020-01-01", "b 2020-01-02"}, 0},
		{"leading blank", "-rw-r--r-- 1 a b 5 Jan 01 2020  a\r\n-rw-r--r-- 1 a b 5 Jan 02 2020 b\r\n", []string{" a 2020-01-01", "b 2020-01-02"}, 0},
		{"cut OpenVMS entry", "A.TXT;1  2  18-APR-2000 10:40:39\r\nA-LONG-NAME.TXT;1\r\n", []string{"A.TXT 2000-04-18"}, 1},
	} {
		f := fakeserver.New(t, func(f *fakeserver.Server) { f.Feat, f.Dirs[""] = []string{"SIZE"}, tt.lines })
		entries, errs := collect(t, dial(t, f, nil), "")
		var got []string
		for _, e := range entries {
			got = append(got, e.Name+" "+e.Modified.Format(time.DateOnly))
		}
		if !slices.Equal(got, tt.want) || len(errs) != tt.bad || tt.bad > 0 && !testutil.IsA[*ftp.LineError](errs[0]) {
			t.Errorf("%s: got %q, %v", tt.name, got, errs)
		}
	}
}

// TestListStopsAtHeldEntry checks that the loop can be left at an entry that was held back, after the transfer has
// failed.
func TestListStopsAtHeldEntry(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"SIZE"}
		f.On["LIST"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			s.Send("03/02/2024  05:04 7 a\r\n03/02/2024  05:04 7 b\r\n")
			s.Say("426 no")
		}
	})
	c := dial(t, f, nil)
	n := 0
	for _, err := range c.List(t.Context(), "") {
		if n++; err != nil {
			t.Error(err)
		}
		break
	}
	if n != 1 {
		t.Errorf("%d entries", n)
	}
	entries, errs := collect(t, c, "")
	if len(entries) != 2 || len(errs) != 1 {
		t.Errorf("entries %v, errors %v; want two entries and one error", entries, errs)
	}
}

func TestListEmptyDirectory(t *testing.T) {
	for _, code := range []string{"450", "550"} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.On["LIST"] = fakeserver.Says(code + " no files found")
			f.Dirs["empty"] = ""
		})
		c := dial(t, f, nil)
		if entries, errs := collect(t, c, "empty"); entries != nil || errs != nil {
			t.Errorf("%s: %v, %v", code, entries, errs)
		}
		if _, errs := collect(t, c, "missing"); len(errs) != 1 || !testutil.IsA[*ftp.Error](errs[0]) {
			t.Errorf("%s: missing: %v", code, errs)
		}
	}
}

func TestNames(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Dirs["pub"] = "pub/a\r\n./b\r\r\n.\r\n..\r\n c \r\n"
		f.Dirs["bad"] = "../x\r\n"
	})
	c := dial(t, f, nil)
	got, err := c.Names(t.Context(), "pub")
	if err != nil || !slices.Equal(got, []string{"a", "b", " c "}) {
		t.Errorf("Names: %q, %v", got, err)
	}
	if _, err := c.Names(t.Context(), "bad"); !testutil.IsA[*client.NameError](err) {
		t.Errorf("Names of a hostile listing: %v", err)
	}
}

func TestStat(t *testing.T) {
	t.Run("MLST", func(t *testing.T) {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Feat = fakeserver.MLST
			f.On["MLST"] = func(s *fakeserver.Session, arg string) {
				switch arg {
				case "/a/b.txt":
					s.Raw("250-Listing\r\n type=file;size=7;modify=20240102030405; /a/b.txt\r\n250 End\r\n")
				case "":
					s.Raw("250-Listing\r\n type=cdir; /\r\n250 End\r\n")
				case "blanks":
					s.Raw("250-Listing\r\n   type=file;size=7; blanks\r\n250 End\r\n")
				case "code":
					s.Raw("250-Listing\r\n250-type=file;size=7; code\r\n250 End\r\n")
				case "first":
					s.Raw("250-type=file;size=7; first\r\n250 End of a=b\r\n")
				case "alone":
					s.Raw("250 type=file;size=7; alone\r\n")
				case "odd":
					s.Raw("250 fine\r\n")
				default:
					s.Say("550 no such file")
				}
			}
		})
		c := dial(t, f, nil)
		e, err := c.Stat(t.Context(), "/a/b.txt")
		if err != nil || e.Name != "b.txt" || e.Size != 7 || e.Type != ftp.FileEntry || e.Modified.Year() != 2024 {
			t.Errorf("file: %+v, %v", e, err)
		}
		if e, err := c.Stat(t.Context(), ""); err != nil || e.Type != ftp.DirEntry {
			t.Errorf("directory: %+v, %v", e, err)
		}
		for _, name := range []string{"blanks", "code", "first", "alone"} {
			if e, err := c.Stat(t.Context(), name); err != nil || e.Name != name || e.Size != 7 || e.Type != ftp.FileEntry {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		}
		if _, err := c.Stat(t.Context(), "nope"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
		if _, err := c.Stat(t.Context(), "odd"); !testutil.IsA[*ftp.LineError](err) {
			t.Errorf("odd: %v", err)
		}
	})
	t.Run("without MLST", func(t *testing.T) {
		f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/a/b.txt"] = "1234567"; f.Dirs["/a"] = "" })
		c := dial(t, f, nil)
		e, err := c.Stat(t.Context(), "/a/b.txt")
		if err != nil || e.Name != "b.txt" || e.Size != 7 || e.Type != ftp.FileEntry || e.Modified.Year() != 2024 {
			t.Errorf("file: %+v, %v", e, err)
		}
		if e, err := c.Stat(t.Context(), "/a"); err != nil || e.Type != ftp.DirEntry || e.Name != "a" {
			t.Errorf("directory: %+v, %v", e, err)
		}
		if _, err := c.Stat(t.Context(), "/nope"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
	})
	t.Run("without SIZE", func(t *testing.T) {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Feat = nil
			f.On["SIZE"], f.On["MDTM"] = fakeserver.Says("500 what?"), fakeserver.Says("500 what?")
			f.Dirs["/a/"] = "-rw-r--r-- 1 a b 5 Jan  1 2020 b.txt\r\n"
		})
		c := dial(t, f, nil)
		e, err := c.Stat(t.Context(), "/a/b.txt")
		if err != nil || e.Name != "b.txt" || e.Size != 5 || e.Type != ftp.FileEntry {
			t.Errorf("file: %+v, %v", e, err)
		}
		if _, err := c.Stat(t.Context(), "/a/c.txt"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
		if f.Count("SIZE") != 1 {
			t.Errorf("commands %q", f.Commands())
		}
	})
}
