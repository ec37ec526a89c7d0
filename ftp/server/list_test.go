package server_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
)

// lastWords returns the last column of listing lines.
func lastWords(lines []string) []string {
	var names []string
	for _, l := range lines {
		names = append(names, l[strings.LastIndexByte(l, ' ')+1:])
	}
	return names
}

// tree is the tree of most listing tests: sizes and times differ.
func tree(t testing.TB, fsys afero.Fs) {
	t.Helper()
	for i, name := range []string{"/b", "/a", "/c.txt", "/d.txt", "/.hidden", "/sub/x", "/sub/y.txt", "/sub/deep/z"} {
		write(t, fsys, name, strings.Repeat("x", []int{3, 1, 2, 5, 4, 1, 1, 1}[i]))
		at := time.Date(2020, 1, 1+[]int{1, 2, 0, 3, 5, 6, 7, 8}[i], 0, 0, 0, 0, time.UTC)
		check(t, fsys.Chtimes(name, at, at))
	}
	old := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	check(t, fsys.Chtimes("/sub", old, old))
}

// both runs a test in memory and on disk.
func both(t *testing.T, f func(t *testing.T, fsys afero.Fs)) {
	t.Run("memory", func(t *testing.T) { f(t, fsroot.NewMem()) })
	t.Run("afero memory", func(t *testing.T) { f(t, afero.NewMemMapFs()) })
	t.Run("disk", func(t *testing.T) { fsys, _ := disk(t); f(t, fsys) })
}

func TestListOrders(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		tree(t, fsys)
		c := serve(t, fsys).login(t, "ro")
		for _, tt := range []struct{ cmd, want string }{
			{"LIST", "a b c.txt d.txt sub"},
			{"LIST /", "a b c.txt d.txt sub"},
			{"LIST -l", "a b c.txt d.txt sub"},
			{"LIST -la", ". .. .hidden a b c.txt d.txt sub"},
			{"LIST -a -l /", ". .. .hidden a b c.txt d.txt sub"},
			{"LIST -A /sub", ". .. deep x y.txt"},
			{"LIST -t", "d.txt a b c.txt sub"},
			{"LIST -lrt", "sub c.txt b a d.txt"},
			{"LIST -r", "sub d.txt c.txt b a"},
			{"LIST -S *", "d.txt b c.txt a sub"},
			{"LIST -Z --color -1 sub", "deep x y.txt"},
			{"LIST -d sub", "sub"},
			{"LIST sub/", "deep x y.txt"},
			{"LIST *.txt", "c.txt d.txt"},
			{"LIST sub/*", "sub/deep sub/x sub/y.txt"},
			{"LIST [ab]", "a b"},
			{"LIST ?.txt", "c.txt d.txt"},
			{"LIST .*", ".hidden"},
			{"LIST c.txt", "c.txt"},
			{"LIST /sub/x", "/sub/x"},
			{"NLST", "a b c.txt d.txt sub"},
			{"NLST sub", "sub/deep sub/x sub/y.txt"},
			{"NLST -a", ". .. .hidden a b c.txt d.txt sub"},
			{"NLST c.txt", "c.txt"},
			{"NLST *.txt", "c.txt d.txt"},
			{"NLST sub/*.txt", "sub/y.txt"},
			{"NLST -la", ". .. .hidden a b c.txt d.txt sub"},
			{"NLST /sub/*.txt", "/sub/y.txt"},
		} {
			got := lastWords(c.lines(tt.cmd))
			if strings.Contains(tt.cmd, "-S") { // the size of a directory depends on the disk
				got = slices.DeleteFunc(got, func(s string) bool { return s == "sub" })
				tt.want = strings.TrimSuffix(tt.want, " sub")
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s: %q, want %s", tt.cmd, got, tt.want)
			}
		}
		for _, cmd := range []string{"LIST missing", "NLST missing", "LIST *.nosuch", "LIST -la missing", "LIST [", "NLST a/b", "LIST -- -la"} {
			if r := c.cmd(cmd); r.Code != 550 {
				t.Errorf("%s: %v, want 550 without a 150", cmd, r)
			}
		}
	})
}

// The listing of an empty directory is empty and complete.
func TestEmptyDirectory(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		check(t, fsys.MkdirAll("/e", 0o755))
		c := serve(t, fsys).login(t, "ro")
		for _, cmd := range []string{"LIST /e", "NLST /e", "LIST -R /e"} {
			if got := c.lines(cmd); len(got) > 1 {
				t.Errorf("%s: %q", cmd, got)
			}
		}
		if got := c.lines("MLSD /e"); len(got) != 2 {
			t.Errorf("MLSD: %q, want cdir and pdir", got)
		}
	})
}

// A file with a name like a flag is listed, with LIST and with all other verbs.
func TestFileNamedLikeFlags(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/-la", "x")
		write(t, fsys, "/-d/in", "x")
		write(t, fsys, "/f", "x")
		c := serve(t, fsys).login(t, "rw")
		for cmd, want := range map[string]string{
			"LIST -la": "-la", "NLST -la": "-la", "LIST -d": "in", "LIST -a": ". .. -d -la f", "LIST -l -la": "-la", "LIST -- -la": "-la", "NLST -d": "-d/in", "STAT -la": "-la",
		} {
			var got []string
			if strings.HasPrefix(cmd, "STAT") {
				lines := c.cmd(cmd, 213).Lines
				got = lastWords(lines[1 : len(lines)-1])
			} else {
				got = lastWords(c.lines(cmd))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %q, want %s", cmd, got, want)
			}
		}
	})
}

