package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/fsroot/mountfs"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// mounted returns the tree of a home with a storage mounted at each path of mounts.
func mounted(t *testing.T, home afero.Fs, mounts map[string]afero.Fs) *mountfs.FS {
	t.Helper()
	var all []mountfs.Mount
	for p, fsys := range mounts {
		all = append(all, mountfs.Mount{Path: p, FS: fsys})
	}
	tree, err := mountfs.New(home, all...)
	check(t, err)
	return tree
}

// as makes one user, u, with an account.
func as(a server.Account) func(*server.Options) {
	return func(o *server.Options) { o.Auth = server.Static{"u": {Password: "u", Account: a}} }
}

// Every verb, in the home and in a mount, from inside and from outside of it, for all pairs of permissions: only those of the
// storage that the path is in count.
func TestEveryVerbByMount(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	perms := map[string]server.Perm{"rw": server.ReadWrite, "ro": server.ReadOnly, "drop": server.DropBox}
	for homePerm, inHome := range perms {
		for mountPerm, inMount := range perms {
			t.Run(homePerm+" "+mountPerm, func(t *testing.T) {
				var account server.Account
				s := serve(t, nil, func(o *server.Options) {
					o.Auth = server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
						a := account
						return &a, nil
					})
				})
				for _, v := range server.Verbs() {
					for _, path := range []string{"/", "/m/"} {
						for _, cwd := range []string{"/", "/m"} {
							home, homeDir := disk(t)
							mount, mountDir := disk(t)
							for _, fsys := range []afero.Fs{home, mount} {
								write(t, fsys, "/f", "content")
								check(t, fsys.MkdirAll("/d", 0o755))
								check(t, fsys.MkdirAll("/empty", 0o755))
							}
							account = server.Account{
								FS: mounted(t, home, map[string]afero.Fs{"/m": mount}), Home: cwd, Perm: inHome,
								Mounts: []server.Mount{{Path: "/m", Perm: inMount}},
							}
							perm, cmd := inHome, strings.ReplaceAll(line(v.Name), " /", " "+path)
							if takes := strings.Contains(cmd, " "+path); takes && path == "/m/" || !takes && cwd == "/m" {
								perm = inMount
							}
							want := verbCodes[v.Name]
							if !perm.Has(v.Perm) || v.Name == "STAT" && !perm.Has(server.PermList) {
								want = 550
							}
							c := s.login(t, "u")
							r := c.cmd(cmd)
							if r.Code != want {
								t.Errorf("%s in %s: reply %v, want %d", cmd, cwd, r, want)
							}
							if strings.Contains(r.Text(), homeDir) || strings.Contains(r.Text(), mountDir) {
								t.Errorf("%s: reply %q shows the host path", cmd, r.Text())
							}
							for _, fsys := range []afero.Fs{home, mount} {
								if want == 550 && !slices.Equal(names(t, fsys, "/"), []string{"d", "empty", "f"}) {
									t.Errorf("%s changed the tree though it was refused", cmd)
								}
							}
							_ = c.Close()
						}
					}
				}
			})
		}
	}
}

// Arguments whose path depends on what exists are judged by that path.
func TestMountPermissionsCantBeEvaded(t *testing.T) {
	home, _ := disk(t)
	secret, _ := disk(t)
	write(t, home, "/f", "content")
	write(t, home, "/-x/f", "content")
	write(t, secret, "/s", "secret")
	tree := mounted(t, home, map[string]afero.Fs{"/in": secret})
	c := serve(t, nil, as(server.Account{FS: tree, Perm: server.ReadWrite, Mounts: []server.Mount{{Path: "/in", Perm: server.DropBox}}})).login(t, "u")
	for _, line := range []string{
		"LIST -x/../in", "NLST -x/../in", "STAT -x/../in", "LIST -a /in", "LIST /in/*", "STAT -la in/s", "MLSD in", "MLST /in/s", "SIZE in/s", "MDTM in/s",
		`XCRC "/in/s" 0 1`, "XCRC /in/s 0 1", "HASH in/s", "RETR in/s", "RETR -x/../../in/s", "DELE in/s", "MDTM 20200101000000 /in/s",
		"SITE UTIME in/s 20200101000000 20200101000000 20200101000000 UTC", "SITE UTIME 20200101000000 in/s", "MFMT 20200101000000 in/s", "STOR in/s", "APPE in/s",
		"RNFR in/s", "MKD in/d", "RMD in/d", "STOU in",
	} {
		c.cmd("EPSV", 229)
		if r := c.cmd(line); r.Code != 550 || strings.Contains(r.Text(), "no such") {
			t.Errorf("%s: %v", line, r)
		}
	}
	if got := strings.Join(c.lines("LIST -R /"), "\n"); strings.Contains(got, " s") || !strings.Contains(got, "in:") {
		t.Errorf("LIST -R shows a drop box: %s", got)
	}
	c.cmd("CWD in", 250)
	if r := c.put("STOR new", []byte("x")); r.Code != 226 || read(t, secret, "/new") != "x" {
		t.Errorf("an upload to the drop box: %v", r)
	}
	if r := c.put("STOU", []byte("x")); r.Code != 226 || read(t, secret, "/upload") != "x" {
		t.Errorf("STOU in the drop box: %v", r)
	}
	c.cmd("EPSV", 229)
	if r := c.cmd("LIST", 550); !strings.Contains(r.Text(), "in /in") {
		t.Errorf("the refusal does not name the mount: %v", r)
	}
}

