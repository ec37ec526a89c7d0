package server_test

import (
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// Offsets count bytes of the file. They are refused if other bytes are sent, whichever command completes that
// combination. They are also refused if the wrong part of a file would be stored or sent.
func TestOffsetsOnlyWhereTheyAreExact(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/f", "aa\nbb\ncc\n")
	c := serve(t, fsys).login(t, "rw")
	for _, lines := range [][]string{
		{"TYPE A", "!REST 4"},
		{"TYPE A", "!RANG 4 5"},
		{"TYPE A", "!RANG 0 5"},
		{"TYPE A", "REST 0", "RANG 1 0"},
		{"REST 4", "TYPE A", "!RETR f"},
		{"REST 4", "TYPE A", "!STOR f"},
		{"RANG 4 5", "TYPE A", "!RETR f"},
		{"RANG 4 5", "TYPE A", "!HASH f"},
		{"REST 4", "!STOU"},
		{"REST 4", "!APPE f"},
		{"RANG 4 5", "!STOR f"},
		{"RANG 4 5", "!STOU"},
		{"RANG 4 5", "!APPE f"},
		{"RANG 0 9223372036854775807", "!STOR f"},
	} {
		c.cmd("TYPE I", 200)
		c.cmd("ABOR", 226) // ABOR ends REST and RANG
		d := c.epsv()
		for _, line := range lines {
			line, refused := strings.CutPrefix(line, "!")
			if r := c.cmd(line); refused != (r.Code >= 500) {
				t.Errorf("%q: %s: %v", lines, line, r)
			}
		}
		_ = d.Close()
		if got := read(t, fsys, "/f"); got != "aa\nbb\ncc\n" {
			t.Fatalf("%q changed the file to %q", lines, got)
		}
		if got := names(t, fsys, "/"); len(got) != 1 {
			t.Fatalf("%q left %q", lines, got)
		}
	}
	c.cmd("TYPE I", 200)
	for _, tt := range [][2]string{
		{"RANG 3 9223372036854775807", "bb\ncc\n"},
		{"RANG 0 9223372036854775807", "aa\nbb\ncc\n"},
		{"RANG 3 9223372036854775806", "bb\ncc\n"},
		{"RANG 3 4", "bb"},
		{"REST 6", "cc\n"},
	} {
		c.cmd(tt[0], 350)
		if got := string(c.get("RETR f")); got != tt[1] {
			t.Errorf("%s: %q, want %q", tt[0], got, tt[1])
		}
	}
	c.cmd("RANG 3 9223372036854775807", 350)
	if r := c.cmd("HASH f", 213); !strings.Contains(r.Text(), "3-8 ") {
		t.Errorf("HASH: %v", r)
	}
}

// Every line after an upload gets its reply, even one that is not a command, with its own name.
func TestMalformedLineBehindAnUpload(t *testing.T) {
	fsys, _ := disk(t)
	c := serve(t, fsys).login(t, "rw")
	for range 20 {
		d := c.starts("STOR f")
		c.raw("NOOP\r\n\r\nPWD\r\n\x01\x02 x\r\nMKD a\rb\r\nCWD /\r\n")
		check(t, d.Close())
		codes := []ftp.Code{226, 200, 500, 257, 500, 500, 250}
		first := c.want(226, 200) // NOOP is answered at once or in turn
		if first.Code == 200 {
			codes = []ftp.Code{200, 226, 500, 257, 500, 500, 250}
		}
		for _, code := range codes[1:] {
			if r := c.want(code); strings.Contains(r.Text(), "?") {
				t.Errorf("%q names a command that was not sent", r.Text())
			}
		}
	}
}

// What a script sends before it closes its side of the connection is run and answered: during a login, and
// after a hash, a listing and a download.
func TestCommandsBeforeAHalfClose(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/f", string(random(1<<20)))
	s := serve(t, fsys)
	listen := func() (string, chan []byte) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		got := make(chan []byte, 1)
		go func() {
			defer l.Close()
			_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
			d, err := l.Accept()
			if err != nil {
				got <- nil
				return
			}
			defer d.Close()
			got <- rest(d)
		}()
		return "EPRT |1|127.0.0.1|" + strings.TrimPrefix(l.Addr().String(), "127.0.0.1:") + "|\r\n", got
	}
	for _, quit := range []string{"", "QUIT\r\n"} {
		c := s.connect(t)
		eprt, got := listen()
		c.raw("USER rw\r\nPASS rw\r\nMKD d\r\nHASH f\r\nSTAT /\r\nRMD d\r\n\r\nTYPE I\r\n" + eprt + "RETR f\r\nPWD\r\n" + quit)
		check(t, c.Conn.(*net.TCPConn).CloseWrite())
		for _, code := range []ftp.Code{331, 230, 257, 213, 212, 250, 500, 200, 200, 150, 226, 257} {
			c.want(code)
		}
		if quit != "" {
			c.want(221)
		}
		c.closed()
		if b := <-got; len(b) != 1<<20 {
			t.Errorf("%d bytes were received", len(b))
		}
	}
}

