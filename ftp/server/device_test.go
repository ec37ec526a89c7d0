package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
	"miniftp/internal/testlink"
)

// withDevices adds the devices cam, which may only upload, and scan, which may do everything.
func withDevices(o *server.Options) {
	users := o.Auth.(server.Static)
	for name, like := range map[string]string{"cam": "drop", "scan": "rw"} {
		u := users[like]
		u.Password, u.Account.Compat = name, server.CompatDevice
		users[name] = u
	}
}

// onDeviceStorages runs f on the kinds of storages that devices upload to.
func onDeviceStorages(t *testing.T, f func(t *testing.T, fsys afero.Fs)) {
	t.Run("memory", func(t *testing.T) { f(t, fsroot.NewMem()) })
	t.Run("afero memory", func(t *testing.T) { f(t, afero.NewMemMapFs()) })
	t.Run("disk", func(t *testing.T) { fsys, _ := disk(t); f(t, fsys) })
	t.Run("bucket in memory", func(t *testing.T) { f(t, newBucket()) })
	t.Run("bucket", func(t *testing.T) { fsys, _ := openBucket(t); f(t, fsys) })
}

// changes collects the changes that are reported to an Observer.
type changes struct {
	mu  sync.Mutex
	all []string
}

func (c *changes) Observe(e ftp.Event) {
	line := ""
	switch w := e.What.(type) {
	case ftp.Changed:
		line = fmt.Sprintf("%s %s %d", w.Verb, w.Path, w.Reply.Code)
	case ftp.TransferDone:
		line = fmt.Sprintf("%s %s %v %s", w.Verb, w.Path, w.Err == nil, w.SHA256)
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, strings.TrimSpace(line))
}

func (c *changes) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

// A device's uploads and its MKD make the directories that are missing, which is reported and recorded as for MKD. Those of
// others do not.
func TestDeviceMakesDirectories(t *testing.T) {
	onDeviceStorages(t, func(t *testing.T, fsys afero.Fs) {
		seen, noted := &changes{}, &notes{fs: fsys}
		s := serve(t, fsys, withDevices, func(o *server.Options) { o.Observer, o.Journal = seen, noted })
		write(t, fsys, "/file", "x")
		expect := func(want ...string) {
			t.Helper()
			if got := seen.take(); !slices.Equal(got, want) {
				t.Errorf("reported:\ngot  %q\nwant %q", got, want)
			}
		}
		for _, user := range []string{"cam", "scan"} {
			c := s.login(t, user)
			noted.take()
			a := "/" + user
			c.put("STOR "+a+"/2026/30/a.jpg", []byte("picture"))
			if got := read(t, fsys, a+"/2026/30/a.jpg"); got != "picture" {
				t.Errorf("stored %q", got)
			}
			expect("MKD "+a+" 257", "MKD "+a+"/2026 257", "MKD "+a+"/2026/30 257", "STOR "+a+"/2026/30/a.jpg true")
			made := 0
			for _, n := range noted.take() {
				if strings.HasPrefix(n, "MKD /"+user) && strings.HasSuffix(n, "exists false, before false") {
					made++
				}
			}
			if made != 3 {
				t.Errorf("%d directories were recorded, want 3", made)
			}
			c.put("APPE "+a+"/appe/a", []byte("1"))
			c.put("STOU "+a+"/stou/a", []byte("2"))
			expect("MKD "+a+"/appe 257", "APPE "+a+"/appe/a true", "MKD "+a+"/stou 257", "STOU "+a+"/stou/a true")

			wantText(t, c.cmd("MKD "+a+"/x/y/z"), 257, `"`+a+`/x/y/z" is made.`)
			expect("MKD "+a+"/x 257", "MKD "+a+"/x/y 257", "MKD "+a+"/x/y/z 257")
			wantText(t, c.cmd("XMKD "+a+"/x/y/z"), 257, `"`+a+`/x/y/z" exists already.`)
			wantText(t, c.cmd("MKD /"), 257, `"/" exists already.`)
			expect() // nothing was made
			c.cmd("CWD "+a+"/x", 250)
			c.cmd("MKD q", 257)
			expect("MKD " + a + "/x/q 257")

			wantText(t, c.cmd("MKD /file"), 550, "exists already")
			wantText(t, c.cmd("MKD /file/x"), 550, "not a directory")
			c.cmd("EPSV", 229)
			wantText(t, c.cmd("STOR /file/x/y"), 550, "/file")
			for _, cmd := range []string{"STOR", "MKD"} {
				wantText(t, c.cmd(cmd+" "+strings.Repeat("/deep", 34)), 553, "more than 32 directories")
			}
			if exists(fsys, "/deep") {
				t.Error("some directories of a refused path were made")
			}
			hidden := server.PartialName("x", "cam", nil, 0)
			wantText(t, c.cmd("STOR "+a+"/"+hidden+"/f"), 553, "reserved")
			seen.take()
		}
		c := s.login(t, "cam")
		c.put("STOR /levels"+strings.Repeat("/x", 32), []byte("deep enough"))
		c.cmd("SITE SYMLINK a b", 550) // the right to store does not include that
		c.cmd("RMD /levels", 550)

		for _, user := range []string{"rw", "drop"} {
			c := s.login(t, user)
			c.cmd("EPSV", 229)
			wantText(t, c.cmd("STOR /none/f"), 550, "/none: no such directory")
			c.cmd("MKD /none/d", 550)
			c.cmd("MKD /scan", 550)
			if exists(fsys, "/none") {
				t.Errorf("%s has made a directory", user)
			}
		}
		s.login(t, "drop").cmd("MKD /new", 550)
	})
}