// STOU can't be made to choose a name beside a mount in which the account has other rights.
func TestUniqueBesideMount(t *testing.T) {
	home, drop := fsroot.NewMem(), fsroot.NewMem()
	c := serve(t, nil, as(server.Account{
		FS: mounted(t, home, map[string]afero.Fs{"/in": drop, "/upload": drop}), Perm: server.ReadOnly,
		Mounts: []server.Mount{{Path: "/in", Perm: server.DropBox}, {Path: "/upload", Perm: server.DropBox}},
	})).login(t, "u")
	c.cmd("EPSV", 229)
	c.cmd("STOU in", 550)
	c.cmd("STOU", 550)
	if got := names(t, home, "/"); len(got) > 0 {
		t.Errorf("the home contains %q", got)
	}
}

// mounts on disk, in memory and in a bucket, each with each as the home.
func eachPair(t *testing.T, run func(t *testing.T, home, mount afero.Fs)) {
	kinds := map[string]func(*testing.T) afero.Fs{
		"disk": func(t *testing.T) afero.Fs { root, _ := disk(t); return root },
		"mem":  func(*testing.T) afero.Fs { return fsroot.NewMem() }, "bucket": func(*testing.T) afero.Fs { return newBucket() },
		"afero": func(*testing.T) afero.Fs { return afero.NewMemMapFs() },
	}
	for home, newHome := range kinds {
		for mount, newMount := range kinds {
			t.Run(mount+" in "+home, func(t *testing.T) { run(t, newHome(t), newMount(t)) })
		}
	}
}

