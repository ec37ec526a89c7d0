package transfertest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// Mode is a way to fetch /d/key, whose permissions are 0640 on the server, with the permissions that the local file
// must get.
type Mode struct {
	Name      string
	Had       os.FileMode // of the file that is replaced; 0: none
	Get       func(f *fakeserver.Server, key string) error
	Want, Has os.FileMode // at the end, and during the transfer
}

// KeepsMode checks the permissions of local files that are replaced, at the end and before their first byte.
func KeepsMode(t *testing.T, ways []Mode) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	dir := t.TempDir()
	var seen []os.FileMode
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;size*;modify*;UNIX.mode*;", "SIZE", "MDTM", "EPSV"}
		f.On["MLST"] = func(s *fakeserver.Session, arg string) { s.Raw("250-x\r\n type=dir; " + arg + "\r\n250 end\r\n") }
		f.Files["/d/key"] = "new secret"
		f.Dirs["/d"] = "type=file;size=10;modify=20240102030405;UNIX.mode=0640; key\r\n"
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			infos, _ := afero.ReadDir(afero.NewOsFs(), dir)
			for _, i := range infos {
				if i.Name() != "key" {
					seen = append(seen, i.Mode())
				}
			}
			s.Behave("RETR", arg)
		}
	})
	key := filepath.Join(dir, "key")
	for _, way := range ways {
		seen = nil
		_ = os.Remove(key)
		if way.Had != 0 {
			testutil.Must(t, os.WriteFile(key, []byte("old"), 0o600))
			testutil.Must(t, os.Chmod(key, way.Had))
		}
		testutil.Must(t, way.Get(f, key))
		info, err := os.Stat(key)
		testutil.Must(t, err)
		if info.Mode().Perm() != way.Want || len(seen) != 1 || seen[0].Perm() != way.Has {
			t.Errorf("%s: mode %v, during the transfer %v; want %v and %v", way.Name, info.Mode(), seen, way.Want, way.Has)
		}
	}
}
