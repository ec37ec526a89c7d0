//go:build unix

package server_test

import (
	"bytes"
	"crypto/tls"
	"runtime"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// awaitParked waits until a session is parked.
func awaitParked(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); runtime.Gosched() {
		if bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("server.awaitInput")) {
			return
		}
	}
	t.Fatal("no session has parked")
}

// A parked session receives commands, keeps half a line, transfers, and sends 421 when the server ends.
func TestSessionParks(t *testing.T) {
	s := serve(t, afero.NewMemMapFs())
	c := s.login(t, "rw")
	awaitParked(t)
	c.cmd("PWD", 257)
	awaitParked(t)
	c.raw("NO")
	awaitParked(t) // if the half line was not read yet, this is the first park again: fine, too
	c.raw("OP\r\n")
	c.want(200)
	awaitParked(t)
	c.put("STOR /f", []byte("bytes"))
	awaitParked(t)
	if got := c.get("RETR /f"); string(got) != "bytes" {
		t.Errorf("got %q", got)
	}
	awaitParked(t)
	check(t, s.Close())
	c.want(421)
	c.closed()
}

func TestSessionParksUntilItsLimit(t *testing.T) {
	testutil.Long(t)
	s := serve(t, afero.NewMemMapFs(), func(o *server.Options) { o.IdleTimeout = time.Second })
	c := s.login(t, "rw")
	awaitParked(t)
	c.want(421)
	c.closed()

	c = s.connect(t)
	awaitParked(t)
	_ = c.Close() // without QUIT: the server must notice
}

func TestSessionParksUnderTLS(t *testing.T) {
	s := serve(t, afero.NewMemMapFs(), withTLS)
	c := s.connect(t).secure(clientConfig(tls.VersionTLS13)).private("rw")
	awaitParked(t)
	c.cmd("NOOP", 200)
	awaitParked(t)
	check(t, s.Close())
	c.want(421)
}
