package server_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
)

// What exists already or is of the wrong kind is refused with 550, and nothing is changed.
func TestWrongKind(t *testing.T) {
	for _, kind := range []string{"memory", "disk"} {
		t.Run(kind, func(t *testing.T) {
			fsys := fsroot.NewMem()
			if kind == "disk" {
				fsys, _ = disk(t)
			}
			write(t, fsys, "/f", "x")
			write(t, fsys, "/d/g", "y")
			c := serve(t, fsys).login(t, "rw")
			for _, cmd := range []string{
				"MKD /f", "MKD /d", "MKD /", "MKD /missing/x", "MKD /f/x", "RMD /f", "RMD /d", "RMD /missing", "RMD /", "DELE /d",
				"DELE /missing", "DELE /", "CWD /f", "CWD /missing", "CWD /f/x", "RETR /d", "RETR /f/x", "STOR /d", "STOR /", "APPE /d",
				"STOR /missing/x", "STOR /f/x", "MLST /missing", "LIST /missing", "NLST /missing", "SIZE /d", "RNFR /missing", "RNFR /",
				"MFMT 20200101000000 /missing", "SITE CHMOD 600 /missing", "HASH /d", "XMD5 /missing", "AVBL /missing",
			} {
				if r := c.cmd(cmd); r.Code != 550 {
					t.Errorf("%s: %v, want 550", cmd, r)
				}
			}
			c.cmd("MLSD /f", 501) // RFC 3659 §7.2.1
			for _, to := range []string{"/d", "/d/g/x", "/missing/x", "/"} {
				c.cmd("RNFR /f", 350)
				c.cmd("RNTO "+to, 550, 553)
			}
			c.cmd("RNFR /d", 350)
			c.cmd("RNTO /d/inside", 553)
			if read(t, fsys, "/f") != "x" || read(t, fsys, "/d/g") != "y" || !slices.Equal(names(t, fsys, "/"), []string{"d", "f"}) {
				t.Errorf("the tree has changed: %q", names(t, fsys, "/"))
			}
		})
	}
}

// Any verb between RNFR and RNTO cancels the RNFR.
func TestRenameSequence(t *testing.T) {
	fsys := oneFile(t, "x")
	write(t, fsys, "/other", "y")
	c := serve(t, fsys).login(t, "rw")
	c.cmd("RNTO /g", 503)
	for _, between := range []string{"NOOP", "PWD", "SIZE /f", "RNFR /missing", "REST 0", "XYZZY", "MKD /f", "STAT", "TYPE I"} {
		c.cmd("RNFR /f", 350)
		c.cmd(between)
		c.cmd("RNTO /g", 503)
	}
	c.cmd("RNFR /f", 350)
	c.cmd("RNFR /other", 350) // the later one counts
	c.cmd("RNTO /g", 250)
	c.cmd("RNTO /h", 503)
	if read(t, fsys, "/g") != "y" || read(t, fsys, "/f") != "x" {
		t.Error("the wrong file was renamed")
	}
	c.cmd("RNFR /g", 350)
	c.cmd("RNTO /f", 250) // replaces the file, like rename
	if got := read(t, fsys, "/f"); got != "y" {
		t.Errorf("/f contains %q", got)
	}
}

// STOU creates a new name, announces it in the 150 as in RFC 1123 §4.1.2.9, and never uses an existing one.
func TestStoreUnique(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/f", "mine")
	s := serve(t, fsys)
	seen := map[string]bool{"/f": true}
	for range 5 {
		c := s.login(t, "drop")
		d := c.epsv()
		r := c.cmd("STOU f", 150)
		name, ok := strings.CutPrefix(r.Text(), "FILE: ")
		if !ok || seen[name] {
			t.Errorf("the 150 is %q, names so far %v", r.Text(), seen)
		}
		seen[name] = true
		_, err := d.Write([]byte(name))
		check(t, err)
		check(t, d.Close())
		if r := c.want(226); !strings.Contains(r.Text(), name) {
			t.Errorf("the 226 is %q", r.Text())
		}
		if got := read(t, fsys, name); got != name {
			t.Errorf("%s contains %q", name, got)
		}
	}
	if got := read(t, fsys, "/f"); got != "mine" {
		t.Errorf("/f contains %q", got)
	}
	c := s.login(t, "rw")
	d := c.epsv()
	c.cmd("STOU", 150)
	c.send("ABOR")
	c.want(426)
	c.want(226)
	_ = d.Close()
	if got := len(names(t, fsys, "/")); got != 6 {
		t.Errorf("an aborted STOU has left files: %q", names(t, fsys, "/"))
	}
}

