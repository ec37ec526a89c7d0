package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// argument is a valid argument of each verb that needs one; every other verb gets "/f", an existing file.
var argument = map[string]string{
	"USER": "rw", "PASS": "rw", "ACCT": "x", "HOST": "ftp.example",
	"PORT": "127,0,0,1,200,10", "EPRT": "|1|127.0.0.1|51210|", "PASV": "", "EPSV": "",
	"TYPE": "I", "STRU": "F", "MODE": "S", "REST": "0", "RANG": "0 1", "ALLO": "1",
	"CWD": "/d", "RMD": "/empty", "MKD": "/new", "STOR": "/stored", "STOU": "/stored", "APPE": "/stored",
	"MLSD": "/d", "MFMT": "20200101000000 /f", "MFF": "Modify=20200101000000; /f", "AVBL": "/d",
	"SITE CHMOD": "600 /f", "SITE UTIME": "20200101000000 /f", "SITE SYMLINK": "f /link", "SITE IDLE": "60", "SITE UMASK": "022",
	"OPTS UTF8": "ON", "OPTS MLST": "type;size;", "OPTS HASH": "SHA-256", "OPTS MODE": "Z LEVEL 6", "LANG": "en", "CLNT": "x", "CSID": "Name=x;",
	"SYST": "", "NOOP": "", "HELP": "", "FEAT": "", "REIN": "", "QUIT": "", "ABOR": "", "PWD": "", "CDUP": "", "SITE HELP": "",
}

// line is a valid command line for a verb.
func line(verb string) string {
	arg, ok := argument[verb]
	if !ok {
		arg = "/f"
	}
	return strings.TrimSuffix(verb+" "+arg, " ")
}

func spellings(v server.Verb) []string { return append([]string{v.Name}, v.Aliases...) }

// Without a login every verb that needs one is answered with 530 and does nothing: before USER, after USER,
// after a wrong password, after REIN and after a second USER.
func TestEveryVerbBeforeLogin(t *testing.T) {
	states := []struct {
		name  string
		reach func(*ctl)
	}{
		{"fresh", func(*ctl) {}},
		{"after USER", func(c *ctl) { c.cmd("USER rw", 331) }},
		{"after a wrong PASS", func(c *ctl) { c.cmd("USER rw", 331); c.cmd("PASS wrong", 530) }},
		{"after REIN", func(c *ctl) { c.cmd("USER rw", 331); c.cmd("PASS rw", 230); c.cmd("REIN", 220) }},
		{"after USER again", func(c *ctl) { c.cmd("USER rw", 331); c.cmd("PASS rw", 230); c.cmd("USER rw", 331) }},
	}
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	check(t, fsys.MkdirAll("/d", 0o755))
	check(t, fsys.MkdirAll("/empty", 0o755))
	s := serve(t, fsys)
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			c := s.connect(t)
			state.reach(c)
			for _, v := range server.Verbs() {
				for _, verb := range spellings(v) {
					if !v.Before {
						c.cmd(strings.Replace(line(v.Name), v.Name, verb, 1), 530)
						c.cmd(verb, 530) // even if the argument is missing
					}
				}
			}
			if got := names(t, fsys, "/"); !slices.Equal(got, []string{"d", "empty", "f"}) {
				t.Errorf("the tree is %q", got)
			}
		})
	}
}

// These verbs work before the login (required by RFC 4217 and 7151, and by clients).
func TestVerbsThatNeedNoLogin(t *testing.T) {
	c := serve(t, fsroot.NewMem()).connect(t)
	for _, tt := range []struct {
		line string
		code ftp.Code
	}{
		{"FEAT", 211},
		{"SYST", 215},
		{"NOOP", 200},
		{"HELP", 214},
		{"HOST ftp.example", 220},
		{"CLNT x", 200},
		{"OPTS UTF8 ON", 200},
		{"ABOR", 226},
		{"ACCT x", 503},
		{"PASS x", 503},
		{"REIN", 220},
		{"LANG en", 200},
		{"QUIT", 221},
	} {
		c.cmd(tt.line, tt.code)
	}
	c.closed()
}

