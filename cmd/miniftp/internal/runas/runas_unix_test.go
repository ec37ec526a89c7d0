//go:build unix

package runas

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// TestLookup: a name and its number mean the same user; a group replaces all those of the database.
func TestLookup(t *testing.T) {
	found, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody")
	}
	uid, _ := strconv.Atoi(found.Uid)
	gid, _ := strconv.Atoi(found.Gid)
	for _, name := range []string{"nobody", found.Uid} {
		u, err := Lookup(name)
		if err != nil || u.UID != uid || u.GID != gid || !slices.Contains(u.Groups, gid) || u.Home != found.HomeDir {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
		u, err = Lookup(name + ":77")
		if err != nil || u.UID != uid || u.GID != 77 || !slices.Equal(u.Groups, []int{77}) {
			t.Errorf("%s:77: %+v, %v", name, u, err)
		}
	}
	if u, err := Lookup("2000000000:5"); err != nil || u.UID != 2000000000 || u.GID != 5 || u.Home != "" {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"", ":", "nobody:", "no such user", "-1:5", "4294967295:5", "5:4294967295", "root", "0:5"} {
		if u, err := Lookup(bad); err == nil {
			t.Errorf("%q: %+v", bad, u)
		}
	}
}

// TestDo: while f runs, files belong to the user; afterwards the process is root again.
func TestDo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	d, err := os.OpenRoot(dir) // the directory that contains it is closed to the user
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	u := &User{Name: "test", UID: 12345, GID: 12346, Groups: []int{12346}}
	before, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	err = u.Do(func() error {
		f, err := d.Create("f")
		if err != nil {
			return err
		}
		_ = f.Close()
		if os.Geteuid() != u.UID || os.Getegid() != u.GID {
			t.Errorf("%d:%d", os.Geteuid(), os.Getegid())
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Error(err)
	}
	after, err := os.Getgroups()
	if err != nil || os.Geteuid() != 0 || os.Getegid() != 0 || !slices.Equal(before, after) {
		t.Errorf("%d:%d %v, %v", os.Geteuid(), os.Getegid(), after, err)
	}
	fi, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	if st := fi.Sys().(*syscall.Stat_t); st.Uid != 12345 || st.Gid != 12346 {
		t.Errorf("the file belongs to %d:%d", st.Uid, st.Gid)
	}
}

// TestFixed: a path that the user can change is not fixed.
func TestFixed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs files of root")
	}
	u := &User{Name: "test", UID: 12345, GID: 12346, Groups: []int{12346}}
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(sub, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		uid, gid int
		mode     os.FileMode
		want     bool
	}{
		{"root's", 0, 0, 0o755, true},
		{"its group's", 0, 0, 0o775, true},
		{"the user's", 12345, 0, 0o755, false},
		{"the user's group's", 0, 12346, 0o775, false},
		{"everybody's", 0, 0, 0o777, false},
		{"sticky", 0, 0, 0o777 | os.ModeSticky, true},
	} {
		if err := errors.Join(os.Chown(dir, c.uid, c.gid), os.Chmod(dir, c.mode)); err != nil {
			t.Fatal(err)
		}
		if got := u.fixed(sub); got != c.want {
			t.Errorf("in a directory that is %s: %v", c.name, got)
		}
		if u.fixed(link) {
			t.Error("a link is fixed")
		}
	}
	if u.fixed(dir) {
		t.Error("files can be made in a sticky directory of all")
	}
}