// Transfers, resumed ones too, and all other commands work on both sides of a mount, whatever the two storages are.
func TestMounts(t *testing.T) {
	eachPair(t, func(t *testing.T, home, mount afero.Fs) {
		write(t, home, "/top", "top")
		write(t, home, "/m/hidden", "hidden")
		write(t, mount, "/below", "below")
		account := server.Account{FS: mounted(t, home, map[string]afero.Fs{"/m": mount, "/a/b/c": fsroot.NewMem()}), Perm: server.ReadWrite}
		account.Mounts = []server.Mount{{Path: "/m", Perm: server.ReadWrite}, {Path: "/a/b/c", Perm: server.ReadWrite}}
		s := serve(t, nil, as(account))
		c := s.login(t, "u")
		c.cmd("TYPE I", 200)
		wantList := func(line, want string) {
			t.Helper()
			got := c.lines(line)
			slices.Sort(got)
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
		wantList("NLST", "a m top")
		wantList("NLST /m", "/m/below")
		wantList("NLST /a", "/a/b")
		wantList("NLST *", "a m top")
		if got := c.lines("MLSD /"); !slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, "; m") && strings.Contains(l, "type=dir") }) {
			t.Errorf("MLSD: %q", got)
		}
		if r := c.cmd("MLST /a/b", 250); !strings.Contains(r.Text(), "type=dir") {
			t.Errorf("MLST: %v", r)
		}
		for side, fsys := range map[string]afero.Fs{"/": home, "/m/": mount} {
			if r := c.put("STOR "+side+"new", []byte("0123456789")); r.Code != 226 {
				t.Fatalf("STOR in %s: %v", side, r)
			}
			if r := c.put("APPE "+side+"new", []byte("ab")); r.Code != 226 {
				t.Fatalf("APPE in %s: %v", side, r)
			}
			c.cmd("REST 5", 350)
			if r := c.put("STOR "+side+"new", []byte("X")); r.Code != 226 || read(t, fsys, "/new") != "01234X6789ab" {
				t.Errorf("STOR after REST in %s: %v: %q", side, r, read(t, fsys, "/new"))
			}
			c.cmd("REST 3", 350)
			if got := string(c.get("RETR " + side + "new")); got != "34X6789ab" {
				t.Errorf("RETR in %s: %q", side, got)
			}
			c.cmd("MKD "+side+"d", 257)
			c.cmd("RNFR "+side+"new", 350)
			c.cmd("RNTO "+side+"d/old", 250)
			c.cmd("RNFR "+side+"d", 350)
			c.cmd("RNTO "+side+"e", 250)
			c.cmd("SIZE "+side+"e/old", 213)
			c.cmd("MDTM "+side+"e/old", 213)
			c.cmd("HASH "+side+"e/old", 213)
			c.cmd("DELE "+side+"e/old", 250)
			c.cmd("RMD "+side+"e", 250)
			if r := c.put("STOU "+side+"u", []byte("u")); r.Code != 226 || read(t, fsys, "/u") != "u" {
				t.Errorf("STOU in %s: %v", side, r)
			}
		}
		for _, p := range []string{"/m", "/a", "/a/b", "/a/b/c"} {
			c.cmd("RMD "+p, 550)
			c.cmd("DELE "+p, 550)
			c.cmd("MKD "+p, 550)
			c.cmd("RNFR "+p, 550)
			c.cmd("RNFR top", 350)
			c.cmd("RNTO "+p, 550)
			if r := c.cmd("SITE CHMOD 700 "+p, 550); !strings.Contains(r.Text(), "another storage is mounted") {
				t.Errorf("SITE CHMOD: %v", r)
			}
			c.cmd("MFMT 20200101000000 "+p, 550)
			c.cmd("SITE UTIME 20200101000000 "+p, 550)
			c.cmd("CWD "+p, 250)
			c.cmd("CWD /", 250)
			c.cmd("EPSV", 229)
			c.cmd("STOR "+p, 550)
		}
		c.cmd("EPSV", 229)
		c.cmd("STOR /a/x", 550)
		c.cmd("MKD /a/x", 550)
		c.cmd("RNFR top", 350)
		c.cmd("RNTO /a/x", 550)
		if read(t, home, "/m/hidden") != "hidden" || exists(home, "/a") {
			t.Error("the home was changed below a mount")
		}
	})
}

// A rename across storages is refused before anything changes, also that of a directory.
func TestRenameAcrossMounts(t *testing.T) {
	eachPair(t, func(t *testing.T, home, mount afero.Fs) {
		write(t, home, "/d/f", "content")
		write(t, mount, "/d/g", "content")
		s := serve(t, nil, as(server.Account{
			FS: mounted(t, home, map[string]afero.Fs{"/m": mount, "/n": mount}), Perm: server.ReadWrite,
			Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite}, {Path: "/n", Perm: server.ReadWrite}},
		}))
		c := s.login(t, "u")
		for _, pair := range [][2]string{{"/d", "/m/e"}, {"/d/f", "/m/f"}, {"/m/d/g", "/g"}, {"/m/d", "/n/e"}} {
			c.cmd("RNFR "+pair[0], 350)
			if r := c.cmd("RNTO "+pair[1], 553); !strings.Contains(r.Text(), "/m") || !strings.Contains(r.Text(), "copy the file") {
				t.Errorf("%q: %v", pair, r)
			}
		}
		if read(t, home, "/d/f") != "content" || read(t, mount, "/d/g") != "content" || len(names(t, home, "/")) != 1 || len(names(t, mount, "/")) != 1 {
			t.Errorf("something was moved: %q, %q", names(t, home, "/"), names(t, mount, "/"))
		}
	})
	home, _ := disk(t)
	mount, _ := disk(t)
	write(t, home, "/f", "content")
	write(t, mount, "/f", "content")
	c := serve(t, nil, as(server.Account{FS: mounted(t, home, map[string]afero.Fs{"/m": mount}), Perm: server.ReadWrite, Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite}}})).login(t, "u")
	c.cmd("SITE SYMLINK m/f /link", 553)
	c.cmd("SITE SYMLINK ../f /m/link", 553)
	c.cmd("SITE SYMLINK f /m/link", 200)
	if r := c.cmd("MLST /m/link", 250); !strings.Contains(r.Text(), "link") {
		t.Errorf("MLST of a link in a mount: %v", r)
	}
}

