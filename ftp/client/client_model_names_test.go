package client_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// foldFs is a filesystem that ignores case and keeps the spelling of a name.
type foldFs struct{ afero.Fs }

// at returns a path with the name as it is spelled on the disk.
func (f foldFs) at(name string) string {
	if _, err := os.Lstat(name); err == nil {
		return name
	}
	names, _ := os.ReadDir(filepath.Dir(name))
	for _, e := range names {
		if strings.EqualFold(e.Name(), filepath.Base(name)) {
			return filepath.Join(filepath.Dir(name), e.Name())
		}
	}
	return name
}

func (f foldFs) Open(n string) (afero.File, error) { return f.Fs.Open(f.at(n)) }
func (f foldFs) OpenFile(n string, flag int, m fs.FileMode) (afero.File, error) {
	return f.Fs.OpenFile(f.at(n), flag, m)
}
func (f foldFs) Create(n string) (afero.File, error)    { return f.Fs.Create(f.at(n)) }
func (f foldFs) Stat(n string) (fs.FileInfo, error)     { return f.Fs.Stat(f.at(n)) }
func (f foldFs) Remove(n string) error                  { return f.Fs.Remove(f.at(n)) }
func (f foldFs) Rename(a, b string) error               { return f.Fs.Rename(f.at(a), f.at(b)) }
func (f foldFs) Chmod(n string, m fs.FileMode) error    { return f.Fs.Chmod(f.at(n), m) }
func (f foldFs) Chtimes(n string, a, m time.Time) error { return f.Fs.Chtimes(f.at(n), a, m) }
func (f foldFs) LstatIfPossible(n string) (fs.FileInfo, bool, error) {
	info, err := os.Lstat(f.at(n))
	return info, true, err
}

// fs is the filesystem of this host's destination.
func (w *modelWorld) fs() afero.Fs {
	if w.way.folds {
		return foldFs{afero.NewOsFs()}
	}
	return afero.NewOsFs()
}

// old is the name of the old file.
func (way modelWay) old() string {
	if way.folds {
		return "F"
	}
	return "f"
}

// foldedWays are the ways to a destination that ignores case.
func foldedWays() (ways []modelWay) {
	for _, way := range modelWays {
		way.name += ", folded"
		way.folds = true
		ways = append(ways, way)
	}
	return ways
}

// cutListing says how one listing of a mirror breaks off.
type cutListing struct {
	nth    int    // which LIST of the run it is
	keeps  int    // bytes that come
	ending string // the reply; "": the connection is closed
}

// TestClientModelListings: a mirror with --delete, one of whose listings breaks off, removes
// nothing that the source has, whichever side was listed, and the next run makes it whole.
func TestClientModelListings(t *testing.T) {
	testutil.Long(t)
	for _, up := range []bool{false, true} {
		for _, folds := range []bool{false, true} {
			way := modelWay{fmt.Sprintf("up %v, folded %v", up, folds), up, folds, mirrorDeleting}
			for nth := range 3 {
				for _, keeps := range []int{0, 20, 43, 44, 1000} {
					for _, ending := range []string{"426 broken", "451 local error", "226 done", "226 Output truncated", ""} {
						cut := cutListing{nth, keeps, ending}
						t.Run(fmt.Sprintf("%s, LIST %d after %d, %q", way.name, nth, keeps, ending), func(t *testing.T) {
							t.Parallel()
							w := newModelWorld(t, way)
							w.mu.Lock()
							w.cut, w.had = &cut, w.now
							w.mu.Unlock()
							w.judge(way.run(t.Context(), w, nil))
							w.mu.Lock()
							w.cut = nil
							w.mu.Unlock()
							w.last()
							before := w.fake.Count("RETR")
							w.judge(way.run(t.Context(), w, nil))
							if w.fake.Count("RETR") != before {
								t.Error("a file that is the same was fetched again")
							}
						})
					}
				}
			}
		}
	}
}

// mirrorDeleting is a mirror that deletes what the source does not have.
func mirrorDeleting(ctx context.Context, w *modelWorld, _ *client.Tries) error {
	from, to := mirror.Tree{FS: afero.NewOsFs(), Root: w.dir + "/s"}, mirror.Tree{FS: w.fs(), Root: w.dir + "/d"}
	if w.way.up {
		to, _ = remoteTree(w.t, w.fake.Addr, nil, 1, "/d")
	} else {
		from, _ = remoteTree(w.t, w.fake.Addr, nil, 1, "/s")
	}
	_, err := mirror.Run(ctx, mirror.Plan{From: from, To: to, Delete: true})
	return err
}

// list answers LIST. One that is to break off does.
func (w *modelWorld) list(s *fakeserver.Session, arg string) {
	w.mu.Lock()
	cut := w.cut
	mine := cut != nil && w.lists == cut.nth
	w.lists++
	w.mu.Unlock()
	if !mine {
		s.Behave("LIST", arg)
		return
	}
	text, _ := w.fake.Dir("/s")
	if w.way.up {
		text, _ = w.fake.Dir("/d")
	}
	s.Say("150 here it comes")
	c := s.Data()
	_, _ = io.WriteString(c, text[:min(cut.keeps, len(text))])
	_ = c.Close()
	if cut.ending == "" {
		_ = s.Conn.Close()
		return
	}
	s.Say(cut.ending)
}
