package server_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// pathCommands are the commands of every verb with a path, which is %s. TestPathCommandsAreAll keeps them
// complete.
var pathCommands = map[string][]string{
	"RETR": {"RETR %s"}, "STOR": {"STOR %s", "REST 1\nSTOR %s"}, "STOU": {"STOU %s"}, "APPE": {"APPE %s"},
	"LIST": {"LIST %s", "LIST -la %s", "LIST -R %s", "LIST -d %s", "LIST %s/*", "LIST %s*"}, "NLST": {"NLST %s", "NLST -a %s", "NLST %s/*"},
	"MLSD": {"MLSD %s"}, "MLST": {"MLST %s"}, "STAT": {"STAT %s", "STAT -la %s", "STAT %s/*"}, "CWD": {"CWD %s", "CWD %s\nLIST", "CWD %s\nRETR secret"},
	"MKD": {"MKD %s", "MKD %s/new"}, "RMD": {"RMD %s", "RMD %s/dir"}, "DELE": {"DELE %s"}, "RNFR": {"RNFR %s\nRNTO /stolen"}, "RNTO": {"RNFR /bait\nRNTO %s", "RNFR /bait\nRNTO %s/bait"},
	"SIZE": {"SIZE %s"}, "MDTM": {"MDTM %s", "MDTM 20010101000000 %s"}, "MFMT": {"MFMT 20010101000000 %s"}, "MFF": {"MFF Modify=20010101000000; %s", "MFF UNIX.mode=0777; %s"},
	"HASH": {"HASH %s"}, "XCRC": {"XCRC %s"}, "XMD5": {"XMD5 \"%s\" 0 4"}, "XSHA1": {"XSHA1 %s"}, "XSHA256": {"XSHA256 %s"}, "XSHA512": {"XSHA512 %s"},
	"SITE CHMOD": {"SITE CHMOD 777 %s"}, "SITE UTIME": {"SITE UTIME 20010101000000 %s", "SITE UTIME %s 20010101000000 20010101000000 20010101000000 UTC"},
	"SITE SYMLINK": {"SITE SYMLINK secret %s", "SITE SYMLINK %s /new\nRETR /new", "SITE SYMLINK %s/secret /new\nRETR /new"}, "AVBL": {"AVBL %s"},
}

// pathless are the verbs whose argument is not a path.
const pathless = " USER PASS ACCT REIN QUIT HOST PASV EPSV PORT EPRT CPSV SSCN TYPE STRU MODE REST RANG ALLO ABOR CDUP PWD SITE_HELP SITE_IDLE SITE_QUOTA SITE_UMASK SYST NOOP HELP FEAT OPTS_UTF8 OPTS_MLST OPTS_HASH OPTS_MODE CLNT CSID LANG AUTH PBSZ PROT CCC "

func TestPathCommandsAreAll(t *testing.T) {
	for _, v := range server.Verbs() {
		if pathCommands[v.Name] == nil && !strings.Contains(pathless, " "+strings.ReplaceAll(v.Name, " ", "_")+" ") {
			t.Errorf("%s is new: add it to pathCommands or pathless", v.Name)
		}
	}
}

// jail is a tree with ways out of it, and a secret outside.
type jail struct {
	fs            afero.Fs
	host, outside string
}

const secret = "what the host keeps to itself"