// verbCodes has the reply code of each verb for a valid argument after login.
var verbCodes = map[string]ftp.Code{
	"USER": 331, "PASS": 503, "ACCT": 202, "REIN": 220, "QUIT": 221, "HOST": 503, "PASV": 227, "EPSV": 229, "PORT": 200, "EPRT": 200, "CPSV": 550, "SSCN": 550,
	"TYPE": 200, "STRU": 200, "MODE": 200, "REST": 350, "RANG": 350, "ALLO": 200, "ABOR": 226, "RETR": 425, "STOR": 425, "STOU": 425,
	"APPE": 425, "LIST": 425, "NLST": 425, "MLSD": 425, "MLST": 250, "STAT": 213, "CWD": 250, "CDUP": 250, "PWD": 257, "MKD": 257,
	"RMD": 250, "DELE": 250, "RNFR": 350, "RNTO": 503, "SIZE": 213, "MDTM": 213, "MFMT": 213, "MFF": 213, "HASH": 213,
	"XCRC": 250, "XMD5": 250, "XSHA1": 250, "XSHA256": 250, "XSHA512": 250, "SITE HELP": 214, "SITE CHMOD": 200, "SITE UTIME": 200,
	"SITE SYMLINK": 200, "SITE IDLE": 200, "SITE QUOTA": 200, "SITE UMASK": 200, "SYST": 215, "NOOP": 200, "HELP": 214, "FEAT": 211, "OPTS UTF8": 200, "OPTS MLST": 200,
	"OPTS HASH": 200, "OPTS MODE": 501, "AUTH": 502, "PBSZ": 503, "PROT": 503, "CCC": 533, "CLNT": 200, "CSID": 200, "LANG": 200, "AVBL": 213,
}