// The columns are those of ls. The year replaces the time of day if a file is older than half a year or from
// the future.
func TestColumns(t *testing.T) {
	fsys, dir := disk(t)
	now := time.Now()
	files := []struct {
		name string
		mode os.FileMode
		at   time.Time
		want string
	}{
		{"recent", 0o644, now.Add(-time.Hour), `^-rw-r--r-- +1 \S+ +\S+ + 3 [A-Z][a-z]{2} [ \d]\d \d\d:\d\d recent$`},
		{"old", 0o755, now.AddDate(-1, 0, 0), `^-rwxr-xr-x .* 3 [A-Z][a-z]{2} [ \d]\d  \d{4} old$`},
		{"future", 0o400, now.AddDate(0, 0, 2), `^-r-------- .* [A-Z][a-z]{2} [ \d]\d  \d{4} future$`},
		{"leap", os.ModeSetuid | 0o755, time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), `^-rwsr-xr-x .* Feb 29  2024 leap$`},
	}
	for _, f := range files {
		write(t, fsys, "/"+f.name, "abc")
		check(t, os.Chmod(dir+"/"+f.name, f.mode))
		check(t, os.Chtimes(dir+"/"+f.name, f.at, f.at))
	}
	check(t, os.Mkdir(dir+"/dir", 0o777))
	check(t, os.Chmod(dir+"/dir", os.ModeSticky|0o777))
	check(t, os.Symlink("old", dir+"/link"))
	check(t, os.Symlink("nowhere", dir+"/dangling"))
	c := serve(t, fsys).login(t, "ro")
	lines := c.lines("LIST")
	for _, want := range []string{
		files[0].want, files[1].want, files[2].want, files[3].want, `^drwxrwxrwt .* dir$`, `^lrwxrwxrwx .* link -> old$`, `^lrwxrwxrwx .* dangling -> nowhere$`,
	} {
		if !slices.ContainsFunc(lines, regexp.MustCompile(want).MatchString) {
			t.Errorf("no line matches %s:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if got := c.lines("LIST dangling"); len(got) != 1 {
		t.Errorf("LIST of a dangling link: %q", got)
	}
}

// LIST -R lists subdirectories, each with a heading, and does not follow symlinks.
func TestListRecursive(t *testing.T) {
	fsys, dir := disk(t)
	tree(t, fsys)
	check(t, os.Symlink("..", dir+"/sub/up"))
	c := serve(t, fsys).login(t, "ro")
	got := c.lines("LIST -R")
	var short []string
	for _, l := range got {
		if l != "" && l[0] != '-' && l[0] != 'd' && l[0] != 'l' {
			short = append(short, l)
		}
	}
	if want := []string{".:", "sub:", "sub/deep:"}; !slices.Equal(short, want) {
		t.Errorf("headings %q, want %q in\n%s", short, want, strings.Join(got, "\n"))
	}
	if words := lastWords(got); !slices.Contains(words, "z") || slices.Contains(words, ".hidden") {
		t.Errorf("LIST -R lists %q", words)
	}
}

// LIST -R has a depth limit.
func TestListRecursionBound(t *testing.T) {
	fsys := fsroot.NewMem()
	deep := strings.Repeat("/d", 100)
	check(t, fsys.MkdirAll(deep, 0o755))
	c := serve(t, fsys).login(t, "ro")
	headings := 0
	for _, l := range c.lines("LIST -R") {
		if strings.HasSuffix(l, ":") {
			headings++
		}
	}
	if headings < 20 || headings > 40 {
		t.Errorf("LIST -R went into %d of 100 directories, want about 32", headings)
	}
}

// STAT with a path lists it on the control connection, even during a transfer.
func TestStatPath(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		tree(t, fsys)
		c := serve(t, fsys).login(t, "rw")
		r := c.cmd("STAT /", 212)
		if got := lastWords(r.Lines[1 : len(r.Lines)-1]); strings.Join(got, " ") != "a b c.txt d.txt sub" {
			t.Errorf("STAT /: %q", got)
		}
		r = c.cmd("STAT /sub/x", 213)
		if len(r.Lines) != 3 || !strings.HasSuffix(r.Lines[1], "/sub/x") {
			t.Errorf("STAT /sub/x: %q", r.Lines)
		}
		c.cmd("STAT /missing", 550)
		r = c.cmd("STAT", 211)
		if !strings.Contains(r.Text(), "rw") {
			t.Errorf("STAT: %q", r.Lines)
		}
	})
}

// Names that do not fit in a line are not listed, the others are.
func TestUnlistableNames(t *testing.T) {
	fsys, dir := disk(t)
	for _, name := range []string{"good", "line\nfeed", "carriage\rreturn", "200 fake", "tab\there"} {
		check(t, os.WriteFile(dir+"/"+name, nil, 0o644))
	}
	c := serve(t, fsys).login(t, "ro")
	for _, cmd := range []string{"NLST", "LIST", "MLSD", "STAT /"} {
		var got []string
		if cmd == "STAT /" {
			got = c.cmd(cmd, 212).Lines
		} else {
			got = c.lines(cmd)
		}
		n := 0
		for _, l := range got {
			if strings.HasSuffix(l, "good") || strings.HasSuffix(l, "200 fake") || strings.HasSuffix(l, "tab\there") {
				n++
			} else if strings.Contains(l, "feed") || strings.Contains(l, "return") {
				t.Errorf("%s lists %q", cmd, l)
			}
		}
		if n != 3 {
			t.Errorf("%s: %q", cmd, got)
		}
	}
}
