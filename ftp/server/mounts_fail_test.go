package server_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// flaky is a storage that can be made to fail.
type flaky struct {
	afero.Fs
	down atomic.Bool
}

func (f *flaky) Stat(name string) (fs.FileInfo, error) {
	if f.down.Load() {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: errors.New("timeout")}
	}
	return f.Fs.Stat(name)
}

func (f *flaky) Open(name string) (afero.File, error) {
	if f.down.Load() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("timeout")}
	}
	return f.Fs.Open(name)
}

// While the home fails, its listing is not one of the mount points alone, and its quota is not counted as empty.
func TestHomeFails(t *testing.T) {
	home := &flaky{Fs: fsroot.NewMem()}
	write(t, home, "/precious", "0123456789")
	tree := mounted(t, home, map[string]afero.Fs{"/in": fsroot.NewMem()})
	limited := server.Account{FS: tree, Perm: server.ReadWrite, Quota: server.Quota{Bytes: 50}, Mounts: []server.Mount{{Path: "/in", Perm: server.DropBox}}}
	free := limited
	free.Quota = server.Quota{}
	s := serve(t, nil, func(o *server.Options) {
		o.Auth = server.Static{"limited": {Password: "limited", Account: limited}, "free": {Password: "free", Account: free}}
	})
	c := s.login(t, "free")
	home.down.Store(true)
	for _, verb := range []string{"LIST", "MLSD", "NLST"} {
		d := c.epsv()
		if r := c.cmd(verb+" /", 150, 451, 550); r.Code == 150 {
			c.want(451, 550)
		}
		_ = d.Close()
	}
	c2 := s.connect(t)
	c2.cmd("USER limited", 331)
	c2.cmd("PASS limited", 421, 450, 530, 550)
	home.down.Store(false)
	wantText(t, s.login(t, "limited").cmd("SITE QUOTA", 200), 200, "10 of 50 bytes used")
}

// together is a storage whose directories can be read only when as many are opened at once as want is.
type together struct {
	afero.Fs
	want *sync.WaitGroup
}

func (f *together) Open(name string) (afero.File, error) {
	f.want.Done()
	all := make(chan struct{})
	go func() { f.want.Wait(); close(all) }()
	select {
	case <-all:
		return f.Fs.Open(name)
	case <-time.After(5 * time.Second):
		return nil, errors.New("one after the other")
	}
}

// panicking is a storage that panics when it is listed.
type panicking struct{ afero.Fs }

func (panicking) Open(string) (afero.File, error) { panic("a bug of the storage") }

// The mounts are counted at the same time, so each of them has all of the time for it. A storage that panics makes only its
// own count fail.
func TestMountsAreCountedAtOnce(t *testing.T) {
	var want sync.WaitGroup
	mounts, rules := map[string]afero.Fs{"/panics": panicking{fsroot.NewMem()}}, []server.Mount{{Path: "/panics", Perm: server.ReadWrite, Quota: server.Quota{Bytes: 5}}}
	for i := range 5 {
		name := fmt.Sprint("/", i)
		mem := fsroot.NewMem()
		write(t, mem, "/f", strings.Repeat("x", i))
		want.Add(1)
		mounts[name] = &together{mem, &want}
		rules = append(rules, server.Mount{Path: name, Perm: server.ReadWrite, Quota: server.Quota{Bytes: 100}})
	}
	c := serve(t, nil, as(server.Account{FS: mounted(t, fsroot.NewMem(), mounts), Perm: server.ReadWrite, Mounts: rules})).login(t, "u")
	for i := range 5 {
		c.cmd(fmt.Sprint("CWD /", i), 250)
		wantText(t, c.cmd("SITE QUOTA"), 200, fmt.Sprint(i, " of 100 bytes used"))
	}
	c.cmd("CWD /panics", 250)
	wantText(t, c.cmd("SITE QUOTA"), 451, "in a new session")
}
