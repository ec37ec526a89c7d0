package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// device makes u a device that has these permissions.
func device(fsys afero.Fs, perm server.Perm) func(*server.Options) {
	return as(server.Account{FS: fsys, Perm: perm, Compat: server.CompatDevice})
}

const notOverwrite = server.ReadWrite &^ server.PermOverwrite

// After an upload got a number, the commands of its client act on it, and not on the file that had the name.
func TestDeviceMeansItsFile(t *testing.T) {
	onDeviceStorages(t, func(t *testing.T, fsys afero.Fs) {
		seen := &changes{}
		s := serve(t, fsys, device(fsys, notOverwrite), func(o *server.Options) { o.Observer = seen })
		s.login(t, "u").put("STOR up.tmp", []byte("Monday"))
		old, err := fsys.Stat("/up.tmp")
		check(t, err)
		c := s.login(t, "u")
		c.cmd("TYPE I", 200)
		c.put("STOR up.tmp", []byte("Tuesday's"))
		if _, isBucket := fsys.(server.UploadFs); !isBucket {
			wantText(t, c.cmd("SITE CHMOD 640 up.tmp"), 200, "/up-1.tmp")
		}
		wantText(t, c.cmd("SIZE up.tmp"), 213, "9")
		if got := string(c.get("RETR up.tmp")); got != "Tuesday's" {
			t.Errorf("RETR sends %q", got)
		}
		wantText(t, c.cmd("MLST up.tmp"), 250, "/up-1.tmp")
		want := sum([]byte("Tuesday's"))
		wantText(t, c.cmd("HASH up.tmp"), 213, want)
		wantText(t, c.cmd("XSHA256 up.tmp"), 250, strings.ToUpper(want))
		wantText(t, c.cmd("XSHA256 up.tmp 0 9"), 250, strings.ToUpper(want))
		seen.take()
		for i, set := range []string{"MFMT %s up.tmp", "MFF Modify=%s; up.tmp", "SITE UTIME %s up.tmp", "MDTM %s up.tmp"} {
			at := fmt.Sprintf("202001010000%02d", 10*i)
			if c.cmd(fmt.Sprintf(set, at), 213, 200); !strings.HasPrefix(set, "SITE") {
				wantText(t, c.cmd("MDTM up.tmp"), 213, at)
			}
		}
		for _, event := range seen.take() {
			if !strings.Contains(event, " /up-1.tmp ") {
				t.Errorf("reported %q", event)
			}
		}
		if fi, err := fsys.Stat("/up.tmp"); err != nil || !fi.ModTime().Equal(old.ModTime()) || fi.Mode() != old.Mode() {
			t.Errorf("the old file was changed: %v, %v", fi, err)
		}
		c.cmd("RNFR up.tmp", 350)
		wantText(t, c.cmd("RNTO up.tmp"), 250, "/up-1.tmp keeps its name")
		c.cmd("RNFR up.tmp", 350)
		wantText(t, c.cmd("RNTO tuesday.jpg"), 250, "/up-1.tmp is now /tuesday.jpg")
		c.cmd("DELE up.tmp", 550) // it is gone: not the old one
		if read(t, fsys, "/up.tmp") != "Monday" || read(t, fsys, "/tuesday.jpg") != "Tuesday's" {
			t.Error("the wrong file was renamed")
		}

		wantText(t, c.put("STOR up.tmp", []byte("third")), 226, "/up-1.tmp")
		c.cmd("RNFR up.tmp", 350)
		seen.take()
		wantText(t, c.cmd("RNTO tuesday.jpg"), 250, "Renamed to /tuesday-1.jpg: /tuesday.jpg exists")
		if got := seen.take(); !slices.Equal(got, []string{"RNTO /up-1.tmp 250"}) {
			t.Errorf("reported %q", got)
		}
		if read(t, fsys, "/tuesday.jpg") != "Tuesday's" || read(t, fsys, "/tuesday-1.jpg") != "third" {
			t.Error("the wrong file was replaced")
		}
		wantText(t, c.cmd("DELE tuesday.jpg"), 250, "/tuesday-1.jpg is deleted")

		// A new file of that name is meant from then on, and so is every file in another session.
		wantText(t, c.put("STOR up.tmp", []byte("fourth")), 226, "/up-1.tmp")
		check(t, fsys.Remove("/up.tmp"))
		c.put("STOR up.tmp", []byte("the fifth"))
		wantText(t, c.cmd("SIZE up.tmp"), 213, "9")
		c.put("STOR up.tmp", []byte("6"))
		wantText(t, c.cmd("SIZE up.tmp"), 213, "1")
		wantText(t, s.login(t, "u").cmd("SIZE up.tmp"), 213, "9")
		c.cmd("REIN", 220)
		c.cmd("USER u", 331)
		c.cmd("PASS u", 230)
		c.cmd("TYPE I", 200)
		wantText(t, c.cmd("SIZE up.tmp"), 213, "9")
	})
}

