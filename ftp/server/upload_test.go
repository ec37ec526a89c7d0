package server_test

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// During an upload its bytes are under a hidden name. The final name leads to the old file, or to none, until
// the new file is whole.
func TestUploadIsHidden(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/old", "the old one")
		c := serve(t, fsys).login(t, "rw")
		for _, name := range []string{"old", "new"} {
			d := c.starts("STOR " + name)
			_, err := io.WriteString(d, "the new")
			check(t, err)
			await(t, func() bool { return len(names(t, fsys, "/")) > 1 })
			hidden := slices.DeleteFunc(names(t, fsys, "/"), func(n string) bool { return !strings.HasPrefix(n, "."+name+".") })
			if len(hidden) != 1 || !strings.HasSuffix(hidden[0], ".upload") {
				t.Errorf("hidden names: %q", names(t, fsys, "/"))
			}
			switch {
			case name == "new" && exists(fsys, "/new"):
				t.Error("/new exists before it is whole")
			case name == "old" && read(t, fsys, "/old") != "the old one":
				t.Errorf("/old contains %q before the new file is whole", read(t, fsys, "/old"))
			}
			_, err = io.WriteString(d, " one")
			check(t, err)
			check(t, d.Close())
			c.want(226)
			if got := read(t, fsys, "/"+name); got != "the new one" {
				t.Errorf("/%s contains %q", name, got)
			}
		}
		if got := names(t, fsys, "/"); !slices.Equal(got, []string{"new", "old"}) {
			t.Errorf("left: %q", got)
		}
	})
}

// await polls until ok returns true.
func await(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatal("timeout waiting for a condition")
		}
		time.Sleep(50 * time.Microsecond) // leave the processor to the server
	}
}

// An upload that is whole but can't get its name is kept without its last byte. Otherwise SIZE would show all of it, and a
// client such as curl -C - would take it for stored.
func TestUploadWithoutName(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		c := serve(t, fsys).login(t, "rw")
		d := c.starts("STOR f")
		_, err := io.WriteString(d, "content")
		check(t, err)
		check(t, fsys.Mkdir("/f", 0o755))
		check(t, d.Close())
		c.want(550)
		check(t, fsys.Remove("/f"))
		if r := c.cmd("SIZE f", 213); r.Text() != "6" {
			t.Errorf("the size is %v", r)
		}
		c.cmd("REST 6", 350)
		c.put("STOR f", []byte("t, and more"))
		if got := read(t, fsys, "/f"); got != "content, and more" {
			t.Errorf("/f contains %q", got)
		}
	})
}

// Hidden names are not listed, not even with -a.
func TestUploadIsNotListed(t *testing.T) {
	fsys, _ := disk(t)
	s := serve(t, fsys)
	c, other := s.login(t, "rw"), s.login(t, "ro")
	d := c.starts("STOR f")
	for _, cmd := range []string{"LIST", "NLST", "MLSD", "NLST .*"} {
		if cmd == "NLST .*" {
			other.cmd(cmd, 550)
			continue
		}
		for _, l := range other.lines(cmd) {
			if strings.Contains(l, "upload") {
				t.Errorf("%s lists %q", cmd, l)
			}
		}
	}
	if got := other.lines("NLST -a"); len(got) != 2 {
		t.Errorf("NLST -a: %q", got)
	}
	check(t, d.Close())
	c.want(226)
}

// With UploadInPlace the bytes go to the final name. A transfer that never starts destroys nothing there.
func TestUploadInPlace(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/old", "the old one, which is longer")
		c := serve(t, fsys, func(o *server.Options) { o.UploadInPlace = true }).login(t, "rw")
		c.cmd("STOR old", 425)
		c.cmd("STOR new", 425)
		c.cmd("EPSV", 229)
		c.raw("STOR old\r\nABOR\r\n")
		c.want(426)
		c.want(226)
		if got := read(t, fsys, "/old"); got != "the old one, which is longer" {
			t.Errorf("a transfer that never started has left %q", got)
		}
		if exists(fsys, "/new") {
			t.Error("a transfer that never started has made a file")
		}
		d := c.starts("STOR old")
		_, err := io.WriteString(d, "the new")
		check(t, err)
		await(t, func() bool {
			b, err := afero.ReadFile(fsys, "/old") // may be truncated at this moment
			return err == nil && string(b) == "the new"
		})
		check(t, d.Close())
		c.want(226)
		c.put("STOR new", []byte("x"))
		if got := names(t, fsys, "/"); !slices.Equal(got, []string{"new", "old"}) || read(t, fsys, "/old") != "the new" {
			t.Errorf("the tree is %q", got)
		}
	})
}

// A replaced file keeps its permission bits.
func TestUploadKeepsMode(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/f", "old")
	check(t, os.Chmod(dir+"/f", 0o640))
	c := serve(t, fsys).login(t, "rw")
	c.put("STOR f", []byte("new"))
	c.put("STOR g", []byte("new"))
	for name, want := range map[string]os.FileMode{"/f": 0o640, "/g": 0o644} {
		fi, err := os.Stat(dir + name)
		check(t, err)
		if fi.Mode() != want {
			t.Errorf("%s has the mode %v, want %v", name, fi.Mode(), want)
		}
	}
}

