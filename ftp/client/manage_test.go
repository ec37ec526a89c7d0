package client_test

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftpfs"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// since returns the commands received after the first n.
func TestManage(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	tests := []struct {
		name string
		do   func(c *client.Client) error
		want []string
	}{
		{"ChangeDir", func(c *client.Client) error { return c.ChangeDir(t.Context(), "/") }, []string{"CWD /"}},
		{"MakeDir", func(c *client.Client) error { return c.MakeDir(t.Context(), " a b ") }, []string{"MKD  a b "}},
		{"RemoveDir", func(c *client.Client) error { return c.RemoveDir(t.Context(), "a") }, []string{"RMD a"}},
		{"Delete", func(c *client.Client) error { return c.Delete(t.Context(), "a") }, []string{"DELE a"}},
		{"Rename", func(c *client.Client) error { return c.Rename(t.Context(), "a", "b") }, []string{"RNFR a", "RNTO b"}},
		{"Symlink", func(c *client.Client) error { return c.Symlink(t.Context(), "../to", "a b") }, []string{"SITE SYMLINK ../to a b"}},
		{"Chmod", func(c *client.Client) error { return c.Chmod(t.Context(), "a b", 0o644) }, []string{"SITE CHMOD 644 a b"}},
		{"Chmod, sticky", func(c *client.Client) error { return c.Chmod(t.Context(), "a", fs.ModeSticky|0o755) }, []string{"SITE CHMOD 1755 a"}},
		{"SetModTime", func(c *client.Client) error { return c.SetModTime(t.Context(), "a", at) }, []string{"MFMT 20240506070809 a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) { f.Feat = []string{"MFMT", "MDTM"} })
			c := dial(t, f, nil)
			n := len(f.Commands())
			if err := tt.do(c); err != nil {
				t.Error(err)
			}
			if got := f.Since(n); !slices.Equal(got, tt.want) {
				t.Errorf("commands %q, want %q", got, tt.want)
			}
		})
	}
}

func TestManageRefused(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["DELE"] = fakeserver.Says("550 Permission denied")
		f.On["MKD"] = fakeserver.Says("521 exists")
		f.On["RNFR"] = fakeserver.Says("550 No such file")
	})
	c := dial(t, f, nil)
	if err := c.Delete(t.Context(), "a"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Delete: %v", err)
	}
	if err := c.MakeDir(t.Context(), "a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("MakeDir: %v", err)
	}
	if err := c.Rename(t.Context(), "a", "b"); !errors.Is(err, fs.ErrNotExist) || f.Count("RNTO") != 0 {
		t.Errorf("Rename: %v, commands %q", err, f.Commands())
	}
}

func TestSetModTimeLadder(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MFMT", "MDTM"}
		f.On["MFMT"] = fakeserver.Says("502 not really")
		f.On["MDTM"] = fakeserver.Says("550 20240506070809 a: no such file")
		f.On["SITE"] = func(s *fakeserver.Session, arg string) {
			if strings.HasSuffix(arg, "UTC") {
				s.Say("500 what?")
				return
			}
			s.Say("200 ok")
		}
	})
	c := dial(t, f, nil)
	n := len(f.Commands())
	if err := c.SetModTime(t.Context(), "a", at); err != nil {
		t.Error(err)
	}
	want := []string{
		"MFMT 20240506070809 a", "MDTM 20240506070809 a",
		"SITE UTIME a 20240506070809 20240506070809 20240506070809 UTC", "SITE UTIME 20240506070809 a",
	}
	if got := f.Since(n); !slices.Equal(got, want) {
		t.Errorf("commands %q", got)
	}
}

func TestSizeAndTime(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["a"] = thousand })
	c := dial(t, f, nil)
	if n, err := c.Size(t.Context(), "a"); n != 1000 || err != nil {
		t.Errorf("Size: %d, %v", n, err)
	}
	if _, err := c.Size(t.Context(), "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Size of nothing: %v", err)
	}
	if at, err := c.ModTime(t.Context(), "a"); err != nil || !at.Equal(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("ModTime: %v, %v", at, err)
	}
}

