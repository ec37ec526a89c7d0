package transfertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

func newWorld(t *testing.T, way Way) *World {
	w := &World{t: t, Way: way, Dir: t.TempDir(), theirs: map[string]string{}}
	for i := range 8 { // all of one size, and with the same middle
		edge := strings.Repeat(string(rune('A'+i)), 4000)
		w.versions = append(w.versions, edge+strings.Repeat(".", modelSize-len(edge)*2)+edge)
	}
	w.fake = fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = append(f.Feat, "MFMT")
		fakeserver.Storing(f)
		f.Dirs["/s"] = ""
		f.Folds = way.Folds
		f.Dirs["/d"] = "-rw-r--r-- 1 u u 12 2020-03-02 10:00 " + way.old() + "\r\n"
		retr, stor := f.On["RETR"], f.On["STOR"]
		f.On["RETR"] = func(s *fakeserver.Session, arg string) { w.retr(s, arg, retr) }
		f.On["STOR"] = func(s *fakeserver.Session, arg string) { w.stor(s, arg, stor) }
		f.On["LIST"] = w.list
		f.On["MDTM"] = func(s *fakeserver.Session, _ string) { s.Say("213 " + w.time().Format("20060102150405")) }
	})
	testutil.Must(t, os.MkdirAll(w.Dir+"/s", 0o755))
	testutil.Must(t, os.MkdirAll(w.Dir+"/d", 0o755))
	w.now = -1
	w.change()
	if way.Up {
		w.fake.SetFile("/d/"+way.old(), modelOld)
	} else {
		testutil.Must(t, os.WriteFile(w.Dir+"/d/"+way.old(), []byte(modelOld), 0o600))
		testutil.Must(t, os.Chtimes(w.Dir+"/d/"+way.old(), time.Unix(0, 0), time.Unix(0, 0)))
	}
	return w
}

func (w *World) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Date(2024, 1, 1+w.now, 0, 0, 0, 0, time.UTC)
}

// change replaces the file at the source by another version, by a rename.
func (w *World) change() {
	w.mu.Lock()
	w.now = min(w.now+1, len(w.versions)-1)
	text := w.versions[w.now]
	w.mu.Unlock()
	if !w.Way.Up {
		w.fake.SetFile("/s/f", text)
		w.fake.SetDir("/s", fmt.Sprintf("-rw-r--r-- 1 u u %d %s f\r\n", len(text), w.time().Format("2006-01-02 15:04")))
		return
	}
	testutil.Must(w.t, os.WriteFile(w.Dir+"/new", []byte(text), 0o600))
	testutil.Must(w.t, os.Chtimes(w.Dir+"/new", w.time(), w.time()))
	testutil.Must(w.t, os.Rename(w.Dir+"/new", w.Dir+"/s/f"))
}

// plant creates a file of another program beside the target, unless the name exists. If names are folded it uses
// another case than the client would.
func (w *World) plant(name string) {
	if _, there := w.target()[name]; there {
		return
	}
	w.own(name)
	if w.Way.Folds {
		name = strings.ToUpper(name)
	}
	if w.Way.Up {
		w.fake.SetFile("/d/"+name, "mine")
		return
	}
	testutil.Must(w.t, os.WriteFile(filepath.Join(w.Dir, "d", name), []byte("mine"), 0o600))
}

func (w *World) own(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.theirs[name] = "mine"
}

// FS returns the file system of the local destination.
func (w *World) FS() afero.Fs {
	if w.Way.Folds {
		return foldFS{afero.NewOsFs()}
	}
	return afero.NewOsFs()
}