// Every verb in all spellings, for an account with all permissions and for two with few. Without the permission
// the reply is 550 and nothing else happens.
func TestEveryVerbByAccount(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	perms := map[string]server.Perm{"rw": server.ReadWrite, "ro": server.ReadOnly, "drop": server.DropBox}
	var fsys afero.Fs // a new one for every command
	s := serve(t, nil, func(o *server.Options) {
		o.Auth = server.AuthenticatorFunc(func(_ context.Context, l server.Login) (*server.Account, error) {
			return &server.Account{FS: fsys, Perm: perms[l.User]}, nil
		})
	})
	for user, perm := range perms {
		t.Run(user, func(t *testing.T) {
			for _, v := range server.Verbs() {
				for _, verb := range spellings(v) {
					for _, spelled := range []string{verb, strings.ToLower(verb)} {
						var dir string
						fsys, dir = disk(t)
						write(t, fsys, "/f", "content")
						check(t, fsys.MkdirAll("/d", 0o755))
						check(t, fsys.MkdirAll("/empty", 0o755))
						c := s.login(t, user)
						want := verbCodes[v.Name]
						switch {
						case !perm.Has(v.Perm), v.Name == "STAT" && !perm.Has(server.PermList):
							want = 550
						case want == 0:
							t.Fatalf("%s is new: add its reply to verbCodes", v.Name)
						}
						cmd := strings.Replace(line(v.Name), v.Name, spelled, 1)
						if r := c.cmd(cmd); r.Code != want {
							t.Errorf("%s: reply %v, want %d", cmd, r, want)
						} else if strings.Contains(r.Text(), dir) {
							t.Errorf("%s: reply %q shows the host path", cmd, r.Text())
						}
						if want == 550 && !slices.Equal(names(t, fsys, "/"), []string{"d", "empty", "f"}) {
							t.Errorf("%s changed the tree though it was refused", cmd)
						}
						_ = c.Close()
					}
				}
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	c := serve(t, fsys).login(t, "rw")
	for _, v := range server.Verbs() {
		if strings.HasPrefix(v.Syntax, "<path>") && !strings.Contains(v.Name, " ") {
			c.cmd(v.Name, 501)
			c.cmd(v.Name+" ", 501)
		}
	}
	for _, bad := range []string{
		"USER", "USER ", "PORT", "PORT 1,2,3", "EPRT", "EPRT |1|127.0.0.1|", "REST", "REST x", "REST -1", "REST 9223372036854775808",
		"REST 1.5", "RANG 5", "RANG 5 2", "RANG -1 4", "RANG x y", "ALLO", "ALLO x", "ALLO 1 R", "ALLO 1 Q 2", "STRU X", "MODE X",
		"MFMT 2020 /f", "MFMT 20200101000000", "MFF Modify=x; /f", "MFF ; ", "SITE CHMOD 9 /f", "SITE CHMOD 7777 /f", "SITE CHMOD 600",
		"SITE CHMOD -1 /f", "SITE UTIME x /f", "SITE SYMLINK x", "SITE IDLE x", "SITE IDLE 1", "SITE NOSUCH", "SITE", "OPTS", "OPTS NOSUCH",
		"OPTS HASH ROT13", "OPTS UTF8 MAYBE", "HELP NOSUCH", "XCRC /f 5 2", "HASH",
	} {
		if r := c.cmd(bad); r.Code != 501 {
			t.Errorf("%q: reply %v, want 501", bad, r)
		}
	}
	for _, bad := range []string{"TYPE E", "TYPE X", "TYPE L 36", "TYPE A C", "STRU R", "STRU P", "MODE C", "MODE Z", "MFF Create=20200101000000; /f", "LANG fr"} {
		if r := c.cmd(bad); r.Code != 504 {
			t.Errorf("%q: reply %v, want 504", bad, r)
		}
	}
	for _, unknown := range []string{"XYZZY", "XYZZY /f", "LPRT 4,4,1,2,3,4,2,1,2", "\x01\x02", "RETR\t/f", "G=T / HTTP/1.1"} {
		if r := c.cmd(unknown); r.Code != 500 {
			t.Errorf("%q: reply %v, want 500", unknown, r)
		}
	}
	c.cmd("SMNT /f", 502)
	c.cmd("NOOP", 200)
}

// The next transfer has the type that the server has accepted.
func TestTypes(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "a\nb\n")
	c := serve(t, fsys).login(t, "ro")
	for _, tt := range []struct{ typ, want string }{
		{"A", "a\r\nb\r\n"}, {"I", "a\nb\n"}, {"a n", "a\r\nb\r\n"}, {"L 8", "a\nb\n"}, {"A T", "a\r\nb\r\n"}, {"i", "a\nb\n"},
	} {
		c.cmd("TYPE "+tt.typ, 200)
		c.cmd("TYPE E", 504)
		if got := string(c.get("RETR /f")); got != tt.want {
			t.Errorf("TYPE %s: %q, want %q", tt.typ, got, tt.want)
		}
	}
	c.cmd("TYPE I", 200)
	c.cmd("REIN", 220)
	c.cmd("USER ro", 331)
	c.cmd("PASS ro", 230)
	if got := string(c.get("RETR /f")); got != "a\r\nb\r\n" {
		t.Errorf("after REIN the type is not A: %q", got)
	}
}

// FEAT lists every extension of the table, and each of them works.
func TestFeat(t *testing.T) {
	c := serve(t, fsroot.NewMem()).login(t, "rw")
	r := c.cmd("FEAT", 211)
	for _, l := range r.Lines[1 : len(r.Lines)-1] {
		if !strings.HasPrefix(l, " ") {
			t.Errorf("%q does not start with a space (RFC 2389 §3.2)", l)
		}
	}
	f := ftp.ParseFeatures(r)
	want := []string{"AVBL", "CLNT", "CSID", "EPRT", "EPSV", "HASH", "HOST", "LANG", "MDTM", "MFF", "MFMT", "MLST", "MODE", "RANG", "REST", "SIZE", "TVFS", "UTF8", "X-MINIFTP", "XCRC", "XMD5", "XSHA1", "XSHA256", "XSHA512"}
	for _, verb := range want {
		if !f.Has(verb) {
			t.Errorf("FEAT does not name %s", verb)
		}
		delete(f, verb)
	}
	if len(f) > 0 {
		t.Errorf("FEAT lists %v, too: does it work, and is it tested here?", f)
	}
}

// The stars in FEAT follow OPTS.
func TestFeatStars(t *testing.T) {
	c := serve(t, fsroot.NewMem()).login(t, "rw")
	c.cmd("OPTS MLST size;TYPE;nosuch;", 200)
	c.cmd("OPTS HASH MD5", 200)
	f := ftp.ParseFeatures(c.cmd("FEAT", 211))
	if got := f["MLST"]; !strings.HasPrefix(got, "type*;size*;modify;perm;") {
		t.Errorf("MLST %s", got)
	}
	if got := f["HASH"]; !strings.Contains(got, "MD5*") || strings.Contains(got, "SHA-256*") {
		t.Errorf("HASH %s", got)
	}
}

// HELP lists every verb, and explains each.
func TestHelp(t *testing.T) {
	c := serve(t, fsroot.NewMem()).connect(t)
	if got := c.cmd("HELP site", 214).Text(); !strings.Contains(got, "SITE CHMOD") {
		t.Errorf("HELP SITE: %q", got) // ncftp sends it
	}
	all := strings.Fields(c.cmd("HELP", 214).Text())
	for _, v := range server.Verbs() {
		if word, _, _ := strings.Cut(v.Name, " "); !slices.Contains(all, word) {
			t.Errorf("HELP does not name %s", word)
		}
		if got := c.cmd("HELP "+strings.ToLower(v.Name), 214).Text(); !strings.Contains(got, v.Help) {
			t.Errorf("HELP %s: %q", v.Name, got)
		}
	}
}