func TestMakeDirAll(t *testing.T) {
	var have []string
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		have = []string{"/a"}
		f.On["MKD"] = func(s *fakeserver.Session, arg string) {
			up := arg[:strings.LastIndexByte(arg, '/')]
			if slices.Contains(have, arg) || !slices.Contains(have, up) {
				s.Say("550 no")
				return
			}
			have = append(have, arg)
			s.Say("257 done")
		}
		f.On["CWD"] = func(s *fakeserver.Session, arg string) {
			if arg == "/" || slices.Contains(have, arg) {
				s.Say("250 ok")
				return
			}
			s.Say("550 no such directory")
		}
	})
	c := dial(t, f, nil)
	for _, dir := range []string{"/a/b/c/", "/a/b", "/"} {
		if err := c.MakeDirAll(t.Context(), dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := c.MakeDirAll(t.Context(), "/other/x"); !testutil.IsA[*ftp.Error](err) {
		t.Errorf("where nothing may be made: %v", err)
	}
	if want := []string{"/a", "/a/b", "/a/b/c"}; !slices.Equal(have, want) {
		t.Errorf("made %q", have)
	}
}

func TestRemoveAll(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.Dirs["/d"] = "type=file; a\r\ntype=OS.unix=slink:/etc; link\r\ntype=dir; sub\r\n"
		f.Dirs["/d/sub"] = "type=file; b\r\n"
		left := map[string]int{"/d": 3, "/d/sub": 1}
		f.On["DELE"] = func(s *fakeserver.Session, arg string) {
			if _, isDir := left[arg]; isDir {
				s.Say("550 is a directory")
				return
			}
			left[arg[:strings.LastIndexByte(arg, '/')]]--
			s.Say("250 done")
		}
		f.On["RMD"] = func(s *fakeserver.Session, arg string) {
			n, isDir := left[arg]
			if !isDir || n > 0 {
				s.Say("550 no")
				return
			}
			delete(left, arg)
			left[arg[:strings.LastIndexByte(arg, '/')]]--
			s.Say("250 done")
		}
		f.On["MLST"] = func(s *fakeserver.Session, arg string) { s.Raw("250-\r\n type=dir; " + arg + "\r\n250 End\r\n") }
	})
	c := dial(t, f, nil)
	if err := c.RemoveAll(t.Context(), "/d"); err != nil {
		t.Error(err)
	}
	var done []string
	for _, line := range f.Commands() {
		if strings.HasPrefix(line, "DELE") || strings.HasPrefix(line, "RMD") || strings.HasPrefix(line, "MLSD") {
			done = append(done, line)
		}
	}
	want := []string{
		"DELE /d", "RMD /d", "MLSD /d", "DELE /d/a", "DELE /d/link",
		"DELE /d/sub", "RMD /d/sub", "MLSD /d/sub", "DELE /d/sub/b", "RMD /d/sub", "RMD /d",
	}
	if !slices.Equal(done, want) {
		t.Errorf("commands %q", done)
	}
}

// TestRemoveAllLeavesLinks checks that a link to a directory which can't be removed is kept, although CWD, or even
// MLST and MLSD, show it as a directory.
func TestRemoveAllLeavesLinks(t *testing.T) {
	const link = "lrwxrwxrwx 1 0 0 8 Jan  1  2020 link -> precious\r\n"
	for name, tt := range map[string]struct {
		feat []string
		path string
		list string
	}{
		"LIST":               {nil, "/link", link},
		"a slash at the end": {nil, "/link/", link},
		"MLST follows":       {fakeserver.MLST, "/link", link},
		"below":              {fakeserver.MLST, "/d", "drwxr-xr-x 2 0 0 8 Jan  1  2020 d\r\n"},
		"nothing tells":      {nil, "/link", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = tt.feat
				f.On["DELE"], f.On["RMD"], f.On["CWD"] = fakeserver.Says("550 no"), fakeserver.Says("550 no"), fakeserver.Says("250 ok")
				f.On["PWD"] = fakeserver.Says(`257 "/"`)
				f.On["MLST"] = func(s *fakeserver.Session, arg string) { s.Raw("250-\r\n type=dir; " + arg + "\r\n250 End\r\n") }
				f.Dirs["/d"] = "type=dir; link\r\n"
				f.Dirs["/link"], f.Dirs["/d/link"] = "type=file; data\r\n", "type=file; data\r\n"
				f.On["LIST"] = func(s *fakeserver.Session, arg string) {
					s.Say("150 here")
					switch strings.TrimPrefix(arg, "-a ") {
					case "/":
						s.Send(tt.list)
					case "/d/":
						s.Send(link)
					default:
						s.Send("-rw-r--r-- 1 0 0 8 Jan  1  2020 data\r\n")
					}
					s.Say("226 done")
				}
			})
			c := dial(t, f, nil)
			if err := c.RemoveAll(t.Context(), tt.path); err == nil {
				t.Error("no error")
			}
			for _, line := range f.Commands() {
				if strings.HasSuffix(line, "/data") || strings.HasPrefix(line, "DELE") && strings.HasSuffix(line, "/") {
					t.Errorf("%s", line)
				}
			}
		})
	}
}

