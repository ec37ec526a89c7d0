package server_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/fsroot/mountfs"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// stubborn is a storage that accepts every time and mode but stores only some: times from 1980 on, as FAT does,
// and no modes.
type stubborn struct{ afero.Fs }

func (s stubborn) Chmod(string, fs.FileMode) error { return nil }

func (s stubborn) Chtimes(name string, a, m time.Time) error {
	if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); m.Before(first) {
		a, m = first, first
	}
	return s.Fs.Chtimes(name, a, m)
}

// failing is a storage that can't set times.
type failing struct{ afero.Fs }

func (failing) Chtimes(string, time.Time, time.Time) error { return errors.New("the disk is old") }

// A refused command leaves time and mode as they were; an accepted one has set both.
func TestAttributesAreAllOrNothing(t *testing.T) {
	was := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, tt := range []struct {
		cmd  string
		wrap func(afero.Fs) afero.Fs
		code ftp.Code
		time string // "": unchanged
		mode fs.FileMode
	}{
		{"MFMT 20200101000000 f", nil, 213, "20200101000000", 0},
		{"MDTM 20200101000000 f", nil, 213, "20200101000000", 0},
		{"SITE UTIME 202001010000 f", nil, 200, "20200101000000", 0},
		{"SITE UTIME f 20200101000000 20200102000000 20200103000000 UTC", nil, 200, "20200102000000", 0},
		{"SITE CHMOD 600 f", nil, 200, "", 0o600},
		{"MFF Modify=20200101000000;UNIX.mode=0600; f", nil, 213, "20200101000000", 0o600},
		{"MFF UNIX.mode=600;modify=20200101000000; f", nil, 213, "20200101000000", 0o600},

		{"MFMT 16000101000000 f", nil, 501, "", 0}, // package os would set another time
		{"MFMT 00010101000000 f", nil, 501, "", 0},
		{"MDTM 23000101000000 f", nil, 501, "", 0},
		{"SITE UTIME 99991231235959 f", nil, 501, "", 0},
		{"MFF UNIX.mode=0600;Modify=99991231235959; f", nil, 501, "", 0},
		{"MFF UNIX.mode=0600;Modify=nonsense; f", nil, 501, "", 0},
		{"MFF UNIX.mode=0600;Size=3; f", nil, 504, "", 0},
		{"MFF UNIX.mode=0600; missing", nil, 550, "", 0},

		{"MFMT 19700101000000 f", func(f afero.Fs) afero.Fs { return stubborn{f} }, 504, "", 0},
		{"MDTM 19700101000000 f", func(f afero.Fs) afero.Fs { return stubborn{f} }, 504, "", 0},
		{"SITE CHMOD 600 f", func(f afero.Fs) afero.Fs { return stubborn{f} }, 504, "", 0},
		{"MFF Modify=20200101000000;UNIX.mode=0600; f", func(f afero.Fs) afero.Fs { return stubborn{f} }, 504, "", 0},
		{"MFF UNIX.mode=0600;Modify=20200101000000; f", func(f afero.Fs) afero.Fs { return failing{f} }, 451, "", 0},
	} {
		disk, dir := disk(t)
		write(t, disk, "/f", "content")
		check(t, os.Chmod(dir+"/f", 0o640))
		check(t, os.Chtimes(dir+"/f", was, was))
		served := disk
		if tt.wrap != nil {
			served = tt.wrap(disk)
		}
		r := serve(t, served).login(t, "rw").cmd(tt.cmd)
		fi, err := os.Stat(dir + "/f")
		check(t, err)
		if tt.time == "" {
			tt.time = ftp.FormatTime(was)
		}
		if tt.mode == 0 {
			tt.mode = 0o640
		}
		if got := ftp.FormatTime(fi.ModTime()); r.Code != tt.code || got != tt.time || fi.Mode().Perm() != tt.mode {
			t.Errorf("%s: %v, and the file has %s and %v; want %d, %s and %v", tt.cmd, r, got, fi.Mode().Perm(), tt.code, tt.time, tt.mode)
		}
		if r.Code == 213 && !strings.Contains(r.Text(), tt.time) {
			t.Errorf("%s: %v does not contain the time of the file", tt.cmd, r)
		}
	}
}

// A directory where sessions start keeps its owner's rights, under whatever name a command refers to it. SITE
// CHMOD keeps the bits of a directory that it does not set.
func TestHomesKeepTheirRights(t *testing.T) {
	t.Run("Static", func(t *testing.T) { homesKeepTheirRights(t, func(s server.Static) server.Authenticator { return s }) })
	t.Run("UsersAuthenticator", func(t *testing.T) {
		homesKeepTheirRights(t, func(s server.Static) server.Authenticator {
			return struct {
				server.AuthenticatorFunc
				usersOf
			}{s.Authenticate, usersOf(s)}
		})
	})
}