// The directories of a device have its umask, and none is made through a link that leads out of the tree.
func TestDeviceStaysInside(t *testing.T) {
	fsys, dir := disk(t)
	s := serve(t, fsys, withDevices, func(o *server.Options) {
		users := o.Auth.(server.Static)
		u := users["cam"]
		u.Account.Umask = 0o027
		users["cam"] = u
	})
	c := s.login(t, "cam")
	c.put("STOR a/b/f", []byte("x"))
	for _, p := range []string{"/a", "/a/b"} {
		fi, err := fsys.Stat(p)
		check(t, err)
		if fi.Mode().Perm() != 0o750 {
			t.Errorf("%s has mode %o", p, fi.Mode().Perm())
		}
	}
	outside := t.TempDir()
	testlink.Make(t, outside, filepath.Join(dir, "out"))
	check(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	for _, cmd := range []string{"STOR out/a/f", "MKD out/a/b", "STOR dangling/a/f", "MKD dangling/a"} {
		c.cmd("EPSV", 229)
		if r := c.cmd(cmd, 550); strings.Contains(r.String(), outside) {
			t.Errorf("%s: %v shows a path of the host", cmd, r)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

// A device that may not replace files gets a numbered name, and is told so. Others are refused, or replace.
func TestDeviceNumbersNames(t *testing.T) {
	onDeviceStorages(t, func(t *testing.T, fsys afero.Fs) {
		seen := &changes{}
		s := serve(t, fsys, withDevices, func(o *server.Options) { o.Observer, o.HashUploads = seen, true })
		check(t, fsys.Mkdir("/d", 0o755))
		c := s.login(t, "cam")
		for i, want := range []string{"", "-1", "-2", "-3"} {
			content := fmt.Sprint("picture ", i)
			d := c.epsv()
			opening := c.cmd("STOR d/p.jpg", 150)
			_, err := d.Write([]byte(content))
			check(t, err)
			check(t, d.Close())
			closing := c.want(226)
			name := "/d/p" + want + ".jpg"
			if i > 0 {
				wantText(t, opening, 150, "FILE: "+name)
				wantText(t, closing, 226, "Stored as "+name+": 9 bytes.")
			} else {
				wantText(t, closing, 226, "Done: 9 bytes.")
			}
			if got := read(t, fsys, name); got != content {
				t.Errorf("%s contains %q, want %q", name, got, content)
			}
			if got := seen.take(); len(got) != 1 || !strings.HasPrefix(got[0], "STOR "+name+" true ") || len(got[0]) < 64 {
				t.Errorf("reported %q", got)
			}
		}
		for name, want := range map[string]string{"plain": "plain-1", ".hidden": ".hidden-1", "a.tar.gz": "a.tar-1.gz", "a.b c d e f g h i j k": "a.b c d e f g h i j k-1"} {
			c.put("STOR "+name, nil)
			wantText(t, c.put("STOR "+name, nil), 226, "Stored as /"+want+": 0 bytes.")
		}
		c.cmd("EPSV", 229)
		wantText(t, c.cmd("STOR d"), 550, "is a directory")
		c.cmd("REST 3", 350) // what continues a file must not become another one
		wantText(t, c.cmd("STOR d/p.jpg"), 550, "may not replace")
		wantText(t, c.cmd("APPE d/p.jpg"), 550, "may not replace")

		s.login(t, "scan").put("STOR d/p.jpg", []byte("replaced"))
		if got := read(t, fsys, "/d/p.jpg"); got != "replaced" || exists(fsys, "/d/p-4.jpg") {
			t.Errorf("a device that may replace files has stored %q", got)
		}
		c = s.login(t, "drop")
		c.cmd("EPSV", 229)
		wantText(t, c.cmd("STOR d/p.jpg"), 550, "may not replace")
	})
}

// A free number is found with few looks, also among thousands and if there are gaps. Long names are shortened.
func TestDeviceNumbersAreFoundFast(t *testing.T) {
	fsys := &looks{Fs: fsroot.NewMem()}
	s := serve(t, fsys, withDevices)
	c := s.login(t, "cam")
	write(t, fsys, "/p.jpg", "")
	for i := range 5000 {
		write(t, fsys, fmt.Sprintf("/p-%d.jpg", i+1), "")
	}
	fsys.count.Store(0)
	wantText(t, c.put("STOR p.jpg", nil), 226, "/p-5001.jpg")
	if n := fsys.count.Load(); n > 60 {
		t.Errorf("%d looks", n)
	}
	check(t, fsys.Remove("/p-5001.jpg"))
	check(t, fsys.Remove("/p-2.jpg"))
	wantText(t, c.put("STOR p.jpg", nil), 226, "/p-2.jpg")

	root, _ := disk(t)
	c = serve(t, root, withDevices).login(t, "cam")
	long := strings.Repeat("ä", 125) + ".jpg" // 254 bytes
	c.put("STOR "+long, nil)
	wantText(t, c.put("STOR "+long, nil), 226, "/"+strings.Repeat("ä", 124)+"-1.jpg: 0 bytes")
	wantText(t, c.put("STOR "+long, nil), 226, "/"+strings.Repeat("ä", 124)+"-2.jpg: 0 bytes")
}

// Two devices that send the same name at once lose nothing, whether they share a server or only the files.
func TestDevicesAtOnce(t *testing.T) {
	const devices, each = 8, 4
	parallel(t)
	run := func(t *testing.T, fsys afero.Fs, sites ...*site) {
		var wg sync.WaitGroup
		for i := range devices {
			c := sites[i%len(sites)].login(t, "cam")
			wg.Go(func() {
				for n := range each {
					c.put("STOR dir/p.jpg", fmt.Appendf(nil, "%d of %d", n, i))
				}
			})
		}
		wg.Wait()
		found := map[string]bool{}
		for _, name := range names(t, fsys, "/dir") {
			found[read(t, fsys, "/dir/"+name)] = true
		}
		if len(found) != devices*each {
			t.Errorf("%d of %d pictures are left: %v", len(found), devices*each, names(t, fsys, "/dir"))
		}
	}
	onDeviceStorages(t, func(t *testing.T, fsys afero.Fs) { run(t, fsys, serve(t, fsys, withDevices)) })
	t.Run("two servers", func(t *testing.T) {
		one, dir := disk(t)
		two, err := fsroot.OpenRoot(dir)
		check(t, err)
		t.Cleanup(func() { check(t, two.Close()) })
		run(t, one, serve(t, one, withDevices), serve(t, two, withDevices))
	})
	t.Run("in place", func(t *testing.T) {
		fsys, _ := disk(t)
		run(t, fsys, serve(t, fsys, withDevices, func(o *server.Options) { o.UploadInPlace = true }))
	})
}

// An upload whose name is taken while it runs gets a number at its end. The replies, the events, the Journal and the SHA-256
// have the name that it got; another account's upload is refused as ever.
func TestDeviceNameTakenMeanwhile(t *testing.T) {
	for name, change := range map[string]func(*server.Options){
		"plain": func(*server.Options) {},
		"hash":  func(o *server.Options) { o.HashUploads = true },
		"gate":  gated(func(context.Context, *server.GateUpload) error { return nil }),
		"quota": func(o *server.Options) {
			limited(100, 10)(o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fsys afero.Fs) {
				seen, noted := &changes{}, &notes{fs: fsys}
				s := serve(t, fsys, withDevices, change, func(o *server.Options) { o.Observer, o.Journal = seen, noted })
				c := s.login(t, "cam")
				noted.take()
				d := c.starts("STOR p")
				write(t, fsys, "/p", "first")
				write(t, fsys, "/p-1", "second")
				_, err := d.Write([]byte("mine"))
				check(t, err)
				check(t, d.Close())
				wantText(t, c.want(226), 226, "Stored as /p-2: 4 bytes.")
				for p, want := range map[string]string{"/p": "first", "/p-1": "second", "/p-2": "mine"} {
					if got := read(t, fsys, p); got != want {
						t.Errorf("%s contains %q", p, got)
					}
				}
				if got := seen.take(); len(got) != 1 || !strings.HasPrefix(got[0], "STOR /p-2 true") {
					t.Errorf("reported %q", got)
				}
				want := []string{
					"STOR /p by cam, 4 bytes, exists true, before true", "made false, exists true",
					"STOR /p-2 by cam, 4 bytes, exists false, before false", "made true, exists true",
				}
				if got := noted.take(); !slices.Equal(got, want) {
					t.Errorf("recorded %q", got)
				}
				if left := partials(t, fsys); left != nil {
					t.Errorf("%v is left", left)
				}
				c = s.login(t, "drop")
				d = c.starts("STOR q")
				write(t, fsys, "/q", "first")
				_, err = d.Write([]byte("mine"))
				check(t, err)
				check(t, d.Close())
				c.want(550)
			})
		})
	}
}

// onlyP is a Journal that can record nothing but the file /p.
type onlyP struct{}

func (onlyP) Ready(string) error { return nil }

func (onlyP) Begin(_ context.Context, c server.Change) (func(bool), error) {
	if c.Path != "/p" && c.Verb == "STOR" {
		return nil, errors.New("no room")
	}
	return nil, nil
}

// If the second name can't be recorded, the upload is kept to be resumed under that name.
func TestDeviceNameNotRecorded(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		s := serve(t, fsys, withDevices, func(o *server.Options) { o.Journal = onlyP{} })
		c := s.login(t, "cam")
		d := c.starts("STOR p")
		write(t, fsys, "/p", "first")
		_, err := d.Write([]byte("mine"))
		check(t, err)
		check(t, d.Close())
		c.want(452)
		if want := server.PartialName("p-1", "cam", nil, 0); !exists(fsys, "/"+want) {
			t.Errorf("kept %v, want %s", partials(t, fsys), want)
		}
		kept := partials(t, fsys)
		if len(kept) != 1 || read(t, fsys, "/"+kept[0]) != "min" {
			t.Errorf("kept %v", kept)
		}
	})
}

