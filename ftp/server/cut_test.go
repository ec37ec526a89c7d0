package server_test

import (
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// cut starts an upload to a new file in the root of fsys and interrupts it.
func cut(c *ctl, fsys afero.Fs, cmd, part, how string) {
	c.t.Helper()
	d := c.starts(cmd)
	_, err := io.WriteString(d, part)
	check(c.t, err)
	awaitHidden(c.t, fsys, len(part))
	switch how {
	case "ABOR":
		c.send("ABOR")
		c.want(426)
		c.want(226)
		_ = d.Close()
	case "reset":
		check(c.t, d.SetLinger(0))
		check(c.t, d.Close())
		c.want(426)
	case "hang up": // like a killed client: both connections end
		check(c.t, c.Close())
		check(c.t, d.Close())
	}
}

// awaitHidden waits until a running upload has written n bytes.
func awaitHidden(t testing.TB, fsys afero.Fs, n int) {
	t.Helper()
	await(t, func() bool {
		for _, name := range names(t, fsys, "/") {
			fi, err := fsys.Stat("/" + name)
			if err == nil && strings.HasSuffix(name, ".upload") && fi.Size() == int64(n) {
				return true
			}
		}
		return false
	})
}

// An interrupted upload leaves nothing under its final name, but can be resumed: SIZE returns how much is kept,
// and REST with STOR, or APPE, continue from there. The result is byte for byte the original.
func TestCutUploadResumes(t *testing.T) {
	content := string(random(300_000))
	for _, how := range []string{"ABOR", "reset", "hang up"} {
		for _, resume := range []string{"REST", "APPE", "whole"} {
			t.Run(how+", "+resume, func(t *testing.T) {
				both(t, func(t *testing.T, fsys afero.Fs) {
					s := serve(t, fsys)
					cut(s.login(t, "rw"), fsys, "STOR f", content[:100_000], how)
					c := s.login(t, "rw")
					await(t, func() bool { return c.cmd("SIZE f").Code == 213 })
					if exists(fsys, "/f") {
						t.Error("an interrupted upload has its final name")
					}
					c.cmd("RETR f", 550)
					c.cmd("MDTM f", 550)
					c.cmd("MLST f", 550)
					if r := c.cmd("SIZE f", 213); r.Text() != "100000" {
						t.Fatalf("SIZE of the partial upload: %s", r.Text())
					}
					switch resume {
					case "REST":
						c.cmd("REST 100000", 350)
						c.put("STOR f", []byte(content[100_000:]))
					case "APPE":
						c.put("APPE f", []byte(content[100_000:]))
					case "whole":
						c.put("STOR f", []byte(content))
					}
					if got := read(t, fsys, "/f"); got != content {
						t.Errorf("after %s: %d bytes, hash %s, want %d, %s", resume, len(got), sum([]byte(got)), len(content), sum([]byte(content)))
					}
					if got := names(t, fsys, "/"); !slices.Equal(got, []string{"f"}) {
						t.Errorf("left: %q", got)
					}
				})
			})
		}
	}
}

// An upload is interrupted twice at different places, and then resumed from before the end of the partial file.
func TestCutUploadTwice(t *testing.T) {
	fsys, _ := disk(t)
	content := string(random(1000))
	s := serve(t, fsys)
	c := s.login(t, "rw")
	cut(c, fsys, "STOR f", content[:400], "ABOR")
	c.cmd("REST 400", 350)
	d := c.epsv()
	c.cmd("STOR f", 150)
	_, err := io.WriteString(d, content[400:700])
	check(t, err)
	awaitHidden(t, fsys, 700)
	c.send("ABOR")
	c.want(426)
	c.want(226)
	if r := c.cmd("SIZE f", 213); r.Text() != "700" {
		t.Errorf("kept after the second cut: %s", r.Text())
	}
	c.cmd("REST 701", 350)
	c.cmd("STOR f", 554) // past the end
	c.cmd("REST 500", 350)
	c.put("STOR f", []byte(content[500:]))
	if got := read(t, fsys, "/f"); got != content {
		t.Errorf("hash %s, want %s", sum([]byte(got)), sum([]byte(content)))
	}
}

// Whichever of the two connections of a killed client ends first, and however shortly before the other: half a
// file never gets the final name.
func TestKilledClient(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/old", "old")
	s := serve(t, fsys)
	for range 40 {
		for _, how := range []string{"hang up", "hang up, data first"} {
			for _, name := range []string{"old", "new"} {
				c := s.login(t, "rw")
				d := c.starts("STOR " + name)
				_, err := io.WriteString(d, "half")
				check(t, err)
				if how == "hang up" {
					check(t, c.Close())
					check(t, d.Close())
				} else {
					// The data connection ends at the same moment: the server sees that first.
					awaitHidden(t, fsys, 4)
					check(t, c.Close())
					check(t, d.Close())
				}
			}
		}
	}
	check(t, s.Close())
	if exists(fsys, "/new") || read(t, fsys, "/old") != "old" {
		t.Errorf("half a file has its final name: %q", names(t, fsys, "/"))
	}
}

// The same while the client's process starts other processes, as these tests do. Each child has a copy of the
// sockets for a moment, which must not reverse the order in which the two connections end (see
// testutil.CloseNow).
func TestKilledClientBesideChildren(t *testing.T) {
	program, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	var children sync.WaitGroup
	stop := make(chan struct{})
	defer children.Wait()
	defer close(stop)
	children.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = exec.Command(program).Run()
			}
		}
	})
	fsys := fsroot.NewMem()
	s := serve(t, fsys)
	for range 50 {
		cut(s.login(t, "rw"), fsys, "STOR f", "half", "hang up")
		await(t, func() bool { return !slices.ContainsFunc(names(t, fsys, "/"), runs) })
		if exists(fsys, "/f") {
			t.Fatalf("half a file has the final name: %q", names(t, fsys, "/"))
		}
	}
}

