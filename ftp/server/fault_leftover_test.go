package server_test

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// killed is an upload at the moment when its server is killed: a copy of its files in another directory, with
// another server. They are two hours old.
func killed(t *testing.T, name, part string) afero.Fs {
	t.Helper()
	fsys, from := disk(t)
	c := serve(t, fsys).login(t, "rw")
	d := c.starts("STOR " + name)
	_, err := io.WriteString(d, part)
	check(t, err)
	awaitHidden(t, fsys, len(part))
	after, to := disk(t)
	left, err := os.ReadDir(from)
	check(t, err)
	for _, f := range left {
		b, err := os.ReadFile(from + "/" + f.Name())
		check(t, err)
		check(t, os.WriteFile(to+"/"+f.Name(), b, 0o600))
		at := time.Now().Add(-2 * time.Hour)
		check(t, os.Chtimes(to+"/"+f.Name(), at, at))
	}
	_ = d.Close()
	c.want(226)
	return after
}

// Whatever the name of a file: after a sweep the upload that a killed server left can be resumed, and is not
// mistaken for an upload to another file.
func TestSweepNames(t *testing.T) {
	testutil.Long(t)
	long := strings.Repeat("n", 400)
	all := []string{
		"plain", "with blank", ".hidden", "a.b.c", "caf\xe9", "-la", "x.upload", ".x.upload", ".x.0123abcd.upload",
		"log.20240131", "log.20240131.deadbeef", "log~20240131", "0123abcd", ".0123abcd", long[:225] + ".20240131",
	}
	for n := 220; n <= 255; n++ {
		all = append(all, long[:n])
	}
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			fsys := killed(t, name, "first, ")
			if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{Kept: 1}) {
				t.Fatalf("the sweep did %+v, %v: %q", did, err, names(t, fsys, "/"))
			}
			if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{}) {
				t.Fatalf("the second sweep did %+v, %v: %q", did, err, names(t, fsys, "/"))
			}
			c := serve(t, fsys).login(t, "rw")
			for cut := name; ; { // such as log for log.20240131
				i := strings.LastIndexAny(cut, ".~")
				if i <= 0 {
					break
				}
				cut = cut[:i]
				c.cmd("SIZE "+cut, 550)
			}
			if r := c.cmd("SIZE "+name, 213); r.Text() != "7" {
				t.Errorf("SIZE: %s", r.Text())
			}
			c.cmd("REST 7", 350)
			c.put("STOR "+name, []byte("second"))
			if got := stored(t, fsys); !slices.Equal(got, []string{"/" + name + "=first, second"}) {
				t.Errorf("the tree is %q", got)
			}
		})
	}
}

// The interrupted upload of log.20240131 is not mistaken for a running upload to log, by a sweep or by RMD.
func TestSweepKeptPartOfADatedName(t *testing.T) {
	fsys, _ := disk(t)
	c := serve(t, fsys).login(t, "rw")
	cut(c, fsys, "STOR log.20240131", "part", "ABOR")
	before := names(t, fsys, "/")
	for _, name := range before {
		at := time.Now().Add(-day)
		check(t, fsys.Chtimes("/"+name, at, at))
	}
	if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{}) {
		t.Errorf("the sweep did %+v, %v", did, err)
	}
	if got := names(t, fsys, "/"); !slices.Equal(got, before) {
		t.Errorf("the tree is %q, was %q", got, before)
	}
	c.put("APPE log.20240131", []byte(" and rest"))
	if got := stored(t, fsys); !slices.Equal(got, []string{"/log.20240131=part and rest"}) {
		t.Errorf("the tree is %q", got)
	}
}

// An upload that resumes one of last week is running even before its first byte: no sweep may touch it.
func TestSweepLeavesAResumedUpload(t *testing.T) {
	for _, resume := range []string{"STOR", "APPE"} {
		both(t, func(t *testing.T, fsys afero.Fs) {
			aged(t, fsys, server.Hidden("/.f.upload"), "first, ", 7*day)
			c := serve(t, fsys).login(t, "rw")
			if resume == "STOR" {
				c.cmd("REST 7", 350)
			}
			d := c.starts(resume + " f")
			if did, err := server.Sweep(t.Context(), fsys, time.Hour); err != nil || did != (server.Swept{}) {
				t.Errorf("%s: the sweep did %+v, %v", resume, did, err)
			}
			_, err := io.WriteString(d, "second")
			check(t, err)
			check(t, d.Close())
			c.want(226)
			if got := stored(t, fsys); !slices.Equal(got, []string{"/f=first, second"}) {
				t.Errorf("%s: the tree is %q", resume, got)
			}
		})
	}
}

// RMD of a directory that looks empty to its client works, whatever interrupted uploads are in it, and its
// reply mentions them. A running upload is not removed.
func TestRemoveDirectoryWithLeftovers(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		c := serve(t, fsys).login(t, "rw")
		for _, tt := range []struct {
			file string
			age  time.Duration
			code int
			says string
		}{
			{"", 0, 250, "/d is removed."},
			{".f.upload", time.Minute, 250, "with the interrupted uploads in it (1)"},
			{".f.0123abcd.upload", time.Hour, 250, "with the interrupted uploads in it (1)"},
			{".f.0123abcd.upload", time.Second, 550, "an upload to it is running"},
			{"f", time.Hour, 550, "not empty"},
			{".profile", time.Hour, 550, "not empty"},
			{".f.0123abcd.upload/x", time.Hour, 550, "not empty"},
		} {
			check(t, fsys.MkdirAll("/d", 0o755))
			if !strings.Contains(tt.file, "/") {
				tt.file = server.Hidden(tt.file)
			}
			if tt.file != "" {
				aged(t, fsys, "/d/"+tt.file, "x", tt.age)
			}
			r := c.cmd("RMD d")
			if int(r.Code) != tt.code || !strings.Contains(r.Text(), tt.says) {
				t.Errorf("%s, %v old: %v, want %d with %q", tt.file, tt.age, r, tt.code, tt.says)
			}
			if exists(fsys, "/d/"+tt.file) != (tt.code == 550) {
				t.Errorf("%s, %v old: the directory exists or not, unlike the reply", tt.file, tt.age)
			}
			check(t, fsys.RemoveAll("/d"))
		}
		check(t, fsys.MkdirAll("/d", 0o755))
		write(t, fsys, server.Hidden("/d/.f.upload"), "kept")
		d := c.starts("STOR d/g")
		other := serve(t, fsys).login(t, "rw") // another server on the same directory
		other.cmd("RMD d", 550)
		if got := read(t, fsys, server.Hidden("/d/.f.upload")); got != "kept" {
			t.Errorf("a refused RMD left %q of the interrupted uploads", got)
		}
		_, err := io.WriteString(d, "whole")
		check(t, err)
		check(t, d.Close())
		c.want(226)
		if got := read(t, fsys, "/d/g"); got != "whole" {
			t.Errorf("stored %q", got)
		}
	})
}
