package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestHostileNamesStayInside: whatever names a server lists, in either format, as files or
// directories, nothing is written outside the target directory, and no control characters are
// printed.
func TestHostileNamesStayInside(t *testing.T) {
	for verb, line := range verbtest.HostileLines {
		for _, kind := range []string{"file", "dir"} {
			for _, args := range [][]string{{"get", "-r", "URL/d"}, {"get", "URL/d/*"}, {"get", "-r", "URL/d/*"}, {"ls", "-l", "URL/d"}, {"ls", "-R", "URL/d"}, {"stat", "URL/d/*"}, {"ls", "--json", "URL/d"}} {
				search, deep := strings.HasSuffix(args[len(args)-1], "*"), slices.Contains(args, "-r")
				h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
					if verb == "LIST" {
						h.Feat = ""
					}
					h.List = func(_, dir string, w io.Writer) {
						if path.Base(dir) != "d" {
							_, _ = io.WriteString(w, line("file", "leaf"))
							return
						}
						for _, name := range verbtest.HostileNames {
							if search && (name == "" || strings.ContainsAny(name, "/\x00\r")) {
								continue // such a name makes a search fail, which must be complete
							}
							_, _ = io.WriteString(w, line(kind, name))
						}
					}
				})
				top := t.TempDir()
				in := filepath.Join(top, "a", "b", "target")
				if err := os.MkdirAll(in, 0o755); err != nil {
					t.Fatal(err)
				}
				t.Chdir(filepath.Join(top, "a")) // so that .. in a name leads to a writable directory
				args = append([]string{args[0], "--retries", "0"}, args[1:]...)
				for i := range args {
					args[i] = strings.ReplaceAll(args[i], "URL", "ftp://"+h.Addr)
				}
				if args[0] == "get" {
					args = append(args, in)
				}
				_, out, errs := try(t, args...)
				verbtest.Outside(t, top, in)
				if found := verbtest.RawControl.FindString(out + errs); found != "" {
					t.Errorf("%s %v: %q in %q", verb, args[2:], found, out+errs)
				}
				if args[0] == "get" && (deep || kind == "file") && len(verbtest.Files(t, in)) == 0 {
					t.Errorf("%s %v fetched nothing: %s", verb, args, errs)
				}
				t.Chdir(top)
			}
		}
	}
}

// TestHostileLinks: a link in a listing that points outside the tree is never made. So a directory
// with the same name, listed before or after it, is not written through the link (CVE-2014-4877).
func TestHostileLinks(t *testing.T) {
	top := t.TempDir()
	victim, in := filepath.Join(top, "victim"), filepath.Join(top, "in")
	for _, dir := range []string{victim, in} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for verb, lines := range map[string][]string{
		"MLSD": {"type=OS.unix=slink:" + victim + "; evil\r\n", "type=dir; evil\r\n", "type=OS.unix=symlink; other\r\n", "type=file; other\r\n"},
		"LIST": {"lrwxrwxrwx 1 o g 7 Jan  1 2020 evil -> " + victim + "\r\n", "drwxr-xr-x 1 o g 7 Jan  1 2020 evil\r\n", "lrwxrwxrwx 1 o g 7 Jan  1 2020 other -> ../victim/x\r\n", "-rw-r--r-- 1 o g 7 Jan  1 2020 other\r\n"},
	} {
		for n := range 4 {
			backwards, how := n%2 > 0, []string{"skip", "copy"}[n/2]
			h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
				if verb == "LIST" {
					h.Feat = ""
				}
				h.List = func(_, dir string, w io.Writer) {
					ordered := slices.Clone(lines)
					if path.Base(dir) == "evil" {
						ordered = []string{verbtest.HostileLines[verb]("file", "planted")}
					} else if backwards {
						slices.Reverse(ordered)
					}
					_, _ = io.WriteString(w, strings.Join(ordered, ""))
				}
			})
			target := filepath.Join(in, fmt.Sprint(verb, n))
			_, _, errs := try(t, "get", "--retries", "0", "-r", "--links", how, "ftp://"+h.Addr+"/d", target)
			if got := verbtest.Files(t, victim); len(got) > 0 {
				t.Errorf("%s: %q were written through a link", verb, got)
			}
			if got := verbtest.Files(t, target); !slices.Equal(got, []string{"evil/planted", "other"}) || !strings.Contains(errs, "is a link") {
				t.Errorf("%s: %q were fetched: %s", verb, got, errs)
			}
			_ = filepath.WalkDir(in, func(name string, e fs.DirEntry, _ error) error {
				if e.Type()&fs.ModeSymlink != 0 {
					t.Errorf("%s: the link %s was created", verb, name)
				}
				return nil
			})
		}
	}
}

