package transfertest

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// UploadOfAChangedFile checks put, which gives /d/f of a server the content of f in a local directory. Its first try
// fails. Then it calls failed and tries again. The file changes between the two tries, and must then be sent whole.
func UploadOfAChangedFile(t *testing.T, put func(f *fakeserver.Server, dir string, failed func()) error) {
	one, two := testutil.TwoVersions(1 << 20)
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, old := range []bool{false, true} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.Dirs["/d"] = ""
			fakeserver.Storing(f)
			if old {
				f.Files["/d/f"], f.Dirs["/d"] = "old", "-rw-r--r-- 1 u u 3 2020-03-02 10:00 f\r\n"
			}
			stor := f.On["STOR"]
			f.On["STOR"] = func(s *fakeserver.Session, arg string) {
				if f.Count("STOR") > 1 {
					stor(s, arg)
					return
				}
				s.Say("150 send it")
				c := s.Data()
				b := make([]byte, len(one)/2)
				_, _ = io.ReadFull(c, b)
				s.Server.SetFile(arg, string(b))
				_ = c.Close()
				_ = s.Conn.Close()
			}
		})
		dir := t.TempDir()
		testutil.Must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(one), 0o600))
		testutil.Must(t, os.Chtimes(filepath.Join(dir, "f"), at, at))
		err := put(f, dir, func() {
			testutil.Must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(two), 0o600))
		})
		if got, _ := f.File("/d/f"); err != nil || got != two {
			t.Errorf("old %v: %v, %d bytes, the second version: %v; %q", old, err, len(got), got == two, f.Commands())
		}
	}
}