func newJail(t testing.TB) jail {
	t.Helper()
	top := t.TempDir()
	j := jail{host: top + "/jail", outside: top + "/jail_outside"} // starts with the same string, to catch string comparisons
	for _, dir := range []string{j.host, j.outside, j.outside + "/dir", j.host + "/d"} {
		check(t, os.Mkdir(dir, 0o755))
	}
	check(t, os.WriteFile(j.outside+"/secret", []byte(secret), 0o644))
	check(t, os.WriteFile(j.host+"/bait", []byte("bait"), 0o644))
	check(t, os.WriteFile(j.host+"/d/in", []byte("inside"), 0o644))
	for name, target := range map[string]string{
		"fileRel": "../jail_outside/secret", "fileAbs": j.outside + "/secret", "dirRel": "../jail_outside", "dirAbs": j.outside, "up": "..", "top": "/",
		"chain": "dirRel", "d/climb": "../../jail_outside/secret", "newRel": "../jail_outside/new", "newAbs": j.outside + "/new",
		"goodRel": "d/in", "goodAbs": j.host + "/d/in", "goodDir": "d", "goodDirAbs": j.host + "/d",
	} {
		check(t, os.Symlink(target, j.host+"/"+name))
	}
	root, err := fsroot.OpenRoot(j.host)
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	j.fs = root
	return j
}

// snapshot describes everything outside: names, content, modes and times.
func (j jail) snapshot(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	check(t, filepath.WalkDir(j.outside, func(p string, e fs.DirEntry, err error) error {
		check(t, err)
		fi, err := e.Info()
		check(t, err)
		content, _ := os.ReadFile(p)
		modified := fi.ModTime()
		_, _ = fmt.Fprintf(&b, "%s %v %v %s\n", p, fi.Mode(), modified, content)
		return nil
	}))
	return b.String()
}

// waysOut are paths that would leave the jail if the server followed them.
func (j jail) waysOut() []string {
	ways := []string{
		"/fileRel", "/fileAbs", "/dirRel", "/dirAbs", "/dirRel/secret", "/dirAbs/secret", "/dirAbs/dir", "/up/jail_outside/secret", "/up/jail_outside", "/top" + j.outside + "/secret",
		"/chain/secret", "/chain", "/d/climb", "/d/../fileRel", "/newRel", "/newAbs", "/dirRel/new", "/dirAbs/new", "fileRel/", "dirAbs/.", "dirAbs/dir/..", "/dirRel/../jail_outside/secret",
		"../jail_outside/secret", "/../jail_outside/secret", "../../../../../../../../.." + j.outside + "/secret", j.outside + "/secret", j.outside, "/.." + j.outside, "d/../../jail_outside/secret",
		"..\\jail_outside\\secret", "%2e%2e/jail_outside/secret", "%2e%2e%2fjail_outside%2fsecret", "..%c0%afjail_outside/secret", "....//jail_outside/secret", "/fileRel\x00", "../jail_outside/secret\x00.txt",
		"~root", "~", "file://" + j.outside + "/secret", "\\\\?\\" + j.outside,
	}
	return ways
}

// Nothing leads out of the jail, with any verb and path: what is outside is neither read nor changed, and no
// reply contains a host path.
func TestNothingLeadsOut(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	var now afero.Fs
	s := serve(t, nil, func(o *server.Options) {
		o.Auth = server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
			return &server.Account{FS: now, Perm: server.ReadWrite}, nil
		})
	})
	for _, v := range server.Verbs() {
		for _, script := range pathCommands[v.Name] {
			j := newJail(t)
			now = j.fs
			before := j.snapshot(t)
			for _, way := range j.waysOut() {
				c := s.login(t, "rw")
				cmds := strings.ReplaceAll(script, "%s", way)
				said := c.everything(strings.Split(cmds, "\n"))
				if strings.Contains(said, secret) || strings.Contains(said, fmt.Sprintf("size=%d;", len(secret))) {
					t.Errorf("%q shows the secret:\n%s", cmds, said)
				}
				if !strings.Contains(way, j.outside) && strings.Contains(said, filepath.Dir(j.host)) { // a reply may quote the command
					t.Errorf("%q shows the host's path:\n%s", cmds, said)
				}
				_ = c.Close()
			}
			if after := j.snapshot(t); after != before {
				t.Errorf("%s changed what is outside:\n%s\nit was\n%s", script, after, before)
			}
		}
	}
}

