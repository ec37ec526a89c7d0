package server_test

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// pretends is a storage whose Rename reports success and does nothing.
type pretends struct{ afero.Fs }

func (pretends) Rename(string, string) error { return nil }

// shortNames is a storage with names of up to 143 bytes, like eCryptfs.
type shortNames struct{ afero.Fs }

func (s shortNames) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	if len(path.Base(name)) > 143 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENAMETOOLONG}
	}
	return s.Fs.OpenFile(name, flag, perm)
}

// If a hidden name can't be used, the upload is written to its final name, and nothing else is left.
func TestUploadWithoutHiddenName(t *testing.T) {
	name := strings.Repeat("n", 140)
	for kind, wrap := range map[string]func(afero.Fs) afero.Fs{
		"rename does nothing": func(fsys afero.Fs) afero.Fs { return pretends{fsys} },
		"short names only":    func(fsys afero.Fs) afero.Fs { return shortNames{fsys} },
	} {
		fsys := fsroot.NewMem()
		c := serve(t, wrap(fsys)).login(t, "rw")
		c.put("STOR "+name, []byte("first"))
		c.put("STOR "+name, []byte("second"))
		if got := read(t, fsys, "/"+name); got != "second" {
			t.Errorf("%s: the file contains %q", kind, got)
		}
		if got := names(t, fsys, "/"); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: the tree is %q", kind, got)
		}
	}
}

// lateLook is a storage that answers the first lookup of a name late: do runs after the answer is determined.
type lateLook struct {
	afero.Fs
	name string
	done *atomic.Bool
	do   func()
}

func (l lateLook) Stat(name string) (fs.FileInfo, error) {
	fi, err := l.Fs.Stat(name)
	if name == l.name && l.done.CompareAndSwap(false, true) {
		l.do()
	}
	return fi, err
}

// STOU never announces the name of another STOU that ends at the same moment.
func TestStoreUniqueBesideAnother(t *testing.T) {
	fsys := fsroot.NewMem()
	late := lateLook{fsys, "/u", new(atomic.Bool), nil}
	var other *ctl
	late.do = func() { other.put("STOU u", []byte("the other")) }
	s := serve(t, &late)
	other = s.login(t, "rw")
	s.login(t, "rw").put("STOU u", []byte("this one"))
	var contents []string
	for _, name := range names(t, fsys, "/") {
		contents = append(contents, read(t, fsys, "/"+name))
	}
	slices.Sort(contents)
	if !slices.Equal(contents, []string{"the other", "this one"}) {
		t.Errorf("the files contain %q", contents)
	}
}

// DELE removes what could be resumed under that name afterwards, including an upload that was interrupted
// before the file existed.
func TestDeleteTakesInterruptedUploads(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/f", "whole")
		fi, err := fsys.Stat("/f")
		check(t, err)
		write(t, fsys, "/"+server.PartialName("f", "rw", nil, 0), "before there was a file")
		write(t, fsys, "/"+server.PartialName("f", "rw", fi, 0), "to replace it")
		write(t, fsys, "/"+server.PartialName("f", "drop", nil, 0), "another's")
		c := serve(t, fsys).login(t, "rw")
		c.cmd("DELE f", 250)
		c.cmd("SIZE f", 550)
		if got := names(t, fsys, "/"); len(got) != 1 {
			t.Errorf("the tree is %q", got)
		}
	})
}

// If another program has replaced the hidden file, that does not become the final one.
func TestUploadWhoseHiddenFileIsReplaced(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/other", "another file")
		c := serve(t, fsys).login(t, "rw")
		d := c.starts("STOR f")
		for _, name := range names(t, fsys, "/") {
			if _, _, ok := server.ParsePartial(name); ok {
				check(t, fsys.Rename("/other", "/"+name))
			}
		}
		_, err := io.WriteString(d, "content")
		check(t, err)
		check(t, d.Close())
		c.want(550)
		if exists(fsys, "/f") {
			t.Errorf("/f contains %q", read(t, fsys, "/f"))
		}
	})
}

// noAttributes is a storage without room for the attributes of a file.
type noAttributes struct{ afero.Fs }

func (noAttributes) Inherit(afero.File, afero.File) error { return syscall.ENOSPC }

// If there is no room for the attributes of the old file, that is not overwritten in place.
func TestUploadWithoutRoomForAttributes(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/f", "old")
	c := serve(t, noAttributes{fsys}).login(t, "rw")
	c.cmd("EPSV", 229)
	c.cmd("STOR f", 452)
	if b, err := os.ReadFile(path.Join(dir, "f")); err != nil || string(b) != "old" {
		t.Errorf("the file contains %q, %v", b, err)
	}
	if got := names(t, fsys, "/"); len(got) != 1 {
		t.Errorf("the tree is %q", got)
	}
}

// After a server was killed, and before a sweep, a client that resumes at the size of the old file is refused.
func TestResumeRightAfterAKill(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/f", "old")
		fi, err := fsys.Stat("/f")
		check(t, err)
		write(t, fsys, "/"+server.PartialName("f", "rw", fi, 1), "new con")
		c := serve(t, fsys).login(t, "rw")
		c.cmd("EPSV", 229)
		c.cmd("APPE f", 450)
		c.cmd("REST 3", 350)
		c.cmd("STOR f", 554)
		if got := read(t, fsys, "/f"); got != "old" {
			t.Errorf("/f contains %q", got)
		}
		c.put("STOR f", []byte("new content"))
	})
}

// A whole upload removes an older interrupted one of the same account, which could be resumed when the file is
// deleted.
func TestWholeUploadRemovesInterruptedOne(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		c := serve(t, fsys).login(t, "rw")
		d := c.starts("STOR f")
		_, err := io.WriteString(d, "half")
		check(t, err)
		check(t, d.SetLinger(0))
		check(t, d.Close())
		c.want(426)
		c.put("STOR f", []byte("whole"))
		if got := names(t, fsys, "/"); !slices.Equal(got, []string{"f"}) {
			t.Errorf("the tree is %q", got)
		}
	})
}
