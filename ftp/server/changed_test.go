package server_test

import (
	"slices"
	"sync"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// Every command that changes a file, or fails to, is reported once with its path: by Changed, by Refused if a
// permission is missing, or by TransferDone once a transfer has begun. Commands that only read are not
// reported.
func TestEveryChangeIsReported(t *testing.T) {
	type reported struct {
		event, verb, path, to string
		code                  ftp.Code
	}
	var mu sync.Mutex
	var all []reported
	fsys := fsroot.NewMem()
	write(t, fsys, "/f", "content")
	s := serve(t, fsys, func(o *server.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch h := e.What.(type) {
			case ftp.Changed:
				all = append(all, reported{"changed", h.Verb, h.Path, h.To, h.Reply.Code})
			case ftp.Refused:
				all = append(all, reported{"refused", h.Verb, h.Path, "", 0})
			case ftp.TransferDone:
				all = append(all, reported{"transfer", h.Verb, h.Path, "", 0})
			}
		})
	})
	rw, ro := s.login(t, "rw"), s.login(t, "ro")
	for _, tt := range []struct {
		c    *ctl
		cmd  string
		want []reported
	}{
		{rw, "MKD d", []reported{{"changed", "MKD", "/d", "", 257}}},
		{rw, "MKD d", []reported{{"changed", "MKD", "/d", "", 550}}},
		{rw, "XMKD d/e", []reported{{"changed", "MKD", "/d/e", "", 257}}},
		{rw, "CWD d", nil},
		{rw, "RMD e", []reported{{"changed", "RMD", "/d/e", "", 250}}},
		{rw, "DELE nothing", []reported{{"changed", "DELE", "/d/nothing", "", 550}}},
		{rw, "RNFR /f", nil},
		{rw, "RNTO g", []reported{{"changed", "RNTO", "/f", "/d/g", 250}}},
		{rw, "RNFR nothing", []reported{{"changed", "RNFR", "/d/nothing", "", 550}}},
		{rw, "RNTO x", []reported{{"changed", "RNTO", "", "/d/x", 503}}},
		{rw, "SITE CHMOD 600 g", []reported{{"changed", "SITE CHMOD", "/d/g", "", 200}}},
		{rw, "SITE CHMOD 999 g", []reported{{"changed", "SITE CHMOD", "/d/g", "", 501}}},
		{rw, "MFMT 20200101000000 g", []reported{{"changed", "MFMT", "/d/g", "", 213}}},
		{rw, "MDTM 20200101000000 g", []reported{{"changed", "MDTM", "/d/g", "", 213}}},
		{rw, "MDTM g", nil},
		{rw, "SIZE g", nil},
		{rw, "STOR g", []reported{{"changed", "STOR", "/d/g", "", 425}}},
		{rw, "STOR /", []reported{{"changed", "STOR", "/", "", 550}}},
		{rw, "RETR nothing", []reported{{"refused", "RETR", "/d/nothing", "", 0}}},
		{ro, "DELE d/g", []reported{{"refused", "DELE", "/d/g", "", 0}}},
		{ro, "STOR x", []reported{{"refused", "STOR", "/x", "", 0}}},
		{ro, "LIST", nil},
	} {
		tt.c.cmd(tt.cmd)
		mu.Lock()
		if !slices.Equal(all, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.cmd, all, tt.want)
		}
		all = nil
		mu.Unlock()
	}
	rw.put("STOR new", []byte("x"))
	mu.Lock()
	defer mu.Unlock()
	if want := []reported{{"transfer", "STOR", "/d/new", "", 0}}; !slices.Equal(all, want) {
		t.Errorf("STOR: %+v, want %+v", all, want)
	}
}