// TestRemoveAllWithoutName checks that nothing is sent for a path that does not end in a name.
func TestRemoveAllWithoutName(t *testing.T) {
	f := fakeserver.New(t, nil)
	c := dial(t, f, nil)
	n := len(f.Commands())
	for _, p := range []string{"", ".", "..", "a/..", "a/.", "../", "./", "/.", "/.."} {
		if err := c.RemoveAll(t.Context(), p); err == nil {
			t.Errorf("Client.RemoveAll(%q): no error", p)
		}
	}
	files, err := ftpfs.New(t.Context(), new(client.Pool), "/pub") // the Pool is not used
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"", ".", "..", "a/.."} {
		if err := files.RemoveAll(p); err == nil {
			t.Errorf("Fs.RemoveAll(%q): no error", p)
		}
	}
	if got := f.Since(n); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
}

func TestRemoveAllOfNothing(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["DELE"] = fakeserver.Says("550 no such file")
		f.On["RMD"] = fakeserver.Says("550 no such directory")
	})
	c := dial(t, f, nil)
	if err := c.RemoveAll(t.Context(), "/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("RemoveAll: %v", err)
	}
}

func TestHash(t *testing.T) {
	sum256 := strings.Repeat("0aF1", 16)
	sumMD5 := strings.Repeat("0aF1", 8)
	tests := []struct {
		name, algo string
		feat       []string
		wantAlgo   string
		wantSum    string
		want       []string
	}{
		{"selected", "", []string{"HASH MD5;SHA-256*;SHA-1"}, "SHA-256", sum256, []string{"HASH a"}},
		{"named", "sha256", []string{"HASH MD5;SHA-256*"}, "SHA-256", sum256, []string{"HASH a"}},
		{"another", "md5", []string{"HASH MD5;SHA-256*"}, "MD5", sumMD5, []string{"OPTS HASH MD5", "HASH a"}},
		{"X command", "", []string{"XCRC", "XMD5"}, "MD5", sumMD5, []string{"XMD5 a"}},
		{"X command by name", "MD-5", []string{"XCRC", "XMD5"}, "MD5", sumMD5, []string{"XMD5 a"}},
		{"no FEAT", "MD5", nil, "MD5", sumMD5, []string{"XMD5 a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Feat = tt.feat
				md5 := false
				f.On["OPTS"] = func(s *fakeserver.Session, arg string) { md5 = arg == "HASH MD5"; s.Say("200 " + arg) }
				f.On["HASH"] = func(s *fakeserver.Session, arg string) {
					if md5 {
						s.Say("213 MD5 0-49 " + sumMD5 + " " + arg)
						return
					}
					s.Say("213 SHA-256 0-49 " + sum256 + " " + arg)
				}
				f.On["XMD5"] = fakeserver.Says("250 " + sumMD5)
			})
			c := dial(t, f, nil)
			n := len(f.Commands())
			algo, sum, err := c.Hash(t.Context(), "a", tt.algo)
			if err != nil || algo != tt.wantAlgo || sum != strings.ToLower(tt.wantSum) {
				t.Errorf("Hash: %q, %q, %v", algo, sum, err)
			}
			if got := f.Since(n); !slices.Equal(got[1:], tt.want) || got[0] != "TYPE I" {
				t.Errorf("commands %q, want %q", got, tt.want)
			}
		})
	}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"XMD5", "XSHA1"}
		f.On["XMD5"] = fakeserver.Says("250 nothing here")
	})
	c := dial(t, f, nil)
	for _, algo := range []string{"sha512", "rot13", "md5"} {
		_, _, err := c.Hash(t.Context(), "a", algo)
		if err == nil || errors.Is(err, errors.ErrUnsupported) != (algo != "md5") {
			t.Errorf("%s: %v", algo, err)
		}
	}
}