// The perm fact is that of the storage, and never permits to change a mount point.
func TestPermFactInMounts(t *testing.T) {
	home, _ := disk(t)
	mount, _ := disk(t)
	for _, fsys := range []afero.Fs{home, mount} {
		write(t, fsys, "/f", "content")
	}
	c := serve(t, nil, as(server.Account{FS: mounted(t, home, map[string]afero.Fs{"/m": mount}), Perm: server.ReadOnly, Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite}}})).login(t, "u")
	for _, want := range []struct{ dir, name, perm string }{
		{"/", "f", "r"}, {"/", "m", "celmp"}, {"/m", "f", "adfrw"}, {"/m", "/m", "celmp"},
	} {
		found := false
		for _, l := range c.lines("MLSD " + want.dir) {
			facts, name, _ := strings.Cut(l, " ")
			found = found || (name == want.name || strings.Contains(facts, "type=cdir") && strings.HasPrefix(want.name, "/")) && strings.Contains(";"+facts, ";perm="+want.perm+";")
		}
		if !found {
			t.Errorf("MLSD %s: %q has no %s with perm=%s", want.dir, c.lines("MLSD "+want.dir), want.name, want.perm)
		}
	}
	if r := c.cmd("MLST /m", 250); !strings.Contains(r.Text(), "perm=celmp;") {
		t.Errorf("MLST /m: %v", r)
	}
}

// The quota of the account counts what is in no mount. A mount has a quota of its own or none.
func TestQuotaOfMounts(t *testing.T) {
	eachPair(t, func(t *testing.T, home, mount afero.Fs) {
		write(t, home, "/before", "0123456789")
		write(t, home, "/m/hidden", "0123456789")
		write(t, mount, "/d/before", "01234")
		free := fsroot.NewMem()
		account := server.Account{
			FS: mounted(t, home, map[string]afero.Fs{"/m": mount, "/free": free}), Perm: server.ReadWrite, Quota: server.Quota{Bytes: 100},
			Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite, Quota: server.Quota{Bytes: 50, Files: 3}}, {Path: "/free", Perm: server.ReadWrite}},
		}
		c := serve(t, nil, as(account)).login(t, "u")
		c.cmd("TYPE I", 200)
		wantUsed := func(dir, want string) {
			t.Helper()
			c.cmd("CWD "+dir, 250)
			if r := c.cmd("SITE QUOTA", 200); !strings.Contains(r.Text()+strings.Join(r.Lines, ""), want) {
				t.Errorf("in %s: %v, want %s", dir, r, want)
			}
		}
		wantUsed("/", "10 of 100 bytes")
		wantUsed("/m/d", "5 of 50 bytes")
		wantUsed("/m", "1 of 3 files")
		wantUsed("/free", "no quota in /free")
		c.put("STOR /m/a", make([]byte, 20))
		c.put("STOR /free/a", make([]byte, 200))
		c.put("STOR /b", make([]byte, 30))
		c.put("APPE /m/a", make([]byte, 5))
		c.cmd("RNFR /m/a", 350)
		c.cmd("RNTO /m/d/before", 250)
		wantUsed("/", "40 of 100 bytes")
		wantUsed("/m", "25 of 50 bytes")
		wantUsed("/m", "1 of 3 files")
		c.cmd("ALLO 25", 200)
		c.cmd("ALLO 26", 552)
		c.cmd("CWD /", 250)
		c.cmd("ALLO 60", 200)
		c.cmd("ALLO 61", 552)
		d := c.starts("STOR /m/big")
		_, _ = d.Write(make([]byte, 26))
		_ = d.Close()
		c.want(552)
		if r := c.put("STOR /big", make([]byte, 60)); r.Code != 226 {
			t.Errorf("an upload within the quota of the home: %v", r)
		}
		c.cmd("DELE /m/d/before", 250)
		wantUsed("/m", "0 of 50 bytes")
		wantUsed("/", "100 of 100 bytes")
	})
}

