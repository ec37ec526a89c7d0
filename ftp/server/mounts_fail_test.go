package server_test

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"

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
