package main

import (
	"testing"

	"miniftp/ftp/server"
)

// Which doubtful ends of uploads are accepted: for all, and for one user more.
func TestAcceptUpload(t *testing.T) {
	roots := newRoots(t.Context())
	defer roots.end()
	cf := parsed(t, "--listen", ":0", "--user", "cam:x", "--accept-upload", "hang-up")
	cf.user("cam").accept = server.DoubtNoCloseNotify
	users := cf.static(roots)
	if got := users["cam"].Account.Accept; got != server.DoubtHangUp|server.DoubtNoCloseNotify {
		t.Errorf("cam: %v", got)
	}
	for words, want := range map[string]server.Doubt{
		"hang-up": server.DoubtHangUp, "hang-up, no-close-notify": server.DoubtHangUp | server.DoubtNoCloseNotify,
	} {
		if got, err := doubts([]string{words}); err != nil || got != want {
			t.Errorf("%q: %v, %v", words, got, err)
		}
	}
	for _, bad := range []string{"", "hangup", "hang-up,", "true"} {
		if _, err := doubts([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