// A mount that can't be opened does not refuse the login. Its point is listed, entering it says what is wrong, and so does an
// event.
func TestUnavailableMount(t *testing.T) {
	home := fsroot.NewMem()
	write(t, home, "/f", "content")
	tree := mounted(t, home, map[string]afero.Fs{"/gone": mountfs.Unavailable(errors.New("the partner is away"))})
	var mu sync.Mutex
	var why []string
	c := serve(t, nil, as(server.Account{
		FS: tree, Perm: server.ReadWrite, Quota: server.Quota{Bytes: 100},
		Mounts: []server.Mount{{Path: "/gone", Perm: server.ReadWrite, Quota: server.Quota{Bytes: 100}}},
	}), func(o *server.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if r, ok := e.What.(ftp.Refused); ok {
				mu.Lock()
				defer mu.Unlock()
				why = append(why, r.Why)
			}
		})
	}).login(t, "u")
	await(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(why, []string{"u: mounts are not available: /gone: the partner is away"})
	})
	if got := fmt.Sprint(c.lines("NLST")); got != "[f gone]" && got != "[gone f]" {
		t.Errorf("NLST: %s", got)
	}
	for _, line := range []string{"CWD gone", "LIST gone", "MLSD gone", "MLST gone/x", "RETR gone/x", "STOR gone/x", "MKD gone/x", "DELE gone/x", "SIZE gone/x"} {
		c.cmd("EPSV", 229)
		if r := c.cmd(line); r.Code != 550 || !strings.Contains(r.Text(), "can't be reached now") || strings.Contains(r.Text(), "partner") {
			t.Errorf("%s: %v", line, r)
		}
	}
}

// What one storage can't do says nothing about another one: after an upload to a home that can't rename, one to a mount that can
// still replaces a file only when it is whole.
func TestRenameOfOneStorage(t *testing.T) {
	home, mount := afero.NewMemMapFs(), afero.NewMemMapFs()
	write(t, mount, "/f", "old")
	c := serve(t, nil, as(server.Account{
		FS: mounted(t, noRename{home}, map[string]afero.Fs{"/m": mount}), Perm: server.ReadWrite, Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite}},
	})).login(t, "u")
	c.put("STOR /f", []byte("new"))
	d := c.starts("STOR /m/f")
	if got := read(t, mount, "/f"); got != "old" {
		t.Errorf("the file is %q before the upload has ended", got)
	}
	_ = d.Close()
	c.want(226)
}

// A mount with a quota that can't be counted does not refuse the login. Only uploads to it are refused, until another login
// has counted it.
func TestMountThatCantBeCounted(t *testing.T) {
	home, mount := fsroot.NewMem(), &flaky{Fs: fsroot.NewMem()}
	for _, name := range []string{"/f", "/g", "/h"} {
		write(t, mount, name, "content")
	}
	s := serve(t, nil, as(server.Account{
		FS: mounted(t, home, map[string]afero.Fs{"/m": mount}), Perm: server.ReadWrite, Quota: server.Quota{Bytes: 100},
		Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite, Quota: server.Quota{Bytes: 20}}},
	}))
	mount.down.Store(true)
	c := s.login(t, "u")
	mount.down.Store(false)
	c.put("STOR /new", []byte("x"))
	c.cmd("CWD m", 250)
	c.cmd("EPSV", 229)
	for _, cmd := range []string{"STOR new", "APPE new", "ALLO 5", "AVBL"} {
		wantText(t, c.cmd(cmd), 450, "in a new session")
	}
	wantText(t, c.cmd("SITE QUOTA"), 451, "in a new session")
	if got := string(c.get("RETR f")); got != "content" {
		t.Errorf("RETR: %q", got)
	}
	c.cmd("DELE f", 250)
	c.cmd("RNFR g", 350)
	c.cmd("RNTO f", 250)
	wantText(t, c.cmd("SITE QUOTA"), 451, "in a new session") // these changes are not taken for a count

	other := s.login(t, "u")
	other.cmd("CWD m", 250)
	wantText(t, other.cmd("SITE QUOTA"), 200, "14 of 20 bytes")
	for _, c := range []*ctl{c, other} { // both have that count now
		c.put("STOR new", []byte("12345"))
		wantText(t, c.cmd("SITE QUOTA"), 200, "19 of 20 bytes")
		c.cmd("DELE new", 250)
		wantText(t, c.cmd("SITE QUOTA"), 200, "14 of 20 bytes")
		c.cmd("ALLO 7", 552)
	}
}