// mustNotBeAsked is a storage that no command may ask for a file.
type mustNotBeAsked struct {
	afero.Fs
	t *testing.T
}

func (m mustNotBeAsked) Stat(name string) (fs.FileInfo, error) {
	m.t.Errorf("the storage of a mount is asked for %s", name)
	return m.Fs.Stat(name)
}

// usersOf implements server.UsersAuthenticator.
type usersOf server.Static

func (u usersOf) Users() server.Static { return server.Static(u) }

func homesKeepTheirRights(t *testing.T, auth func(server.Static) server.Authenticator) {
	t.Helper()
	root, dir := disk(t)
	for _, d := range []string{"/home/al", "/other/root/in", "/opened/in", "/plain"} {
		check(t, root.MkdirAll(d, 0o755))
	}
	check(t, os.Symlink("home/al", dir+"/link"))
	check(t, os.Symlink("..", dir+"/plain/up"))
	other, err := fsroot.OpenRoot(dir + "/other/root")
	check(t, err)
	t.Cleanup(func() { _ = other.Close() })
	s := serve(t, root, func(o *server.Options) {
		users := o.Auth.(server.Static)
		users["al"] = server.User{Password: "al", Account: server.Account{FS: root, Home: "/home/al", Perm: server.ReadWrite}}
		users["bo"] = server.User{Password: "bo", Account: server.Account{FS: other, Home: "in", Perm: server.ReadWrite}}
		opened := func(context.Context) (afero.Fs, io.Closer, error) {
			t.Error("the files of another user are opened")
			return nil, nil, errors.New("far away")
		}
		users["cy"] = server.User{Password: "cy", Account: server.Account{Open: opened, Dir: dir + "/opened", Home: "in", Perm: server.ReadWrite}}
		users["di"] = server.User{Password: "di", Account: server.Account{Open: opened, Perm: server.ReadWrite}}
		far := mountfs.Mount{Path: "/far", FS: mustNotBeAsked{fsroot.NewMem(), t}}
		tree, err := mountfs.New(fsroot.NewMem(), far)
		check(t, err)
		users["ed"] = server.User{Password: "ed", Account: server.Account{
			FS: tree, Home: "/far/ed", Perm: server.ReadWrite, Mounts: []server.Mount{{Path: "/far", Perm: server.ReadWrite}},
		}}
		o.Auth = auth(users)
	})
	c := s.login(t, "rw")
	for _, p := range []string{"/", ".", "/home/al", "/link", "/plain/up", "/other/root", "/other/root/in", "/opened", "/opened/in"} {
		for _, mode := range []string{"000", "077", "500", "677", "600"} {
			c.cmd("SITE CHMOD "+mode+" "+p, 550)
			c.cmd("MFF UNIX.mode="+mode+"; "+p, 550)
		}
		c.cmd("SITE CHMOD 711 "+p, 200)
	}
	c.cmd("SITE CHMOD 500 /plain", 200)
	c.cmd("SITE CHMOD 700 /plain", 200)
	check(t, os.Chmod(dir+"/plain", fs.ModeSetgid|0o755))
	c.cmd("SITE CHMOD 775 /plain", 200)
	if fi, err := os.Stat(dir + "/plain"); err != nil || fi.Mode() != fs.ModeDir|fs.ModeSetgid|0o775 {
		t.Errorf("mode %v, error %v", fi.Mode(), err)
	}
}

// SITE UMASK affects new files and directories as its reply says.
func TestUmask(t *testing.T) {
	fsys, dir := disk(t)
	c := serve(t, fsys).login(t, "rw")
	modes := func() map[string]fs.FileMode {
		t.Helper()
		for _, cmd := range []string{"STOR f", "STOU u", "APPE g"} {
			c.put(cmd, []byte("x"))
		}
		c.cmd("MKD d", 257)
		all := map[string]fs.FileMode{}
		for _, name := range []string{"f", "u", "g", "d"} {
			fi, err := os.Stat(dir + "/" + name)
			check(t, err)
			all[name] = fi.Mode().Perm()
			check(t, os.Remove(dir+"/"+name))
		}
		return all
	}
	usual := modes() // with the umask of this process
	c.cmd("SITE UMASK", 200)
	c.cmd("SITE UMASK 077", 200)
	for name, mode := range modes() {
		if mode != usual[name]&^0o077 {
			t.Errorf("SITE UMASK 077: %s has %v", name, mode)
		}
	}
	c.cmd("SITE UMASK 888", 501)
	c.cmd("SITE UMASK 1000", 501)
	if r := c.cmd("SITE UMASK", 200); !strings.Contains(r.Text(), "077") {
		t.Errorf("unexpected reply %v", r)
	}
	c.cmd("SITE UMASK 000", 200)
	if got := modes(); !maps.Equal(got, usual) {
		t.Errorf("SITE UMASK 000: %v, want %v", got, usual)
	}
}
