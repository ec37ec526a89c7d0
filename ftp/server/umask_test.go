package server_test

import (
	"context"
	"io/fs"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// New files and directories have the umask of the account, to which SITE UMASK can only add. It begins anew with each login.
func TestAccountUmask(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys, func(o *server.Options) {
		o.Auth = server.AuthenticatorFunc(func(_ context.Context, l server.Login) (*server.Account, error) {
			a := &server.Account{FS: fsys, Perm: server.ReadWrite}
			if l.User == "strict" {
				a.Umask = 0o027
			}
			return a, nil
		})
	})
	c := s.connect(t)
	for i, step := range []struct {
		user, umask string
		file, dir   fs.FileMode
	}{
		{"strict", "", 0o640, 0o750},
		{"strict", "000", 0o640, 0o750},
		{"strict", "070", 0o600, 0o700},
		{"other", "", 0o644, 0o755}, // of the storage in memory
		{"strict", "", 0o640, 0o750},
	} {
		c.cmd("REIN", 220)
		c.cmd("USER "+step.user, 331)
		c.cmd("PASS x", 230)
		if step.umask != "" {
			c.cmd("SITE UMASK "+step.umask, 200)
		}
		name := string(rune('a' + i))
		c.cmd("MKD d"+name, 257)
		c.put("STOR f"+name, []byte("x"))
		for p, want := range map[string]fs.FileMode{"/d" + name: step.dir, "/f" + name: step.file} {
			fi, err := fsys.Stat(p)
			check(t, err)
			if fi.Mode().Perm() != want {
				t.Errorf("%s after %+v: mode %o, want %o", p, step, fi.Mode().Perm(), want)
			}
		}
	}
	if err := (server.Static{"a": {Password: "x", Account: server.Account{Umask: 0o1000}}}).Check(); err == nil {
		t.Error("a umask with other bits is accepted")
	}
}