// A refusal in a mount is reported with its rule and its path.
func TestRefusalInMount(t *testing.T) {
	var mu sync.Mutex
	var refused []ftp.Refused
	tree := mounted(t, fsroot.NewMem(), map[string]afero.Fs{"/m": fsroot.NewMem()})
	c := serve(t, nil, as(server.Account{FS: tree, Perm: server.ReadWrite, Mounts: []server.Mount{{Path: "/m", Perm: server.ReadOnly}}}), func(o *server.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if r, ok := e.What.(ftp.Refused); ok {
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, r)
			}
		})
	}).login(t, "u")
	if r := c.cmd("MKD /m/d", 550); r.Text() != "MKD: permission denied: this account is read-only in /m." {
		t.Errorf("%v", r)
	}
	c.cmd("RMD /m", 550)
	await(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(refused) == 2
	})
	mu.Lock()
	defer mu.Unlock()
	if r := refused[0]; r.Reason != ftp.ReasonPermission || r.Path != "/m/d" || r.Verb != "MKD" || !strings.HasSuffix(r.Why, "in /m") {
		t.Errorf("%+v", r)
	}
	if r := refused[1]; r.Reason != ftp.ReasonPermission || r.Path != "/m" {
		t.Errorf("%+v", r)
	}
}

// Two STOUs by two sessions, each with a tree of its own, get two names in a shared mount.
func TestUniqueInSharedMount(t *testing.T) {
	mount := fsroot.NewMem()
	s := serve(t, nil, func(o *server.Options) {
		o.Auth = server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
			tree, err := mountfs.New(fsroot.NewMem(), mountfs.Mount{Path: "/m", FS: mount})
			return &server.Account{FS: tree, Perm: server.ReadWrite, Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite}}}, err
		})
	})
	a, b := s.login(t, "a"), s.login(t, "b")
	da, db := a.starts("STOU /m/u"), b.starts("STOU /m/u")
	_, _ = da.Write([]byte("a"))
	_, _ = db.Write([]byte("b"))
	_, _ = da.Close(), db.Close()
	a.want(226)
	b.want(226)
	if got := names(t, mount, "/"); !slices.Equal(got, []string{"u", "u.1"}) {
		t.Errorf("the mount contains %q", got)
	}
}

func TestMountsAreChecked(t *testing.T) {
	for _, mounts := range [][]server.Mount{
		{{Path: "/"}}, {{Path: ""}}, {{Path: "in"}}, {{Path: "/in/"}}, {{Path: "/in"}, {Path: "/in"}}, {{Path: "/in", Quota: server.Quota{Bytes: -1}}},
	} {
		a := server.Account{FS: fsroot.NewMem(), Mounts: mounts}
		if _, err := server.New(server.Options{Auth: server.Static{"u": {Password: "u", Account: a}}}); err == nil {
			t.Errorf("New accepts the mounts %+v", mounts)
		}
	}
}

// Quotas returns what was last seen of each quota. After a reload, users who are gone are left out.
func TestQuotaUse(t *testing.T) {
	home, mount := fsroot.NewMem(), fsroot.NewMem()
	write(t, home, "/f", "12345")
	users := as(server.Account{
		FS: mounted(t, home, map[string]afero.Fs{"/m": mount}), Perm: server.ReadWrite, Quota: server.Quota{Bytes: 100},
		Mounts: []server.Mount{{Path: "/m", Perm: server.ReadWrite, Quota: server.Quota{Files: 3}}},
	})
	s := serve(t, nil, users)
	if all := s.Quotas(); len(all) > 0 {
		t.Errorf("before the first login: %+v", all)
	}
	c := s.login(t, "u")
	c.put("STOR /m/a", []byte("123"))
	c.put("STOR /m/b", []byte("123"))
	c.cmd("DELE /f", 250)
	c.put("APPE /g", []byte("1"))
	c.put("APPE /g", []byte("2"))
	want := []server.QuotaUse{
		{User: "u", Path: "/", Used: server.Quota{Bytes: 2, Files: 1}, Limit: server.Quota{Bytes: 100}},
		{User: "u", Path: "/m", Used: server.Quota{Bytes: 6, Files: 2}, Limit: server.Quota{Files: 3}},
	}
	if got := s.Quotas(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	check(t, s.Reload(server.Options{Auth: server.Static{"other": {Password: "x", Account: server.Account{FS: home}}}}))
	if all := s.Quotas(); len(all) > 0 {
		t.Errorf("after the user was removed: %+v", all)
	}
}