// An upload of a device that is aborted or reset is hidden, and can be resumed.
func TestDeviceResumes(t *testing.T) {
	for name, cut := range map[string]func(c *ctl, d *net.TCPConn){
		"ABOR":  func(c *ctl, _ *net.TCPConn) { c.send("ABOR"); c.want(426); c.want(226) },
		"reset": func(c *ctl, d *net.TCPConn) { check(c.t, d.SetLinger(0)); check(c.t, d.Close()); c.want(426) },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, fsys afero.Fs) {
				c := serve(t, fsys, withDevices).login(t, "cam")
				d := c.starts("STOR p")
				_, err := d.Write([]byte("half"))
				check(t, err)
				awaitHidden(t, fsys, 4)
				cut(c, d)
				if exists(fsys, "/p") {
					t.Error("half a file is visible")
				}
				c.cmd("REST 2", 350)
				c.put("STOR p", []byte("rest"))
				if got := read(t, fsys, "/p"); got != "harest" {
					t.Errorf("stored %q", got)
				}
			})
		})
	}
}

// looks counts how often a storage is asked for a file.
type looks struct {
	afero.Fs
	count atomic.Int64
}

func (l *looks) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	l.count.Add(1)
	fi, err := l.Fs.Stat(name)
	return fi, false, err
}

