package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// slowFs has files that take a second for each read.
type slowFs struct{ afero.Fs }

type slowRead struct{ afero.File }

func (f slowFs) Open(name string) (afero.File, error) {
	file, err := f.Fs.Open(name)
	return slowRead{file}, err
}

func (f slowRead) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return f.File.Read(p[:1])
}

// A hash that takes too long is refused for good, so that no client asks again, and the
// session hears commands before and after.
func TestHashTimeout(t *testing.T) {
	inStreet(t, func(o *server.Options) {
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", strings.Repeat("x", 1000))
		o.HashTimeout = 10 * time.Second
		o.Auth = accounts(slowFs{fsys})
	}, func(t *testing.T, s *street) {
		c := s.enter(alice, "rw")
		for _, cmd := range []string{"HASH f", "XMD5 f"} {
			start := time.Now()
			c.send(cmd)
			c.cmd("NOOP", 200)
			if r := c.want(550); !strings.Contains(r.Text(), "10s") {
				t.Errorf("%q", r.Text())
			}
			if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
				t.Errorf("%s took %v", cmd, took)
			}
		}
		c.cmd("TYPE I", 200)
		c.cmd("RANG 0 4", 350)
		c.cmd("HASH f", 213)
		c.cmd("QUIT", 221)
	})
}
