//go:build unix

package server_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// No verb reads or writes fifos, sockets and devices, and no session waits for one.
func TestSpecialFilesAreLeftAlone(t *testing.T) {
	fsys, dir := disk(t)
	t.Chdir(dir) // the path of a socket is limited to about 100 bytes
	makers := map[string]func() error{
		"/fifo": func() error { return syscall.Mkfifo("fifo", 0o666) },
		"/socket": func() error {
			l, err := net.Listen("unix", "socket")
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}
			return err
		},
		"/device": func() error { return syscall.Mknod("device", syscall.S_IFCHR|0o666, 1<<8|3) }, // like /dev/null
	}
	s := serve(t, fsys)
	for name, f := range makers {
		for verb, scripts := range pathCommands {
			for _, script := range scripts {
				_ = fsys.Remove(name)
				_ = fsys.Remove("/stolen")
				write(t, fsys, "/bait", "bait")
				if err := f(); err != nil {
					t.Logf("can't make a %s: %v", name, err)
					continue
				}
				c := s.login(t, "rw")
				said := c.everything(strings.Split(strings.ReplaceAll(script, "%s", name), "\n"))
				reads := strings.HasPrefix(verb, "X") || verb == "HASH" || verb == "RETR" || verb == "SIZE"
				if (reads || verb == "APPE") && (!strings.Contains(said, "55") || strings.Contains(said, "226")) {
					t.Errorf("%s of %s: %s", script, name, said)
				}
				fi, err := os.Lstat(dir + name)
				if gone := err != nil || fi.Mode().IsRegular(); gone && verb != "DELE" && verb != "RNFR" && verb != "RNTO" {
					t.Errorf("%s changed %s: %s", script, name, said)
				}
				_ = c.Close()
			}
		}
	}
}

// A name that the disk can't store is refused with 553 by every verb that creates one.
func TestNamesThatCanNotBe(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/f", "content")
	c := serve(t, fsys).login(t, "rw")
	long := strings.Repeat("n", 256)
	for _, name := range []string{long, "/" + long, "./" + long, strings.Repeat("\xc3\xa9", 128)} {
		for _, cmd := range []string{"STOR %s", "APPE %s", "STOU %s", "MKD %s", "RNFR /f\nRNTO %s", "SITE SYMLINK f %s"} {
			said := c.everything(strings.Split(strings.ReplaceAll(cmd, "%s", name), "\n"))
			if !strings.Contains(said, "553 ") {
				t.Errorf("%s of %d bytes: %.80s", cmd, len(name), said)
			}
		}
	}
	if got := names(t, fsys, "/"); len(got) != 1 {
		t.Errorf("the tree is %q", got)
	}
}
