package server_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const dummyHash = 65534

// A file that the server's user may not write to is not replaced, as on other servers. One that it may write to
// but not replace is written in place and keeps its owner.
func TestReplacesOnlyWhatItMayWriteTo(t *testing.T) {
	dir := publicDir(t)
	check(t, os.Chown(dir, dummyHash, dummyHash))
	c := startChild(t, dir, dummyHash).login(t, "rw")
	for _, tt := range []struct {
		name     string
		dirMode  fs.FileMode
		dirOwner int
		mode     fs.FileMode
		owner    int
		refused  bool
	}{
		{"its own", 0o755, dummyHash, 0o644, dummyHash, false},
		{"its own, read-only", 0o755, dummyHash, 0o444, dummyHash, true},
		{"another's", 0o755, dummyHash, 0o644, 1000, true},
		{"another's, for all to write", 0o755, dummyHash, 0o666, 1000, false},
		{"in a sticky directory", fs.ModeSticky | 0o777, 1000, 0o666, 1000, false},
		{"in a directory that takes no new names", 0o755, 1000, 0o666, 1000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sub := filepath.Join(dir, "d")
			check(t, os.Mkdir(sub, 0o755))
			defer os.RemoveAll(sub)
			f := filepath.Join(sub, "f")
			check(t, os.WriteFile(f, []byte("precious"), 0o600))
			check(t, os.Chmod(f, tt.mode))
			check(t, os.Chown(f, tt.owner, tt.owner))
			check(t, os.Chown(sub, tt.dirOwner, tt.dirOwner))
			check(t, os.Chmod(sub, tt.dirMode))
			want := "new"
			if tt.refused {
				want = "precious"
				c.cmd("EPSV", 229)
				c.cmd("STOR d/f", 550)
			} else {
				c.put("STOR d/f", []byte("new"))
			}
			b, err := os.ReadFile(f)
			check(t, err)
			fi, err := os.Stat(f)
			check(t, err)
			st := fi.Sys().(*syscall.Stat_t)
			if string(b) != want || int(st.Uid) != tt.owner || fi.Mode() != tt.mode {
				t.Errorf("the file contains %q, of user %d, mode %v", b, st.Uid, fi.Mode())
			}
			if left, _ := os.ReadDir(sub); len(left) != 1 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A replaced file keeps its owner, group, mode, attributes and access control list, and the new content is
// never more accessible than the old. A file with several names keeps them.
func TestUploadKeepsAttributes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	fsys, dir := disk(t)
	c := serve(t, fsys).login(t, "rw")
	f := filepath.Join(dir, "f")
	check(t, os.WriteFile(f, []byte("old"), 0o600))
	check(t, os.Chown(f, 1000, 1001))
	acl := "\x02\x00\x00\x00" + // version 2; then tag, permissions and id of each entry
		"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xd2\x04\x00\x00" + "\x04\x00\x00\x00\xff\xff\xff\xff" +
		"\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	attributes := map[string]string{"user.origin": "camera 4", "system.posix_acl_access": acl}
	for name, value := range attributes {
		err := unix.Setxattr(f, name, []byte(value), 0)
		if errors.Is(err, unix.ENOTSUP) {
			delete(attributes, name) // the filesystem of the tests does not support this one
			continue
		}
		check(t, err)
	}
	check(t, os.Chmod(f, fs.ModeSetgid|0o640))
	before, err := os.Stat(f)
	check(t, err)
	same := func(name string) {
		t.Helper()
		fi, err := os.Stat(name)
		check(t, err)
		a, b := before.Sys().(*syscall.Stat_t), fi.Sys().(*syscall.Stat_t)
		if a.Uid != b.Uid || a.Gid != b.Gid || a.Mode != b.Mode {
			t.Errorf("%s is of %d:%d with mode %v", name, b.Uid, b.Gid, fi.Mode())
		}
		for attribute, want := range attributes {
			value := make([]byte, 100)
			n, err := unix.Getxattr(name, attribute, value)
			if err != nil || string(value[:n]) != want {
				t.Errorf("%s: %s is %q (%v)", name, attribute, value[:max(n, 0)], err)
			}
		}
	}
	d := c.starts("STOR f")
	hidden := ""
	for _, name := range names(t, fsys, "/") {
		if strings.HasSuffix(name, ".upload") {
			hidden = filepath.Join(dir, name)
		}
	}
	same(hidden)
	_, err = io.WriteString(d, "new")
	check(t, err)
	check(t, d.Close())
	c.want(226)
	same(f)
	if after, _ := os.Stat(f); os.SameFile(before, after) {
		t.Error("the file was written in place")
	}

	check(t, os.Link(f, filepath.Join(dir, "second name")))
	c.put("STOR f", []byte("newer"))
	if got := read(t, fsys, "/second name"); got != "newer" {
		t.Errorf("its second name leads to %q", got)
	}
	same(f)
}

// The set-user-ID bit does not survive a change of the content.
func TestUploadDropsSetUserID(t *testing.T) {
	fsys, dir := disk(t)
	f := filepath.Join(dir, "f")
	check(t, os.WriteFile(f, []byte("old"), 0o755))
	check(t, os.Chmod(f, fs.ModeSetuid|fs.ModeSetgid|0o755))
	serve(t, fsys).login(t, "rw").put("STOR f", []byte("new"))
	fi, err := os.Stat(f)
	check(t, err)
	if fi.Mode() != 0o755 {
		t.Errorf("mode %v", fi.Mode())
	}
}

// A replaced file does not get a default access control list from its directory: that could let others read
// what the mode of the old file kept from them.
func TestUploadTakesNoListOfItsDirectory(t *testing.T) {
	fsys, dir := disk(t)
	f := filepath.Join(dir, "f")
	check(t, os.WriteFile(f, []byte("old"), 0o600))
	check(t, os.Chmod(f, 0o640))
	list := "\x02\x00\x00\x00" + // version 2; then tag, permissions and id of each entry
		"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\xd2\x04\x00\x00" + "\x04\x00\x05\x00\xff\xff\xff\xff" +
		"\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
	if err := unix.Setxattr(dir, "system.posix_acl_default", []byte(list), 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the directory of the tests has no access control lists")
	} else if err != nil {
		t.Fatal(err)
	}
	c := serve(t, fsys).login(t, "rw")
	c.put("STOR f", []byte("new"))
	n, err := unix.Getxattr(f, "system.posix_acl_access", make([]byte, 100))
	if !errors.Is(err, unix.ENODATA) {
		t.Errorf("the file has a list of %d bytes (%v)", n, err)
	}
	fi, err := os.Stat(f)
	check(t, err)
	if fi.Mode() != 0o640 {
		t.Errorf("mode %v", fi.Mode())
	}
	c.put("STOR new", []byte("a new file has the list"))
	if _, err := unix.Getxattr(filepath.Join(dir, "new"), "system.posix_acl_access", make([]byte, 100)); err != nil {
		t.Error(err)
	}
}

// An upload replaces the file that exists at its end. It keeps the attributes of that, not of the file at its
// start.
func TestUploadKeepsAttributesOfALaterFile(t *testing.T) {
	fsys, dir := disk(t)
	f, came := filepath.Join(dir, "f"), filepath.Join(dir, "came")
	check(t, os.WriteFile(f, []byte("old"), 0o644))
	check(t, os.WriteFile(came, []byte("newer"), 0o644))
	if err := unix.Setxattr(came, "user.origin", []byte("camera 4"), 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the directory of the tests has no extended attributes")
	} else if err != nil {
		t.Fatal(err)
	}
	c := serve(t, fsys).login(t, "rw")
	d := c.starts("STOR f")
	check(t, os.Rename(came, f))
	_, err := io.WriteString(d, "newest")
	check(t, err)
	check(t, d.Close())
	c.want(226)
	value := make([]byte, 100)
	if n, err := unix.Getxattr(f, "user.origin", value); err != nil || string(value[:n]) != "camera 4" {
		t.Errorf("user.origin is %q (%v)", value[:max(n, 0)], err)
	}
	if got := read(t, fsys, "/f"); got != "newest" {
		t.Errorf("the file contains %q", got)
	}
}