func (l *looks) Stat(name string) (fs.FileInfo, error) {
	l.count.Add(1)
	return l.Fs.Stat(name)
}

// CWD without a directory, which an empty setting of a device leads to, stays where it is.
func TestDeviceEmptyCWD(t *testing.T) {
	s := serve(t, fsroot.NewMem(), withDevices)
	c := s.login(t, "cam")
	wantText(t, c.cmd("CWD"), 250, "You are in /")
	wantText(t, c.cmd("CWD "), 250, "You are in /")
	c.cmd("MKD", 501)
	c.cmd("STOR ", 501)
	s.login(t, "rw").cmd("CWD ", 501)
	s.connect(t).cmd("CWD ", 530)
}

// The perm fact of a directory says that a device may make directories in it.
func TestDevicePermFact(t *testing.T) {
	for compat, want := range map[server.Compat]string{0: "perm=cel;", server.CompatDevice: "perm=celm;"} {
		fsys := fsroot.NewMem()
		check(t, fsys.Mkdir("/d", 0o777))
		c := serve(t, fsys, func(o *server.Options) {
			o.Auth = server.Static{"cam": {Password: "cam", Account: server.Account{FS: fsys, Perm: server.PermList | server.PermStore, Compat: compat}}}
		}).login(t, "cam")
		if r := c.cmd("MLST d", 250); !strings.Contains(r.String(), want) && !strings.Contains(strings.Join(r.Lines, "\n"), want) {
			t.Errorf("%v has no %s", r.Lines, want)
		}
	}
}