// No method sends a part of its arguments as a separate command, or sends anything before it rejects an argument.
func TestInjection(t *testing.T) {
	ctx := t.Context()
	mem := afero.NewMemMapFs()
	if err := afero.WriteFile(mem, "x", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	methods := map[string]func(c *client.Client, p string) error{
		"Retrieve": func(c *client.Client, p string) error { _, err := c.Retrieve(ctx, p, io.Discard); return err },
		"Store":    func(c *client.Client, p string) error { _, err := c.Store(ctx, p, strings.NewReader("")); return err },
		"Append":   func(c *client.Client, p string) error { _, err := c.Append(ctx, p, strings.NewReader("")); return err },
		"StoreUnique": func(c *client.Client, p string) error {
			_, _, err := c.StoreUnique(ctx, p, strings.NewReader(""))
			return err
		},
		"Open":   func(c *client.Client, p string) error { _, err := c.Open(ctx, p, 0); return err },
		"Create": func(c *client.Client, p string) error { _, err := c.Create(ctx, p, 0); return err },
		"List": func(c *client.Client, p string) error {
			for _, err := range c.List(ctx, p) {
				return err
			}
			return nil
		},
		"Walk": func(c *client.Client, p string) error {
			for _, err := range c.Walk(ctx, p) {
				return err
			}
			return nil
		},
		"Names":      func(c *client.Client, p string) error { _, err := c.Names(ctx, p); return err },
		"IsDir":      func(c *client.Client, p string) error { _, err := c.IsDir(ctx, p); return err },
		"Stat":       func(c *client.Client, p string) error { _, err := c.Stat(ctx, p); return err },
		"Match":      func(c *client.Client, p string) error { _, err := c.Match(ctx, p); return err },
		"Date":       func(c *client.Client, p string) error { return c.Date(ctx, p, new(ftp.Entry)) },
		"Glob":       func(c *client.Client, p string) error { _, err := c.Glob(ctx, p); return err },
		"ReadDir":    func(c *client.Client, p string) error { _, err := c.ReadDir(ctx, p); return err },
		"Glob *":     func(c *client.Client, p string) error { _, err := c.Glob(ctx, p+"/*"); return err },
		"Size":       func(c *client.Client, p string) error { _, err := c.Size(ctx, p); return err },
		"ModTime":    func(c *client.Client, p string) error { _, err := c.ModTime(ctx, p); return err },
		"SetModTime": func(c *client.Client, p string) error { return c.SetModTime(ctx, p, time.Now()) },
		"Symlink":    func(c *client.Client, p string) error { return c.Symlink(ctx, "a", p) },
		"Symlink to": func(c *client.Client, p string) error { return c.Symlink(ctx, p, "a") },
		"Chmod":      func(c *client.Client, p string) error { return c.Chmod(ctx, p, 0o600) },
		"MakeDir":    func(c *client.Client, p string) error { return c.MakeDir(ctx, p) },
		"MakeDirAll": func(c *client.Client, p string) error { return c.MakeDirAll(ctx, "a/"+p) },
		"RemoveDir":  func(c *client.Client, p string) error { return c.RemoveDir(ctx, p) },
		"RemoveAll":  func(c *client.Client, p string) error { return c.RemoveAll(ctx, p) },
		"Delete":     func(c *client.Client, p string) error { return c.Delete(ctx, p) },
		"Rename":     func(c *client.Client, p string) error { return c.Rename(ctx, p, "b") },
		"Rename to":  func(c *client.Client, p string) error { return c.Rename(ctx, "a", p) },
		"Login":      func(c *client.Client, p string) error { return c.Login(ctx, p, "x") },
		"Password":   func(c *client.Client, p string) error { return c.Login(ctx, "x", p) },
		"Replace":    func(c *client.Client, p string) error { return c.Replace(ctx, p, "b", true) },
		"Replace to": func(c *client.Client, p string) error { return c.Replace(ctx, "a", p, true) },
		"Resolve": func(c *client.Client, p string) error {
			_, err := c.Resolve(ctx, p)
			return err
		},
		"Look": func(c *client.Client, p string) error {
			_, err := c.Look(ctx, p)
			return err
		},
		"Sharpen": func(c *client.Client, p string) error { return c.Sharpen(ctx, p, new(ftp.Entry), false) },
		"Facts": func(c *client.Client, p string) error {
			_, err := c.Facts(ctx, p)
			return err
		},
		"ChangeDir": func(c *client.Client, p string) error { return c.ChangeDir(ctx, p) },
		"Hash":      func(c *client.Client, p string) error { _, _, err := c.Hash(ctx, p, ""); return err },
		"Command":   func(c *client.Client, p string) error { _, err := c.Command(ctx, "SITE", p); return err },
		"Download": func(c *client.Client, p string) error {
			_, err := c.Download(ctx, p, "y", client.FileOptions{FS: mem})
			return err
		},
		"Upload": func(c *client.Client, p string) error {
			_, err := c.Upload(ctx, "x", p, client.FileOptions{FS: mem, Resume: true})
			return err
		},
	}
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Feat = append([]string{"HASH MD5*", "MFMT"}, fakeserver.MLST...) })
	c := dial(t, f, nil)
	n := len(f.Commands())
	for name, call := range methods {
		for _, p := range []string{"a\r\nDELE b", "a\nDELE b", "a\rb", "a\x00b"} {
			if err := call(c, p); !errors.Is(err, ftp.ErrLineBreak) {
				t.Errorf("%s(%q): %v", name, p, err)
			}
		}
	}
	if got := f.Since(n); len(got) > 0 {
		t.Errorf("the server got %q", got)
	}
	if entries, err := afero.ReadDir(mem, "."); err != nil || len(entries) != 1 {
		t.Errorf("local files: %v, %v", entries, err)
	}
}
