package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/server"
)

// The hidden name of a partial upload is reserved: no command of a client accepts it, in any spelling, whether
// the file exists or not. Names that only look similar are ordinary.
func TestPartialNamesAreReserved(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		kept := server.PartialName("f", "drop", nil, 0)
		running := server.PartialName("f", "drop", nil, 1)
		write(t, fsys, "/"+kept, "of another account")
		write(t, fsys, "/mine", "x")
		c := serve(t, fsys).login(t, "rw")
		for _, name := range []string{kept, running, "/" + kept, "./" + kept, "x/../" + kept, kept + "/"} {
			for _, cmd := range []string{
				"RETR %s", "STOR %s", "APPE %s", "STOU %s", "SIZE %s", "MDTM %s", "MDTM 20200101000000 %s", "MFMT 20200101000000 %s", "MFF Modify=20200101000000; %s",
				"DELE %s", "RNFR %s", "MKD %s", "RMD %s", "CWD %s", "LIST %s", "LIST -a %s", "NLST %s", "MLST %s", "MLSD %s", "STAT %s", "HASH %s", "SITE CHMOD 777 %s",
				"SITE SYMLINK mine %s", "SITE UTIME 20200101000000 %s",
			} {
				c.cmd(fmt.Sprintf(cmd, name), 553)
			}
			c.cmd("RNFR mine", 350)
			c.cmd("RNTO "+name, 553)
		}
		c.cmd("SITE SYMLINK "+kept+" l", 553)
		if got := read(t, fsys, "/"+kept); got != "of another account" {
			t.Errorf("the file contains %q", got)
		}
		for _, verb := range []string{"LIST -a", "NLST -a", "MLSD", "NLST .*"} {
			if verb == "NLST .*" {
				c.cmd(verb, 550)
				continue
			}
			for _, line := range c.lines(verb) {
				if strings.Contains(line, "upload") {
					t.Errorf("%s lists %q", verb, line)
				}
			}
		}
		for _, name := range []string{".f.upload", ".f.0123abcd.upload", strings.Replace(kept, "0", "1", 1), kept + ".bak"} {
			c.put("STOR "+name, []byte("anybody's"))
			c.cmd("DELE "+name, 250)
		}
	})
}

// A partial upload belongs to the account that has sent it. No command lets another account resume, truncate or
// remove it. Anonymous users are told apart by address.
func TestPartialUploadsHaveOwners(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		kept := "/" + server.PartialName("f", "drop", nil, 0)
		write(t, fsys, kept, "first, ")
		s := serve(t, fsys)
		other, owner := s.login(t, "rw"), s.login(t, "drop")
		other.cmd("SIZE f", 550)
		other.cmd("DELE f", 550)
		other.cmd("REST 7", 350)
		other.cmd("EPSV", 229)
		other.cmd("STOR f", 554)
		other.put("APPE f", []byte("another file"))
		other.put("STOR f", []byte("a third"))
		other.cmd("DELE f", 250)
		if got := read(t, fsys, kept); got != "first, " {
			t.Errorf("the file contains %q", got)
		}
		owner.cmd("REST 7", 350)
		owner.put("STOR f", []byte("second"))
		if got := read(t, fsys, "/f"); got != "first, second" {
			t.Errorf("/f contains %q", got)
		}
	})
}

// A client that has lost its connection may return while its upload still runs on the server. It can't resume
// then. Above all it must not continue in the old file, whose size it gets from SIZE.
func TestResumeBesideTheLostSession(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/f", "the old file")
		write(t, fsys, "/d/f", "another file of that name")
		s := serve(t, fsys)
		earlier := s.login(t, "rw")
		lost := s.login(t, "rw")
		d := lost.starts("STOR f")
		back := s.login(t, "rw")
		back.cmd("REST 4", 350)
		back.cmd("EPSV", 229)
		back.cmd("STOR f", 450)
		back.cmd("APPE f", 450)
		back.put("APPE d/f", []byte(", longer"))
		earlier.put("APPE f", []byte(", longer"))
		if got := read(t, fsys, "/f"); got != "the old file, longer" {
			t.Errorf("/f contains %q", got)
		}
		_, err := d.Write([]byte("the new file"))
		check(t, err)
		check(t, d.Close())
		lost.want(226)
		if got := read(t, fsys, "/f"); got != "the new file" {
			t.Errorf("/f contains %q", got)
		}
	})
}