// TestLocalNamesAreTheUsers: the local name is the one that the user typed, whatever the server
// reports. It is only a name, never a command, a pipe or another file.
func TestLocalNamesAreTheUsers(t *testing.T) {
	h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.On["MLST"] = func(c *verbtest.Victim, _ string) {
			c.Say("250-facts\r\n type=file;size=7; /elsewhere/../.profile\r\n250 end")
		}
		h.On["RETR"] = func(c *verbtest.Victim, _ string) {
			c.TransferAs("150 FILE: ../.profile (7 bytes)", func(w io.Writer) { _, _ = io.WriteString(w, "content") })
		}
	})
	dir := t.TempDir()
	t.Chdir(dir)
	for typed, want := range map[string]string{
		"/x/plain": "plain", "/|touch%20made": "|touch made", "/a/-rf": "-rf", "/%2Fetc/passwd": "passwd", "/$(touch made)": "$(touch made)", "/a%5Cb": "a\\b",
	} {
		if code, _, errs := try(t, "get", "--retries", "0", "ftp://"+h.Addr+typed); code != 0 {
			t.Errorf("%s: exit %d: %s", typed, code, errs)
		}
		if got := verbtest.Files(t, dir); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: there is %q, want %q", typed, got, want)
		}
		_ = os.Remove(want)
	}
	if code, _, errs := try(t, "get", "--retries", "0", "ftp://"+h.Addr+"/x", "|touch made"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	if got := verbtest.Files(t, dir); !slices.Equal(got, []string{"|touch made"}) {
		t.Errorf("there is %q", got)
	}
	_ = os.Remove("|touch made")
	for _, none := range []string{"/a/..", "/..", "/.", "/a/."} {
		if code, _, errs := try(t, "get", "--retries", "0", "ftp://"+h.Addr+none); code != verb.ExitLocal {
			t.Errorf("%s: exit %d: %s", none, code, errs)
		}
	}
	if got := verbtest.Files(t, filepath.Dir(dir)); slices.ContainsFunc(got, func(name string) bool { return strings.HasSuffix(name, "made") || strings.HasSuffix(name, "profile") }) {
		t.Errorf("there is %q", got)
	}
}

// TestHostileWords: texts of the server are printed without control characters, by every verb and
// with every flag that shows them.
func TestHostileWords(t *testing.T) {
	const evil = "\x1b]0;owned\x07\x1b[31m\u009b2J\x08\x7f\x00\x0b"
	h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.Feat = " MLST type*;\r\n " + evil + "\r\n"
		h.On["greeting"] = func(c *verbtest.Victim, _ string) { c.Say("220-%s\r\n220 %s", evil, evil) }
		h.On["RETR"] = func(c *verbtest.Victim, _ string) { c.Say("550 %s", evil) }
		h.On["DELE"] = h.On["RETR"]
		h.On["RMD"] = h.On["RETR"]
		h.On["MLST"] = func(c *verbtest.Victim, _ string) {
			c.Say("250-%s\r\n type=file;size=7;perm=%s;unix.owner=%s;unix.group=%s;unique=%s; %s\r\n250 %s", evil, evil, evil, evil, evil, evil, evil)
		}
		h.List = func(_, _ string, w io.Writer) {
			fmt.Fprintf(w, "type=file;perm=%s;unix.owner=%s; x%s\r\ntype=OS.unix=slink:%s; l%s\r\n%s\r\n", evil, evil, evil, evil, evil, evil)
		}
		h.On["SITE"] = func(c *verbtest.Victim, _ string) { c.Say("500 %s", evil) }
		h.On["RNFR"] = h.On["RETR"]
	})
	t.Chdir(t.TempDir())
	url := "ftp://" + h.Addr
	for _, args := range [][]string{
		{"ls", "-v", "--explain", url + "/"},
		{"ls", "-l", "-R", url + "/"},
		{"ls", "--json", url + "/"},
		{"stat", url + "/f"},
		{"stat", "--json", url + "/f"},
		{"get", "-v", "--explain", url + "/f"},
		{"get", "--json", url + "/f"},
		{"get", "-r", url + "/d"},
		{"cat", url + "/f"},
		{"rm", url + "/f"},
		{"rm", "-r", "--json", url + "/f"},
		{"chmod", "644", url + "/f"},
		{"mv", url + "/f", "g"},
		{"hash", url + "/f"},
		{"mkdir", url + "/f"},
	} {
		_, out, errs := try(t, append([]string{args[0], "--retries", "0"}, args[1:]...)...)
		if found := verbtest.RawControl.FindString(out + errs); found != "" {
			t.Errorf("%v: %q in\n%q\n%q", args, found, out, errs)
		}
	}
	h = verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.On["greeting"] = func(c *verbtest.Victim, _ string) { c.Say("530 %s", evil) }
	})
	if _, out, errs := try(t, "ls", "--retries", "0", "ftp://"+h.Addr+"/"); verbtest.RawControl.MatchString(out + errs) {
		t.Errorf("a greeting: %q", errs)
	}
}

// TestHostileLinkInside: a link made by --links copy is not followed for a directory of the same
// name, in which another link could point outside the tree.
func TestHostileLinkInside(t *testing.T) {
	h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.List = func(_, dir string, w io.Writer) {
			all := "type=OS.unix=slink:sub; a\r\ntype=dir; a\r\ntype=dir; sub\r\n"
			if path.Base(dir) != "d" {
				all = "type=OS.unix=slink:../..; up\r\n"
			}
			if path.Base(dir) == "sub" {
				all = ""
			}
			_, _ = io.WriteString(w, all)
		}
	})
	top := t.TempDir()
	code, _, errs := try(t, "get", "--retries", "0", "-r", "--links", "copy", "ftp://"+h.Addr+"/d", filepath.Join(top, "in"))
	if code != verb.ExitLocal || !strings.Contains(errs, "in/a: there is a link where a directory should be") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if target, err := os.Readlink(filepath.Join(top, "in", "sub", "up")); err == nil {
		t.Errorf("a link to %s was created through another one", target)
	}
}
