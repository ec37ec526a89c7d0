package server_test

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// slowFs has files that take a second per read.
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

// A hash that takes too long is refused with a permanent error, so that no client tries again. The session
// answers commands before and after it.
func TestHashTimeout(t *testing.T) {
	withFakeNet(t, func(o *server.Options) {
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", strings.Repeat("x", 1000))
		o.HashTimeout = 10 * time.Second
		o.Auth = accounts(slowFs{fsys})
	}, func(t *testing.T, s *fakeNet) {
		c := s.enter(alice, "rw")
		for _, cmd := range []string{"HASH f", "XMD5 f"} {
			start := time.Now()
			c.send(cmd)
			c.cmd("NOOP", 200)
			if r := c.want(550); !strings.Contains(r.Text(), "10s") {
				t.Errorf("unexpected reply text %q", r.Text())
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

// halfClosed is a connection whose client has sent something and closed its side.
type halfClosed struct {
	net.Conn
	said *strings.Reader
}

func (h halfClosed) Read(p []byte) (int, error) { return h.said.Read(p) }

// opensFs counts how often files are opened.
type opensFs struct {
	afero.Fs
	opened *atomic.Int32
}

func (f opensFs) Open(name string) (afero.File, error) {
	f.opened.Add(1)
	return f.Fs.Open(name)
}

// A hash that starts only after its client has closed its side gets a moment, like one that is running then. It
// is the last command that is run.
func TestHashesBehindAHalfClose(t *testing.T) {
	var opened atomic.Int32
	withFakeNet(t, func(o *server.Options) {
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", strings.Repeat("x", 1000))
		o.Auth = accounts(opensFs{slowFs{fsys}, &opened})
	}, func(t *testing.T, s *fakeNet) {
		ours, theirs := net.Pipe()
		over := make(chan struct{})
		go func() { defer close(over); _, _ = io.Copy(io.Discard, ours) }()
		start := time.Now()
		said := "USER rw\r\nPASS rw\r\n" + strings.Repeat("XMD5 f\r\n", 10)
		s.l.conns <- comer{halfClosed{theirs, strings.NewReader(said)}, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(alice), 5000))}
		<-over
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the session ended after %v", took)
		}
		if n := opened.Load(); n != 1 {
			t.Errorf("%d hashes were started", n)
		}
	})
}