// If the end of a script's input is read during a download, the commands after the download are still run.
func TestHalfCloseInATransfer(t *testing.T) {
	const size = 16 << 20 // more than fits in the sockets' buffers
	fsys, _ := disk(t)
	write(t, fsys, "/f", string(random(size)))
	s := serve(t, fsys)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	c := s.connect(t)
	c.raw("USER rw\r\nPASS rw\r\nTYPE I\r\nEPRT |1|127.0.0.1|" + strings.TrimPrefix(l.Addr().String(), "127.0.0.1:") + "|\r\nRETR f\r\nPWD\r\n")
	for _, code := range []ftp.Code{331, 230, 200, 200, 150} {
		c.want(code)
	}
	check(t, c.Conn.(*net.TCPConn).CloseWrite())
	d, err := l.Accept()
	check(t, err)
	defer d.Close()
	time.Sleep(50 * time.Millisecond) // the server reads the end of the input meanwhile
	if b := rest(d); len(b) != size {
		t.Errorf("%d bytes were received", len(b))
	}
	c.want(226)
	c.want(257)
	c.closed()
}

// Every command with a path refuses one that is too long or too deep, in whatever way it was composed, and no
// other.
func TestPathsHaveABound(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		level := "/" + strings.Repeat("n", 200)
		deep := strings.Repeat(level, 20) // 4020 bytes
		check(t, fsys.MkdirAll(deep, 0o755))
		steps := strings.Repeat("/d", 256)
		check(t, fsys.MkdirAll(steps, 0o755))
		c := serve(t, fsys).login(t, "rw")
		paths := []string{strings.Repeat("/d", 257), "/" + strings.Repeat("n/", 300), deep + level, "/" + strings.Repeat("x", 4096)}
		verbs := 0
		for _, v := range server.Verbs() {
			if !strings.Contains(v.Syntax, "<path>") || v.Name == "SITE SYMLINK" && !links(fsys) {
				continue
			}
			verbs++
			for _, p := range paths {
				if v.Name == "RNTO" {
					check(t, afero.WriteFile(fsys, "/from", nil, 0o644))
					c.cmd("RNFR /from", 350)
				}
				line := v.Name + " " + strings.NewReplacer("[", "", "]", "", "<path>", p, "<time>", "20200101000000", "<mode>", "644",
					"<target>", "t", "<fact>=<value>;", "UNIX.mode=644;", "-aRtSrd", "-la", "<first> <end>", "0 1").Replace(v.Syntax)
				if r := c.cmd(line); r.Code != 553 {
					t.Errorf("%s with a path of %d bytes: %v", v.Name, len(p), r)
				}
			}
		}
		if verbs < 20 {
			t.Errorf("only %d commands have a path", verbs)
		}
		c.cmd("CWD "+deep, 250)
		c.cmd("CWD "+level[1:], 553)
		c.cmd("MKD "+strings.Repeat("y", 100), 553)
		c.cmd("SIZE ../../"+strings.Repeat("y", 100), 550)
		c.cmd("LIST -la /", 425)
		c.cmd("SITE CHMOD 755 "+deep, 200)
		c.cmd("MDTM 20200101000000 "+deep, 213)
		if r := c.cmd("PWD", 257); len(r.Text()) > 5000 {
			t.Errorf("PWD has %d bytes", len(r.Text()))
		}
		c.cmd("CWD "+steps, 250)
		c.cmd("CWD d", 553)
	})
}

