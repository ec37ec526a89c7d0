package server_test

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"miniftp/ftp"
)

// Offsets, sizes and ranges at the limits of numbers: each is refused or taken exactly, and the next transfer
// moves exactly those bytes.
func TestNumbersAtTheEdge(t *testing.T) {
	const most int64 = math.MaxInt64
	content := "0123456789"
	fsys := oneFile(t, content)
	s := serve(t, fsys)
	for _, tt := range []struct {
		before string
		code   ftp.Code
		retr   string // what RETR sends afterwards; "-": it is refused
	}{
		{"REST -1", 501, content},
		{"REST +1", 501, content},
		{"REST 9223372036854775808", 501, content},
		{"REST 18446744073709551615", 501, content},
		{"REST 0x5", 501, content},
		{"REST 1e1", 501, content},
		{"REST " + strings.Repeat("9", 4000), 501, content},
		{"REST 5 5", 501, content},
		{"REST 00000000000000000000000005", 350, "56789"},
		{"REST 10", 350, ""},
		{"REST 11", 350, "-"},
		{fmt.Sprint("REST ", most), 350, "-"},
		{fmt.Sprint("RANG 0 ", most), 350, content},
		{fmt.Sprintf("RANG %d %d", most, most), 350, "-"},
		{fmt.Sprint("RANG 4 ", most-1), 350, "456789"},
		{"RANG 3 3", 350, "3"},
		{"RANG 3 2", 501, content},
		{"RANG 1 0", 350, content},
		{"RANG -1 5", 501, content},
		{"RANG 0 -1", 501, content},
		{"RANG 0 9223372036854775808", 501, content},
		{"RANG 9 9", 350, "9"},
		{"RANG 10 10", 350, ""},
		{"RANG 11 12", 350, "-"},
		{"ALLO -1", 501, content},
		{"ALLO 9223372036854775808", 501, content},
		{"TYPE L 18446744073709551624", 504, content},
		{"SITE IDLE 9223372036854775807", 501, content},
		{"PBSZ 18446744073709551616", 503, content},
		{"MDTM 99999999999999 /f", 550, content},
		{"MFMT 00000000000000 /f", 501, content},
		{"MFMT 20260230000000 /f", 501, content},
		{"SITE CHMOD 37777777777 /f", 501, content},
		{"SITE CHMOD 4755 /f", 501, content},
		{"MFF UNIX.mode=4755; /f", 501, content},
		{"XCRC /f 0 9223372036854775808", 550, content},
		{"XCRC /f -1 5", 550, content},
		{"XCRC /f 5 4", 501, content},
		{"XCRC /f 11 12", 554, content},
	} {
		c := s.login(t, "rw")
		c.cmd(tt.before, tt.code, 501)
		d := c.epsv()
		if tt.retr == "-" {
			c.cmd("RETR /f", 554)
		} else {
			c.cmd("RETR /f", 150)
			if got := string(rest(d)); got != tt.retr {
				t.Errorf("%s: RETR sent %q, want %q", tt.before, got, tt.retr)
			}
			c.want(226)
		}
		_ = d.Close()
		d = c.epsv()
		if r := c.cmd("REST 11", 350); r.Code != 350 {
			t.Error(r)
		}
		c.cmd("STOR /f", 554) // past the end
		c.cmd(fmt.Sprint("REST ", most), 350)
		c.cmd("STOR /f", 554)
		_ = d.Close()
		_ = c.Close()
	}
	if got := read(t, fsys, "/f"); got != content {
		t.Errorf("the file is %q", got)
	}
	// A range applies to a hash as to RETR.
	c := s.login(t, "rw")
	c.cmd(fmt.Sprint("RANG 4 ", most), 350)
	tail := c.cmd("HASH /f", 213).Text()
	c.cmd("RANG 4 9", 350)
	if want := c.cmd("HASH /f", 213).Text(); tail != want {
		t.Errorf("HASH to the end: %s, want %s", tail, want)
	}
}

// A line that is too long ends the session, with and without TLS, before and after the login, at once and byte
// by byte: the server does not collect it first.
func TestOverlongLinesEverywhere(t *testing.T) {
	s := serve(t, oneFile(t, "x"), withTLS)
	for name, c := range map[string]*ctl{
		"fresh": s.connect(t), "logged in": s.login(t, "rw"), "TLS": s.connect(t).secure(clientConfig(0)).ctl, "private": s.connect(t).secure(clientConfig(0)).private("rw").ctl,
	} {
		go func() { // until the server has enough
			for {
				if _, err := io.WriteString(c.Conn, "NOOPNOOP"); err != nil {
					return
				}
			}
		}()
		if r := c.reply(); r.Code != 500 {
			t.Errorf("%s: %v", name, r)
		}
		_, err := io.Copy(io.Discard, c.Conn)
		if isTimeout(err) {
			t.Errorf("%s: the session continues", name)
		}
		_ = c.Close()
	}
}