// everything runs commands, with a data connection if one of them needs it, and returns everything received.
func (c *ctl) everything(cmds []string) string {
	c.t.Helper()
	said := ""
	for _, cmd := range cmds {
		verb, _, _ := strings.Cut(cmd, " ")
		transfer := ftp.IsTransfer(verb)
		var d io.ReadWriteCloser
		if transfer {
			d = c.epsv()
		}
		r := c.cmd(cmd)
		said += fmt.Sprintf("%d %s\n", r.Code, r.Text())
		if r.Code.Class() == ftp.Preliminary {
			if verb == "STOR" || verb == "APPE" || verb == "STOU" {
				_, _ = io.WriteString(d, "overwritten")
			} else {
				b, _ := io.ReadAll(d)
				said += string(b)
			}
			_ = d.Close()
			r = c.reply()
			said += fmt.Sprintf("%d %s\n", r.Code, r.Text())
		}
		if transfer {
			_ = d.Close()
		}
	}
	return said
}

// Links within the tree work, relative or absolute, for files and directories.
func TestLinksInsideWork(t *testing.T) {
	j := newJail(t)
	c := serve(t, j.fs).login(t, "rw")
	for _, p := range []string{"/goodRel", "/goodAbs", "/goodDir/in", "/goodDirAbs/in", "goodDir/../goodRel"} {
		if got := string(c.get("RETR " + p)); got != "inside" {
			t.Errorf("RETR %s: %q", p, got)
		}
		c.cmd("SIZE "+p, 213)
		c.cmd("HASH "+p, 213)
		c.cmd("MFMT 20010203040506 "+p, 213)
		c.cmd("SITE CHMOD 640 "+p, 200)
	}
	for _, p := range []string{"/goodDir", "/goodDirAbs"} {
		c.cmd("CWD "+p, 250)
		if got := c.lines("NLST"); len(got) != 2 || got[1] != "in" {
			t.Errorf("NLST in %s: %q", p, got)
		}
		c.put("STOR new", []byte("x"))
		c.cmd("MKD sub", 257)
		c.cmd("RMD sub", 250)
		c.cmd("DELE new", 250)
		c.cmd("CWD /", 250)
	}
	c.cmd("SITE SYMLINK d/in /made", 200)
	c.cmd("SITE SYMLINK /d/in /goodDir/madeAbs", 200)
	for _, p := range []string{"/made", "/d/madeAbs"} {
		if got := string(c.get("RETR " + p)); got != "inside" {
			t.Errorf("RETR %s: %q", p, got)
		}
	}
	// DELE and RNFR apply to a link itself, not to its target, even if that is outside the jail.
	for _, link := range []string{"goodRel", "fileAbs", "dirRel"} {
		c.cmd("RNFR "+link, 350)
		c.cmd("RNTO renamed", 250)
		c.cmd("DELE renamed", 250)
	}
	if _, err := os.Stat(j.outside + "/secret"); err != nil {
		t.Error("deleting a link has deleted its target")
	}
	if got := string(c.get("RETR /d/in")); got != "inside" {
		t.Errorf("/d/in: %q", got)
	}
}

// A user's home may be any directory of the tree, and ".." from there stops at the root.
func TestHome(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/a/b/f", "x")
	s := serve(t, fsys, func(o *server.Options) {
		o.Auth = server.Static{"home": {Password: "home", Account: server.Account{FS: fsys, Home: "a/../a/b", Perm: server.ReadOnly}}}
	})
	c := s.login(t, "home")
	if got := c.cmd("PWD", 257).Text(); got != `"/a/b"` {
		t.Errorf("PWD %s", got)
	}
	if got := string(c.get("RETR f")); got != "x" {
		t.Errorf("RETR f: %q", got)
	}
	c.cmd("CWD ../../../..", 250)
	if got := c.cmd("PWD", 257).Text(); got != `"/"` {
		t.Errorf("PWD %s", got)
	}
}
