package server_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// withoutDir has the replies of verbs whose argument names a file in a directory that was removed. All others
// reply 550.
var withoutDir = map[string][]ftp.Code{
	"PWD": {257}, "PASS": {503}, "USER": {331}, "ACCT": {202}, "HOST": {503}, "REIN": {220}, "QUIT": {221},
	"TYPE": {200}, "STRU": {200}, "MODE": {200}, "PORT": {200, 504}, "EPRT": {200, 522}, "PASV": {227}, "EPSV": {229}, "REST": {350}, "RANG": {350},
	"ALLO": {200}, "ABOR": {226}, "NOOP": {200}, "SYST": {215}, "HELP": {214}, "FEAT": {211}, "CLNT": {200}, "CSID": {200}, "LANG": {200},
	"OPTS UTF8": {200}, "OPTS MLST": {200}, "OPTS HASH": {200}, "OPTS MODE": {501}, "SITE HELP": {214}, "SITE IDLE": {200}, "SITE QUOTA": {200}, "SITE UMASK": {200}, "RNTO": {503},
}

// The working directory of a session is removed. Every verb that refers to something in it replies 550, soon
// and once. The others work, the client can leave the directory, and all works again when the directory is
// back.
func TestFaultDirectoryRemoved(t *testing.T) {
	testutil.Long(t)
	fsys, dir := disk(t)
	s := serve(t, fsys, func(o *server.Options) { o.DataTimeout = 50 * time.Millisecond })
	for _, v := range server.Verbs() {
		check(t, os.MkdirAll(dir+"/d/e", 0o755))
		write(t, fsys, "/d/f", "content")
		c := s.login(t, "rw")
		c.cmd("CWD d/e", 250)
		d := c.epsv()
		check(t, os.RemoveAll(dir+"/d"))
		want, ok := withoutDir[v.Name]
		if !ok {
			want = []ftp.Code{550}
		}
		cmd := strings.ReplaceAll(strings.ReplaceAll(line(v.Name), " /", " "), "; /", "; ")
		r := c.cmd(cmd)
		if !slices.Contains(want, r.Code) && !(slices.Contains(tlsVerbs, v.Name) && r.Code.Class() == ftp.PermanentFail) {
			t.Errorf("%s: %v, want %v", cmd, r, want)
		}
		_ = d.Close()
		if v.Name == "QUIT" {
			c.closed()
			continue
		}
		if v.Name == "USER" || v.Name == "REIN" {
			c = s.login(t, "rw")
		}
		if v.Name == "RANG" { // STOR can't follow RANG
			c.cmd("RANG 1 0", 350)
		}
		c.cmd("CWD /", 250)
		check(t, os.MkdirAll(dir+"/d/e", 0o755))
		c.cmd("CWD d/e", 250)
		c.put("STOR f", []byte("again"))
		if got := read(t, fsys, "/d/e/f"); got != "again" {
			t.Errorf("after %s: stored %q", cmd, got)
		}
		c.cmd("QUIT", 221)
		check(t, os.RemoveAll(dir+"/d"))
	}
}

// tlsVerbs do not work without TLS.
var tlsVerbs = []string{"AUTH", "PBSZ", "PROT", "CCC", "SSCN", "CPSV"}

// A directory is removed during an upload to it. The upload fails with a reply, and the session continues.
func TestFaultDirectoryRemovedInAnUpload(t *testing.T) {
	fsys, dir := disk(t)
	c := serve(t, fsys).login(t, "rw")
	for _, cmd := range []string{"STOR d/f", "APPE d/f", "STOU d/f", "LIST d", "RETR d/big"} {
		check(t, os.MkdirAll(dir+"/d", 0o755))
		check(t, os.WriteFile(dir+"/d/big", random(1<<20), 0o600))
		d := c.starts(cmd)
		check(t, os.RemoveAll(dir+"/d"))
		if strings.HasPrefix(cmd, "STO") || strings.HasPrefix(cmd, "APPE") {
			_, err := d.Write([]byte("content"))
			check(t, err)
			check(t, d.Close())
		} else {
			rest(d)
			_ = d.Close()
		}
		r := c.reply()
		switch {
		case strings.HasPrefix(cmd, "STOU"): // written to its final name from the start
		case strings.HasPrefix(cmd, "LIST"), strings.HasPrefix(cmd, "RETR"):
			if r.Code != 226 && r.Code != 451 && r.Code != 550 {
				t.Errorf("%s: %v", cmd, r)
			}
		case r.Code != 550:
			t.Errorf("%s: %v, want 550", cmd, r)
		}
		c.cmd("NOOP", 200)
		if exists(fsys, "/d") {
			t.Errorf("%s made the directory again", cmd)
		}
	}
}