// The session remembers the last names only.
func TestDeviceMeansFewFiles(t *testing.T) {
	fsys, _ := disk(t)
	c := serve(t, fsys, device(fsys, notOverwrite)).login(t, "u")
	c.cmd("TYPE I", 200)
	for range 2 {
		for i := range 9 {
			c.put(fmt.Sprintf("STOR f%d", i), make([]byte, i))
			c.put(fmt.Sprintf("STOR f%d", i), make([]byte, 10+i))
		}
	}
	for i := range 9 {
		want := fmt.Sprint(10 + i)
		if i == 0 {
			want = "0"
		}
		wantText(t, c.cmd(fmt.Sprintf("SIZE f%d", i)), 213, want)
	}
}

// A time that is sent ahead is that of the upload with the number, in a storage that stores it with the file, too.
func TestDeviceTimeAhead(t *testing.T) {
	onDeviceStorages(t, func(t *testing.T, fsys afero.Fs) {
		c := serve(t, fsys, device(fsys, notOverwrite)).login(t, "u")
		c.put("STOR p", []byte("old"))
		d := c.epsv()
		c.send("STOR p")
		c.want(150)
		c.send("MFMT 20200101000000 p")
		c.send("NOOP")
		_, _ = io.WriteString(d, "x")
		check(t, d.Close())
		c.want(226)
		wantText(t, c.want(213), 213, "/p-1")
		c.want(200)
		if fi, err := fsys.Stat("/p-1"); err != nil || !fi.ModTime().Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%v, %v", fi, err)
		}
	})
}

// Devices that rename to one name at once lose nothing.
func TestDevicesRenameAtOnce(t *testing.T) {
	parallel(t)
	onDeviceStorages(t, func(t *testing.T, fsys afero.Fs) {
		const devices, each = 4, 4
		s := serve(t, fsys, device(fsys, server.PermStore|server.PermRename))
		var wg sync.WaitGroup
		for i := range devices {
			c := s.login(t, "u")
			wg.Go(func() {
				for n := range each {
					c.put("STOR up.tmp", fmt.Appendf(nil, "%d of %d", n, i))
					c.cmd("RNFR up.tmp", 350)
					c.cmd("RNTO p.jpg", 250)
					c.put("STOR p.jpg", fmt.Appendf(nil, "other %d of %d", n, i))
				}
			})
		}
		wg.Wait()
		found := map[string]bool{}
		for _, name := range names(t, fsys, "/") {
			found[read(t, fsys, "/"+name)] = true
		}
		if len(found) != 2*devices*each {
			t.Errorf("%d of %d pictures are left: %v", len(found), 2*devices*each, names(t, fsys, "/"))
		}
	})
}

