package server_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// facts reads an MLSD listing into a map by name.
func (c *ctl) facts(cmd string) map[string]ftp.Entry {
	c.t.Helper()
	m := map[string]ftp.Entry{}
	for _, l := range c.lines(cmd) {
		e, err := ftp.ParseMLSx(l)
		if err != nil {
			c.t.Errorf("%q: %v", l, err)
		}
		m[e.Name] = e
	}
	return m
}

// mlst returns the entry of an MLST reply.
func (c *ctl) mlst(path string) (ftp.Entry, string) {
	c.t.Helper()
	r := c.cmd("MLST "+path, 250)
	if len(r.Lines) != 3 || !strings.HasPrefix(r.Lines[1], " ") {
		c.t.Fatalf("MLST: %q", r.Lines)
	}
	e, err := ftp.ParseMLSx(r.Lines[1])
	check(c.t, err)
	return e, r.Lines[1]
}

func TestMLSD(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		tree(t, fsys)
		c := serve(t, fsys).login(t, "rw")
		m := c.facts("MLSD")
		for name, typ := range map[string]ftp.EntryType{".": ftp.CDirEntry, "a": ftp.FileEntry, ".hidden": ftp.FileEntry, "sub": ftp.DirEntry} {
			if m[name].Type != typ {
				t.Errorf("%s is a %v, want %v", name, m[name].Type, typ)
			}
		}
		if _, ok := m[".."]; ok || len(m) != 7 {
			t.Errorf("the root lists %d names, parent %v", len(m), ok)
		}
		if e := m["d.txt"]; e.Size != 5 || e.Modified.Format("20060102150405") != "20200104000000" || e.Perm != "adfrw" {
			t.Errorf("d.txt: %+v", e)
		}
		m = c.facts("MLSD sub")
		if m[".."].Type != ftp.PDirEntry || m["."].Type != ftp.CDirEntry || len(m) != 5 {
			t.Errorf("MLSD sub: %+v", m)
		}
		if e, _ := c.mlst("sub/y.txt"); e.Name != "/sub/y.txt" || e.Type != ftp.FileEntry || e.Size != 1 {
			t.Errorf("MLST: %+v", e)
		}
		if e, _ := c.mlst("sub"); e.Type != ftp.DirEntry || e.Perm != "cdeflmp" {
			t.Errorf("MLST of a directory: %+v", e)
		}
		c.cmd("CWD sub", 250)
		if e, _ := c.mlst(""); e.Name != "/sub" {
			t.Errorf("MLST without a path: %+v", e)
		}
	})
}

// Links are listed as links, with their target. Two names of one file have the same unique fact.
func TestLinks(t *testing.T) {
	fsys, dir := disk(t)
	tree(t, fsys)
	check(t, os.Symlink("sub", dir+"/toSub"))
	check(t, os.Symlink(dir+"/a", dir+"/toA"))
	check(t, os.Symlink("/etc", dir+"/out"))
	check(t, os.Link(dir+"/a", dir+"/sameA"))
	check(t, os.Chmod(dir+"/b", 0o640))
	c := serve(t, fsys).login(t, "rw")
	lines := c.lines("MLSD")
	text := strings.Join(lines, "\n")
	for _, want := range []string{"type=OS.unix=slink:sub;", "type=OS.unix=slink:/a;"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, dir) || strings.Contains(text, "/etc") {
		t.Errorf("there is a host path in\n%s", text)
	}
	m := c.facts("MLSD")
	if m["a"].Unique == "" || m["a"].Unique != m["sameA"].Unique || m["a"].Unique == m["b"].Unique {
		t.Errorf("unique: %q %q %q", m["a"].Unique, m["sameA"].Unique, m["b"].Unique)
	}
	if m["b"].Mode.Perm() != 0o640 || !m["b"].HasMode || m["b"].Owner == "" || m["b"].Group == "" {
		t.Errorf("b: %+v", m["b"])
	}
}

// The perm fact lists what the account may do.
func TestPerm(t *testing.T) {
	fsys, _ := disk(t)
	tree(t, fsys)
	perms := map[string][2]string{"rw": {"adfrw", "cdeflmp"}, "ro": {"r", "el"}, "lister": {"", "el"}}
	s := serve(t, fsys, func(o *server.Options) {
		users := o.Auth.(server.Static)
		users["lister"] = server.User{Password: "lister", Account: server.Account{FS: fsys, Perm: server.PermList}}
	})
	for user, want := range perms {
		m := s.login(t, user).facts("MLSD")
		if m["a"].Perm != want[0] || m["sub"].Perm != want[1] {
			t.Errorf("%s: file %q, directory %q, want %q", user, m["a"].Perm, m["sub"].Perm, want)
		}
	}
}

// OPTS MLST selects facts, which the reply lists in the server's order. Unknown facts are ignored; with none
// selected only names are listed.
func TestOptsMLST(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/f", "abc")
	c := serve(t, fsys).login(t, "rw")
	for _, tt := range []struct{ opts, reply, prefix string }{
		{"size;type;", "MLST OPTS type;size;", "type=file;size=3; "},
		{"SIZE;nosuch;UNIX.MODE;", "MLST OPTS size;UNIX.mode;", "size=3;UNIX.mode=0644; "},
		{"", "MLST OPTS", " "},
	} {
		if r := c.cmd(strings.TrimRight("OPTS MLST "+tt.opts, " "), 200); r.Text() != tt.reply {
			t.Errorf("OPTS MLST %s: %q, want %q", tt.opts, r.Text(), tt.reply)
		}
		if _, got := c.mlst("/f"); got != " "+tt.prefix+"/f" {
			t.Errorf("after OPTS MLST %s: %q", tt.opts, got)
		}
		if lines := c.lines("MLSD"); !slices.Contains(lines, tt.prefix+"f") {
			t.Errorf("after OPTS MLST %s: MLSD %q", tt.opts, lines)
		}
	}
	c.cmd("REIN", 220)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	if _, got := c.mlst("/f"); !strings.Contains(got, "perm=") {
		t.Errorf("REIN kept the facts: %q", got)
	}
}
