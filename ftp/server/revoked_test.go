package server_test

import (
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/dtp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// A session that holds the only passive port without using it loses it to one that needs it, and its next
// transfer command says so.
func TestUnusedPassivePortIsRevoked(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	lo := testutil.FreePorts(t, 1)
	s := serve(t, fsys, func(o *server.Options) {
		o.PassivePorts, o.DataTimeout = dtp.PortRange{First: lo, Last: lo}, 20*time.Millisecond
	})
	idle, other := s.login(t, "rw"), s.login(t, "rw")
	idle.cmd("EPSV", 229)
	await(t, func() bool { return other.cmd("EPSV", 229, 425).Code == 229 })
	if r := idle.cmd("RETR f", 425); !strings.Contains(r.Text(), "another session needed it") {
		t.Errorf("unexpected reply text %q", r.Text())
	}
	other.call(lo)
	idle.cmd("NOOP", 200)
}
