package client_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

// TestEarlyUpload checks that a server in the table of batchers gets the bytes of a small file before its 150. If it
// refuses them, they are sent again under the final name. A large file waits for the 150.
func TestEarlyUpload(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	mem := disk(t, map[string]string{"small": "seven!!", "large": large, "empty": ""})
	for name, want := range map[string]string{"small": "seven!!", "empty": ""} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Greeting = "220 (vsFTPd 3.0.5)\r\n"
			f.Files["/"+name] = "old"
			f.On["STOR"] = func(s *fakeserver.Session, arg string) {
				conn := s.Data()
				b, _ := io.ReadAll(conn) // the client sends everything without a 150
				_ = conn.Close()
				if strings.HasSuffix(arg, ".part") {
					s.Say("553 not that name")
					return
				}
				s.Server.SetFile(arg, string(b))
				s.Say("150 give")
				s.Say("226 got it")
			}
		})
		c := dial(t, f, &client.Options{Mode: ftp.Passive})
		res, err := c.Upload(t.Context(), name, "/"+name, client.FileOptions{FS: mem})
		if got, _ := f.File("/" + name); err != nil || got != want || res.Bytes != int64(len(want)) {
			t.Errorf("%s: %q, %+v, %v", name, got, res, err)
		}
	}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Greeting = "220 (vsFTPd 3.0.5)\r\n"
		f.On["STOR"] = func(s *fakeserver.Session, _ string) { s.Say("552 full") }
	})
	c := dial(t, f, &client.Options{Mode: ftp.Passive})
	for _, name := range []string{"small", "large"} {
		var no *ftp.Error
		res, err := c.Upload(t.Context(), name, "/new", client.FileOptions{FS: mem})
		if !errors.As(err, &no) || no.Code != 552 || res.Bytes != 0 || !c.Alive() {
			t.Errorf("%s refused: %+v, %v, alive %v", name, res, err, c.Alive())
		}
	}
}