func runs(name string) bool {
	_, running, ok := server.ParsePartial(name)
	return ok && running
}

// An interrupted upload to an existing file leaves the old file unchanged, and the two can't be mixed: resuming
// at the end of the old file is refused, because the new upload did not get that far.
func TestCutUploadOverOldFile(t *testing.T) {
	fsys, _ := disk(t)
	older := strings.Repeat("o", 1000)
	write(t, fsys, "/f", older)
	c := serve(t, fsys).login(t, "rw")
	newer := string(random(2000))
	cut(c, fsys, "STOR f", newer[:500], "ABOR")
	if got := read(t, fsys, "/f"); got != older {
		t.Errorf("the old file contains %d bytes", len(got))
	}
	if r := c.cmd("SIZE f", 213); r.Text() != "1000" {
		t.Errorf("SIZE %s: a download needs the size of the old file", r.Text())
	}
	c.cmd("REST 1000", 350)
	c.cmd("STOR f", 554)
	c.cmd("APPE f", 450)
	if got := read(t, fsys, "/f"); got != older {
		t.Errorf("the old file contains %d bytes", len(got))
	}
	c.cmd("REST 500", 350)
	c.put("STOR f", []byte(newer[500:]))
	if got := read(t, fsys, "/f"); got != newer {
		t.Errorf("%d bytes, hash %s, want %s", len(got), sum([]byte(got)), sum([]byte(newer)))
	}
	c.put("APPE f", []byte("more"))
	if got := read(t, fsys, "/f"); got != newer+"more" {
		t.Errorf("after APPE: %d bytes", len(got))
	}
}

// DELE of a name also deletes the interrupted upload to it.
func TestDeleteTakesTheKeptPart(t *testing.T) {
	for _, older := range []bool{false, true} {
		fsys, _ := disk(t)
		if older {
			write(t, fsys, "/f", "old")
		}
		c := serve(t, fsys).login(t, "rw")
		cut(c, fsys, "STOR f", "half", "ABOR")
		c.cmd("DELE f", 250)
		c.cmd("SIZE f", 550)
		c.cmd("DELE f", 550)
		if got := names(t, fsys, "/"); len(got) > 0 {
			t.Errorf("left: %q", got)
		}
	}
}

// REST and STOR to an existing file write at the offset and keep the rest of the file; an offset past its end
// is refused with 554.
func TestRestartedStore(t *testing.T) {
	both(t, func(t *testing.T, fsys afero.Fs) {
		write(t, fsys, "/f", "0123456789")
		c := serve(t, fsys).login(t, "rw")
		for _, tt := range []struct{ offset, data, want string }{
			{"4", "abc", "0123abc789"}, {"10", "X", "0123abc789X"}, {"9", "YZ!", "0123abc78YZ!"},
		} {
			c.cmd("REST "+tt.offset, 350)
			c.put("STOR f", []byte(tt.data))
			if got := read(t, fsys, "/f"); got != tt.want {
				t.Errorf("REST %s, STOR of %q: %q, want %q", tt.offset, tt.data, got, tt.want)
			}
		}
		for _, name := range []string{"f", "missing"} {
			c.cmd("REST 100", 350)
			c.cmd("STOR "+name, 554)
		}
		c.cmd("REST 3", 350)
		c.cmd("APPE f", 503) // ambiguous: refused, and the offset is used up
		c.cmd("REST 0", 350)
		c.put("APPE f", []byte("?"))
		c.put("APPE made", []byte("new"))
		if a, b := read(t, fsys, "/f"), read(t, fsys, "/made"); a != "0123abc78YZ!?" || b != "new" {
			t.Errorf("after APPE: %q, %q", a, b)
		}
	})
}

// A transfer that fails before it begins leaves nothing.
func TestUploadThatNeverBegan(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/f", "old")
	c := serve(t, fsys).login(t, "rw")
	for _, cmd := range []string{"STOR f", "STOR g", "APPE g", "STOU g"} {
		c.cmd(cmd, 425)
	}
	if got := names(t, fsys, "/"); !slices.Equal(got, []string{"f"}) || read(t, fsys, "/f") != "old" {
		t.Errorf("left: %q", got)
	}
	c.cmd("RNFR f", 350)
	c.cmd("RNTO g", ftp.Code(250))
}
