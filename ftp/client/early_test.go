package client_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// TestEarlyUpload: a server of the table gets the bytes of a small file before its 150. If it
// refuses them, they are sent again under the next name; a large file waits.
func TestEarlyUpload(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	mem := disk(t, map[string]string{"small": "seven!!", "large": large, "empty": ""})
	for name, want := range map[string]string{"small": "seven!!", "empty": ""} {
		f := newFake(t, func(f *fake) {
			f.greeting = "220 (vsFTPd 3.0.5)\r\n"
			f.files["/"+name] = "old"
			f.on["STOR"] = func(s *session, arg string) {
				conn := s.data()
				b, _ := io.ReadAll(conn) // to its end, which comes without a 150
				_ = conn.Close()
				if strings.HasSuffix(arg, ".part") {
					s.say("553 not that name")
					return
				}
				s.f.setFile(arg, string(b))
				s.say("150 give")
				s.say("226 got it")
			}
		})
		c := f.dial(&client.Options{Mode: ftp.Passive})
		res, err := c.Upload(t.Context(), name, "/"+name, client.FileOptions{FS: mem})
		if got, _ := f.file("/" + name); err != nil || got != want || res.Bytes != int64(len(want)) {
			t.Errorf("%s: %q, %+v, %v", name, got, res, err)
		}
	}
	f := newFake(t, func(f *fake) {
		f.greeting = "220 (vsFTPd 3.0.5)\r\n"
		f.on["STOR"] = func(s *session, _ string) { s.say("552 full") }
	})
	c := f.dial(&client.Options{Mode: ftp.Passive})
	for _, name := range []string{"small", "large"} {
		var no *ftp.Error
		res, err := c.Upload(t.Context(), name, "/new", client.FileOptions{FS: mem})
		if !errors.As(err, &no) || no.Code != 552 || res.Bytes != 0 || !c.Alive() {
			t.Errorf("%s refused: %+v, %v, alive %v", name, res, err, c.Alive())
		}
	}
}