// USER after a login removes the permissions until PASS, and all settings of the session.
func TestUserAfterLogin(t *testing.T) {
	fsys := oneFile(t, "x")
	check(t, fsys.MkdirAll("/d", 0o755))
	c := serve(t, fsys).login(t, "rw")
	c.cmd("CWD /d", 250)
	c.cmd("EPSV", 229)
	c.cmd("REST 3", 350)
	c.cmd("RNFR /f", 350)
	c.cmd("USER ro", 331)
	for _, cmd := range []string{"PWD", "RETR /f", "RNTO /g", "DELE /f", "LIST", "EPSV", "SITE HELP"} {
		c.cmd(cmd, 530)
	}
	c.cmd("PASS wrong", 530)
	c.cmd("PWD", 530)
	c.cmd("USER ro", 331)
	c.cmd("PASS ro", 230)
	if p := c.cmd("PWD", 257).Text(); p != `"/"` {
		t.Errorf("PWD %s: the old user's directory", p)
	}
	c.cmd("RETR /f", 425)
	c.cmd("DELE /f", 550)
	if got := string(c.get("RETR /f")); got != "x" {
		t.Errorf("RETR after a new login: %q", got)
	}
}

// A session ends after three wrong passwords.
func TestFailedLogins(t *testing.T) {
	s := serve(t, fsroot.NewMem())
	c := s.connect(t)
	for i, user := range []string{"rw", "nobody", "rw"} {
		c.cmd("USER "+user, 331) // does not show which names exist
		code := ftp.Code(530)
		if i == 2 {
			code = 421
		}
		r := c.cmd("PASS wrong", code)
		if i < 2 && r.Text() != "Login incorrect." {
			t.Errorf("PASS for %s: %q", user, r.Text())
		}
	}
	c.closed()
	for _, user := range []string{"anonymous", "ftp", "Anonymous", "FTP"} {
		c := s.connect(t)
		c.cmd("USER "+user, 331)
		c.cmd("PASS guest@example", 230)
	}
	c = s.connect(t)
	c.cmd("USER rw", 331)
	c.cmd("PASS", 530) // an empty password matches nothing
}

// Permission bits and times can be set with each of these commands.
func TestChanges(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/a file", "x")
	c := serve(t, fsys).login(t, "rw")
	for _, tt := range []struct{ cmd, time string }{
		{"MFMT 20010203040506 a file", "20010203040506"},
		{"MFF Modify=20020203040506;UNIX.mode=640; a file", "20020203040506"},
		{"MDTM 20030203040506 a file", "20030203040506"},
		{"SITE UTIME 20040203040506 a file", "20040203040506"},
		{"SITE UTIME 200502030405 a file", "20050203040500"},
		{"SITE UTIME a file 20060203040506 20070203040506 20080203040506 UTC", "20070203040506"},
	} {
		c.cmd(tt.cmd, 200, 213)
		if got := c.cmd("MDTM a file", 213).Text(); got != tt.time {
			t.Errorf("%s: MDTM %s", tt.cmd, got)
		}
	}
	c.cmd("SITE CHMOD 604 a file", 200)
	fi, err := os.Stat(dir + "/a file")
	check(t, err)
	if fi.Mode() != 0o604 {
		t.Errorf("SITE CHMOD 604: %v", fi.Mode())
	}
	for _, mode := range []string{"4755", "1777", "2755", "888", "x"} {
		c.cmd("SITE CHMOD "+mode+" a file", 501)
	}
	write(t, fsys, "/20200101000000 a file", "y") // a name that looks like a time
	if got := c.cmd("MDTM 20200101000000 a file", 213).Text(); got == "20200101000000" {
		t.Error("MDTM has treated a name as a time")
	}
}

// CWD, CDUP and the home: where each leads.
func TestDirectories(t *testing.T) {
	fsys := fsroot.NewMem()
	check(t, fsys.MkdirAll("/a/b", 0o755))
	c := serve(t, fsys).login(t, "rw")
	for _, tt := range []struct{ cmd, want string }{
		{"CWD a", "/a"},
		{"XCWD b", "/a/b"},
		{"CDUP", "/a"},
		{"XCUP", "/"},
		{"CDUP", "/"},
		{"CWD ../../a/./b/", "/a/b"},
		{"CWD .", "/a/b"},
		{"CWD //a", "/a"},
		{"CWD /", "/"},
	} {
		c.cmd(tt.cmd, 250)
		if p, err := ftp.Parse257(c.cmd("XPWD", 257).Text()); err != nil || p != tt.want {
			t.Errorf("after %s: %s", tt.cmd, p)
		}
	}
}