func TestCompatIsChecked(t *testing.T) {
	if err := (server.Static{"a": {Password: "x", Account: server.Account{Compat: 2}}}).Check(); err == nil {
		t.Error("an unknown Compat is accepted")
	}
}

// What devices send besides uploads succeeds, for them and for all others: however it is written, and however its lines end.
func TestDeviceCommands(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "x")
	s := serve(t, fsys, withDevices)
	for _, user := range []string{"cam", "scan", "rw"} {
		c := s.connect(t)
		for line, code := range map[string]ftp.Code{"noop": 200, "SYST x": 215, "opts utf8 on": 200, "OPTS UTF-8 NLST": 200, "clnt camera": 200, "FEAT": 211, "AUTH TLS": 502, "PBSZ 0": 503} {
			c.cmd(line, code)
		}
		c.cmd("user "+user, 331)
		c.cmd("pass "+user, 230)
		for line, code := range map[string]ftp.Code{
			"SITE UMASK 022": 200, "site umask": 200, "SITE UMASK": 200, "SITE IDLE 100": 200, "SITE IDLE": 200, "site help": 214,
			"ALLO 1000": 200, "ALLO 1000 R 80": 200, "ALLO 0": 200, "ACCT none": 202, "SMNT /": 502,
			"TYPE I": 200, "type i": 200, "TYPE L8": 200, "TYPE L 8": 200, "TYPE A N": 200, "TYPE AN": 200, "TYPE A T": 200,
			"STRU F": 200, "stru f ": 200, "MODE S": 200, "mode s": 200, "NOOP x": 200, "Noop": 200, "STAT": 211, "HELP": 214,
			"PWD": 257, "XPWD": 257, "XCWD /": 250, "XCUP": 250, "CDUP": 250, "CWD .": 250, "CWD //": 250, "CWD /.": 250, "REST 0": 350,
			"PORT 127, 0, 0, 1, 200, 10": 200, "PORT  127,0,0,1,200,10": 200, "PORT 127,0,0,1,200,10 ": 200, "PORT 127,000,000,001,200,010": 200,
			"EPRT |1|127.0.0.1|6275|": 200, "PASV": 227, "PASV x": 227, "EPSV": 229, "EPSV 1": 229, "ABOR": 226,
		} {
			c.cmd(line, code)
		}
		for _, end := range []string{"\r\n", "\n", "\r\r\n"} {
			c.raw("NOOP" + end)
			c.want(200)
			d := c.epsv()
			c.raw("STOR " + user + fmt.Sprint(len(end)) + end)
			c.want(150)
			check(t, d.Close())
			c.want(226)
		}
		c.cmd("SITE CHMOD 644 f", map[string]ftp.Code{"cam": 550, "scan": 200, "rw": 200}[user])
	}
	for _, name := range names(t, fsys, "/") {
		if strings.ContainsAny(name, "\r\n ") {
			t.Errorf("%q has a part of the end of the line", name)
		}
	}
}