// An upload to a symlink writes to its target and keeps the link. A link out of the tree is refused.
func TestUploadOverSymlink(t *testing.T) {
	fsys, dir := disk(t)
	outside := t.TempDir() + "/victim"
	check(t, os.WriteFile(outside, []byte("safe"), 0o644))
	write(t, fsys, "/sub/f", "old")
	check(t, os.Symlink("sub/f", dir+"/rel"))
	check(t, os.Symlink(dir+"/sub/f", dir+"/abs"))
	check(t, os.Symlink("sub/new", dir+"/dangling"))
	check(t, os.Symlink(outside, dir+"/out"))
	check(t, os.Symlink("sub", dir+"/dir"))
	c := serve(t, fsys).login(t, "rw")
	for _, name := range []string{"rel", "abs", "dangling"} {
		c.put("STOR "+name, []byte("by "+name))
		if fi, err := os.Lstat(dir + "/" + name); err != nil || fi.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no longer a link", name)
		}
		if got := read(t, fsys, "/"+name); got != "by "+name {
			t.Errorf("%s leads to %q", name, got)
		}
	}
	if got := read(t, fsys, "/sub/f"); got != "by abs" {
		t.Errorf("/sub/f contains %q", got)
	}
	c.put("STOR dir/in", []byte("x"))
	for _, cmd := range []string{"STOR out", "APPE out", "STOR dir"} {
		c.cmd(cmd, 550)
	}
	c.cmd("REST 1", 350)
	c.cmd("STOR out", 550)
	if b, _ := os.ReadFile(outside); string(b) != "safe" {
		t.Errorf("outside is %q", b)
	}
}

// DropBox permits only new files: nothing can be read, listed, replaced or resumed.
func TestDropBox(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/theirs", "private")
	c := serve(t, fsys).login(t, "drop")
	c.put("STOR mine", []byte("mine"))
	for _, cmd := range []string{
		"STOR mine", "STOR theirs", "APPE mine", "APPE theirs", "RETR mine", "LIST", "NLST", "MLSD", "MLST mine", "STAT /", "SIZE mine", "MDTM mine",
		"DELE mine", "RNFR mine", "RNTO x", "MKD d", "RMD d", "SITE CHMOD 600 mine", "HASH mine", "MFMT 20200101000000 mine", "SITE SYMLINK mine l",
	} {
		if r := c.cmd(cmd); r.Code != 550 {
			t.Errorf("%s: %v, want 550", cmd, r)
		}
	}
	c.cmd("REST 2", 350)
	c.cmd("STOR theirs", 550)
	if read(t, fsys, "/mine") != "mine" || read(t, fsys, "/theirs") != "private" {
		t.Error("a file was changed")
	}
}

// Two uploads to one name at once do not mix: the one that ends last stays.
func TestUploadAlongside(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys)
	a, b := s.login(t, "rw"), s.login(t, "rw")
	da := a.starts("STOR f")
	db := b.starts("STOR f")
	_, err := io.WriteString(da, "from a")
	check(t, err)
	_, err = io.WriteString(db, "from b, longer")
	check(t, err)
	check(t, db.Close())
	b.want(226)
	if got := read(t, fsys, "/f"); got != "from b, longer" {
		t.Errorf("after b: %q", got)
	}
	check(t, da.Close())
	a.want(226)
	if got := read(t, fsys, "/f"); got != "from a" {
		t.Errorf("after a: %q", got)
	}
}

// A file with the longest name that the disk permits can be uploaded and resumed, although its hidden name
// needs more room.
func TestUploadLongName(t *testing.T) {
	fsys, _ := disk(t)
	s := serve(t, fsys)
	c := s.login(t, "rw")
	long := strings.Repeat("n", 255)
	c.put("STOR "+long, []byte("x"))
	if got := names(t, fsys, "/"); len(got) != 1 || got[0] != long {
		t.Errorf("the tree is %q", got)
	}
	c.cmd("STOR "+long+"n", 550, 553)
	cut(c, fsys, "STOR "+long[:250], "part", "hang up")
	c = s.login(t, "rw")
	await(t, func() bool { return c.cmd("SIZE "+long[:250]).Code == 213 })
	c.cmd("REST 4", 350)
	c.put("STOR "+long[:250], []byte(" and rest"))
	if got := read(t, fsys, "/"+long[:250]); got != "part and rest" {
		t.Errorf("resumed: %q", got)
	}
}

// Two uploads write to the same new file in place. The first one to be interrupted must not remove it, because
// the other still has it open. The last one removes it if it is empty.
func TestInPlaceTwoUploadsOfANewFile(t *testing.T) {
	for _, whole := range []bool{true, false} {
		fsys, _ := disk(t)
		s := serve(t, fsys, func(o *server.Options) { o.UploadInPlace = true })
		a, b := s.login(t, "rw"), s.login(t, "rw")
		waits := func(c *ctl) uint16 {
			port, err := ftp.Parse229(c.cmd("EPSV", 229).Text())
			check(t, err)
			c.send("APPE f")
			c.cmd("NOOP", 200) // answered when the file is open
			return port
		}
		aborts := func(c *ctl) {
			c.send("ABOR")
			c.want(426)
			c.want(226)
		}
		waits(a)
		port := waits(b)
		aborts(a)
		if !exists(fsys, "/f") {
			t.Fatal("the upload that was interrupted first has removed the other's file")
		}
		if !whole {
			aborts(b)
			if exists(fsys, "/f") {
				t.Error("two interrupted uploads have left an empty file")
			}
			continue
		}
		d := b.call(port)
		b.want(150)
		_, err := io.WriteString(d, "from B")
		check(t, err)
		check(t, d.Close())
		b.want(226)
		if got := read(t, fsys, "/f"); got != "from B" {
			t.Errorf("stored %q", got)
		}
	}
}