// MKD of a directory that exists succeeds for a device where it may make nothing, too, and at mount points.
func TestDeviceMakesWhatExists(t *testing.T) {
	home, _ := disk(t)
	check(t, home.MkdirAll("/d/e", 0o755))
	write(t, home, "/file", "x")
	tree := mounted(t, home, map[string]afero.Fs{"/in": fsroot.NewMem(), "/p/q": fsroot.NewMem()})
	mounts := []server.Mount{{Path: "/in", Perm: server.DropBox}, {Path: "/p/q", Perm: server.ReadOnly}}
	for _, perm := range []server.Perm{server.ReadOnly, server.ReadWrite, server.DropBox} {
		seen := &changes{}
		c := serve(t, nil, as(server.Account{FS: tree, Perm: perm, Mounts: mounts, Compat: server.CompatDevice}), func(o *server.Options) { o.Observer = seen }).login(t, "u")
		for _, dir := range []string{"/", "/d", "d/e", "/in", "/p", "/p/q"} {
			wantText(t, c.cmd("MKD "+dir), 257, "exists already")
		}
		if got := seen.take(); len(got) > 0 {
			t.Errorf("reported %q", got)
		}
		c.cmd("MKD /file", 550)
		c.cmd("MKD /p/q/new", 550)
		c.cmd("RMD /in", 550)
		if perm == server.ReadOnly {
			c.cmd("MKD /new", 550)
		}
		c = serve(t, nil, as(server.Account{FS: tree, Perm: perm, Mounts: mounts})).login(t, "u")
		for _, dir := range []string{"/d", "/in", "/p"} {
			c.cmd("MKD "+dir, 550)
		}
	}
}

// The reply to an upload with a number that was interrupted says how to resume it.
func TestDeviceResumesNumbered(t *testing.T) {
	hint := func(t *testing.T, c *ctl, r ftp.Reply) {
		t.Helper()
		advice := regexp.MustCompile(`resume with (REST \d+) and (STOR \S*[^., ])`).FindStringSubmatch(r.Text())
		if advice == nil {
			t.Fatalf("no advice in %q", r.Text())
		}
		c.cmd(advice[1], 350)
		c.put(advice[2], []byte("rest"))
	}
	both(t, func(t *testing.T, fsys afero.Fs) {
		c := serve(t, fsys, withDevices).login(t, "cam")
		c.put("STOR a.jpg", []byte("old"))
		d := c.starts("STOR a.jpg")
		_, err := d.Write([]byte("half"))
		check(t, err)
		awaitHidden(t, fsys, 4)
		check(t, d.SetLinger(0))
		check(t, d.Close())
		hint(t, c, c.want(426))
		if got := read(t, fsys, "/a-1.jpg"); got != "halfrest" || read(t, fsys, "/a.jpg") != "old" {
			t.Errorf("stored %q", got)
		}
	})
	t.Run("gate", func(t *testing.T) {
		fsys, _ := disk(t)
		var works atomic.Bool
		c := serve(t, fsys, withDevices, gated(func(context.Context, *server.GateUpload) error {
			if !works.Load() {
				return errors.New("down")
			}
			return nil
		})).login(t, "cam")
		write(t, fsys, "/a.jpg", "old")
		d := c.starts("STOR a.jpg")
		_, err := d.Write([]byte("half!"))
		check(t, err)
		check(t, d.Close())
		r := c.want(451)
		works.Store(true)
		hint(t, c, r)
		if got := read(t, fsys, "/a-1.jpg"); got != "halfrest" {
			t.Errorf("stored %q", got)
		}
	})
}

// An upload that gets a number at its end makes the interrupted upload to that name obsolete, and not the one to the name that
// was asked for.
func TestDeviceNumberAndPartials(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		c := serve(t, fsys, withDevices).login(t, "cam")
		for _, name := range []string{"p", "p-1"} {
			d := c.starts("STOR " + name)
			_, err := d.Write([]byte("half of " + name))
			check(t, err)
			awaitHidden(t, fsys, len("half of "+name))
			check(t, d.SetLinger(0))
			check(t, d.Close())
			c.want(426)
		}
		d := c.starts("STOR p")
		write(t, fsys, "/p", "first")
		check(t, d.Close())
		wantText(t, c.want(226), 226, "Stored as /p-1")
		if got, want := partials(t, fsys), []string{server.PartialName("p", "cam", nil, 0)}; !slices.Equal(got, want) {
			t.Errorf("%v is left, want %v", got, want)
		}
	})
}