func links(fsys afero.Fs) bool {
	_, ok := fsys.(afero.Linker)
	return ok
}

// noSearch is a directory on disk that this process may not search, not even as root.
type noSearch struct {
	afero.Fs
	dir string
}

func (n noSearch) LstatIfPossible(name string) (fs.FileInfo, bool, error) {
	if path.Dir(name) == n.dir {
		return nil, true, &fs.PathError{Op: "lstat", Path: "/the/host/path", Err: os.ErrPermission}
	}
	return n.Fs.(afero.Lstater).LstatIfPossible(name)
}

// A refused CWD gives the right reason and leaves the working directory unchanged.
func TestCWDErrors(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/file", "x")
	check(t, fsys.MkdirAll("/closed", 0o755))
	check(t, fsys.MkdirAll("/open", 0o755))
	c := serve(t, noSearch{fsys, "/closed"}).login(t, "rw")
	c.cmd("CWD open", 250)
	for _, tt := range [][2]string{
		{"CWD /file", "/file: not a directory."},
		{"CWD /file/x", "/file/x: not a directory."},
		{"CWD /missing", "/missing: no such file or directory."},
		{"CWD /closed", "/closed: permission denied."},
		{"MKD /file/x", "/file: not a directory."},
		{"SIZE /file/x", "/file/x: not a directory."},
	} {
		if r := c.cmd(tt[0], 550); r.Text() != tt[1] {
			t.Errorf("%s: %q, want %q", tt[0], r.Text(), tt[1])
		}
	}
	if r := c.cmd("PWD", 257); !strings.Contains(r.Text(), `"/open"`) {
		t.Errorf("unexpected reply %v", r)
	}
}

// The names in NLST are pathnames that the next command accepts, in any working directory (RFC 1123 §4.1.2.7).
func TestNLSTGivesPathnames(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/d/e/f", "content")
		c := serve(t, fsys).login(t, "rw")
		for _, tt := range [][3]string{
			{"/", "NLST d/e", "d/e/f"},
			{"/", "NLST d/e/", "d/e/f"},
			{"/", "NLST ./d/e", "./d/e/f"},
			{"/", "NLST /d//e", "/d//e/f"},
			{"/d", "NLST e", "e/f"},
			{"/d", "NLST ../d/e", "../d/e/f"},
			{"/d/e", "NLST", "f"},
			{"/d/e", "NLST .", "f"},
			{"/d/e", "NLST ./", "./f"},
			{"/d/e", "NLST f", "f"},
			{"/d/e", "NLST ../e", "../e/f"},
			{"/d", "NLST -l e", "e/f"},
			{"/", "NLST d/e/*", "d/e/f"},
			{"/d/e", "NLST *", "f"},
		} {
			c.cmd("CWD "+tt[0], 250)
			got := c.lines(tt[1])
			if len(got) != 1 || got[0] != tt[2] {
				t.Errorf("%s in %s: %q, want %q", tt[1], tt[0], got, tt[2])
				continue
			}
			if content := string(c.get("RETR " + got[0])); content != "content" {
				t.Errorf("RETR %s: %q", got[0], content)
			}
		}
	})
}

// AUTH TLS-P and AUTH SSL imply private data connections (in servers older than RFC 4217). After AUTH TLS they
// are in the clear until PROT P.
func TestAUTHMechanisms(t *testing.T) {
	for mechanism, private := range map[string]bool{"TLS": false, "TLS-C": false, "TLS-P": true, "SSL": true} {
		fsys, _ := disk(t)
		write(t, fsys, "/f", "content")
		c := serve(t, fsys, withTLS).connect(t)
		c.cmd("AUTH "+mechanism, 234)
		sec := shake(t, c.Conn, clientConfig(0))
		sec.cmd("USER rw", 331)
		sec.cmd("PASS rw", 230)
		if private {
			if got := string(sec.get("RETR f")); got != "content" {
				t.Errorf("%s: %q", mechanism, got)
			}
			sec.cmd("PBSZ 0", 200)
			sec.cmd("PROT C", 200)
		}
		if got := string(sec.ctl.get("RETR f")); got != "content" {
			t.Errorf("%s, in the clear: %q", mechanism, got)
		}
	}
}
