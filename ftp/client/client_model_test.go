package client_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// This file holds a model of what transfers may leave, and drives the client beside it. A run
// moves /s/f to /d/f, where an old file is. At some moment of that something else happens;
// then the run ends in some way, and other runs follow, up to one that nothing disturbs.
// Whatever the way, the moments and the ends:
//
//   - Under the final name is the old file or a version that the source had, whole.
//   - After a run without an error it is a version that the source had since that run began,
//     and not the old file.
//   - A file of somebody else is as it was, whatever its name.
//   - What else is there has a name that only this program gives, or is ".f.part" and holds
//     the beginning of a version. After the last run nothing is left that a run of "get"
//     could still be asked to continue.

// modelWorld is the model and what it is compared with.
type modelWorld struct {
	t        *testing.T
	way      modelWay
	fake     *fakeserver.Server
	dir      string // of this host
	versions []string
	now      int // index of the version that the source has
	had      int // that it had when the run that is judged began
	theirs   map[string]string
	at       int // of a transfer, how many bytes have gone when something happens
	do       func(w *modelWorld)
	end      string
	cancel   context.CancelFunc
	mu       sync.Mutex
	disturb  bool        // the next transfer is the one
	cut      *cutListing // nil: all listings are whole
	lists    int         // that were asked for
}

// modelWay is a way to move /s/f to /d/f.
type modelWay struct {
	name  string
	up    bool
	folds bool // the destination ignores case, and has the old file as /d/F
	run   func(ctx context.Context, w *modelWorld, tries *client.Tries) error
}

const (
	modelSize = 24_000
	modelOld  = "the old file"
)

var modelWays = []modelWay{
	{"get", false, false, modelGet(client.FileOptions{KeepTime: true})},
	{"get -c", false, false, modelGet(client.FileOptions{KeepTime: true, Resume: true})},
	{"get, without times", false, false, modelGet(client.FileOptions{})},
	{"mirror down", false, false, func(ctx context.Context, w *modelWorld, _ *client.Tries) error {
		src, _ := remoteTree(w.t, w.fake.Addr, nil, 1, "/s")
		_, err := mirror.Run(ctx, mirror.Plan{From: src, To: mirror.Tree{FS: w.fs(), Root: w.dir + "/d"}})
		return err
	}},
	{"put", true, false, modelPut(client.FileOptions{KeepTime: true})},
	{"mirror up", true, false, func(ctx context.Context, w *modelWorld, _ *client.Tries) error {
		dst, _ := remoteTree(w.t, w.fake.Addr, nil, 1, "/d")
		_, err := mirror.Run(ctx, mirror.Plan{From: mirror.Tree{FS: afero.NewOsFs(), Root: w.dir + "/s"}, To: dst})
		return err
	}},
}

func modelGet(o client.FileOptions) func(context.Context, *modelWorld, *client.Tries) error {
	return modelTransfer(o, func(ctx context.Context, c *client.Client, w *modelWorld, o client.FileOptions) error {
		_, err := c.Download(ctx, "/s/f", w.dir+"/d/f", over(w.fs(), o))
		return err
	})
}

func modelPut(o client.FileOptions) func(context.Context, *modelWorld, *client.Tries) error {
	return modelTransfer(o, func(ctx context.Context, c *client.Client, w *modelWorld, o client.FileOptions) error {
		_, err := c.Upload(ctx, w.dir+"/s/f", "/d/f", o)
		return err
	})
}

func modelTransfer(o client.FileOptions, transfer func(context.Context, *client.Client, *modelWorld, client.FileOptions) error) func(context.Context, *modelWorld, *client.Tries) error {
	return func(ctx context.Context, w *modelWorld, tries *client.Tries) error {
		o := client.Tried(o, tries)
		c, err := client.Dial(ctx, w.fake.Addr, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		return transfer(ctx, c, w, o)
	}
}

// modelEvents are what happens in the middle of a run.
var modelEvents = map[string]func(w *modelWorld){
	"nothing":         func(*modelWorld) {},
	"another version": func(w *modelWorld) { w.change() },
	"another run":     func(w *modelWorld) { w.judge(w.way.run(w.t.Context(), w, new(client.Tries))) },
	"another version, and another run": func(w *modelWorld) {
		w.change()
		w.judge(w.way.run(w.t.Context(), w, new(client.Tries)))
	},
	"another run that breaks": func(w *modelWorld) {
		w.mu.Lock()
		at, do, end := w.at, w.do, w.end
		w.at, w.do, w.end, w.disturb = 10_000, func(*modelWorld) {}, "cut", true
		w.mu.Unlock()
		if w.way.run(w.t.Context(), w, new(client.Tries)) == nil {
			w.t.Error("a run that was cut off ended well")
		}
		w.mu.Lock()
		w.at, w.do, w.end, w.disturb = at, do, end, false
		w.mu.Unlock()
	},
	"a file of the user's": func(w *modelWorld) { w.plant(".f.part") },
}

func TestClientModel(t *testing.T) {
	testutil.Long(t)
	moments := []int{5000, modelSize}
	if os.Getenv("MINIFTP_SOAK") != "" {
		moments = []int{0, 1, 4096, 5000, 12_000, 20_000, modelSize}
	}
	for _, way := range append(modelWays, foldedWays()...) {
		t.Run(way.name, func(t *testing.T) {
			for event, do := range modelEvents {
				for _, end := range []string{"finish", "cut", "cancel"} {
					for _, at := range moments {
						if at == modelSize && end != "finish" && len(moments) == 2 {
							continue
						}
						t.Run(fmt.Sprintf("%s at %d, %s", event, at, end), func(t *testing.T) {
							t.Parallel()
							w := newModelWorld(t, way)
							w.trial(at, do, end)
							w.last()
						})
					}
				}
			}
			w := newModelWorld(t, way)
			w.plant(".f.part") // it is there before
			w.trial(12_000, func(*modelWorld) {}, "cut")
			w.last()
		})
	}
}

// TestClientModelLong runs many runs in a row, each disturbed at random.
func TestClientModelLong(t *testing.T) {
	if os.Getenv("MINIFTP_SOAK") == "" {
		t.Skip("MINIFTP_SOAK=1 runs it")
	}
	var events []string
	for name := range modelEvents {
		if !strings.HasPrefix(name, "a file") {
			events = append(events, name)
		}
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		way := modelWays[r.IntN(len(modelWays))]
		t.Run(fmt.Sprintf("%d %s", seed, way.name), func(t *testing.T) {
			w := newModelWorld(t, way)
			for range 6 {
				w.trial(r.IntN(modelSize+1), modelEvents[events[r.IntN(len(events))]], []string{"finish", "cut", "cancel"}[r.IntN(3)])
			}
			w.last()
		})
	}
}

func newModelWorld(t *testing.T, way modelWay) *modelWorld {
	w := &modelWorld{t: t, way: way, dir: t.TempDir(), theirs: map[string]string{}}
	for i := range 8 { // of one size, and the same in the middle
		edge := strings.Repeat(string(rune('A'+i)), 4000)
		w.versions = append(w.versions, edge+strings.Repeat(".", modelSize-len(edge)*2)+edge)
	}
	w.fake = fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = append(f.Feat, "MFMT")
		fakeserver.Storing(f)
		f.Dirs["/s"] = ""
		f.Folds = way.folds
		f.Dirs["/d"] = "-rw-r--r-- 1 u u 12 2020-03-02 10:00 " + way.old() + "\r\n"
		retr, stor := f.On["RETR"], f.On["STOR"]
		f.On["RETR"] = func(s *fakeserver.Session, arg string) { w.retr(s, arg, retr) }
		f.On["STOR"] = func(s *fakeserver.Session, arg string) { w.stor(s, arg, stor) }
		f.On["LIST"] = w.list
		f.On["MDTM"] = func(s *fakeserver.Session, _ string) { s.Say("213 " + w.time().Format("20060102150405")) }
	})
	must(t, os.MkdirAll(w.dir+"/s", 0o755))
	must(t, os.MkdirAll(w.dir+"/d", 0o755))
	w.now = -1
	w.change()
	if way.up {
		w.fake.SetFile("/d/"+way.old(), modelOld)
	} else {
		must(t, os.WriteFile(w.dir+"/d/"+way.old(), []byte(modelOld), 0o600))
		must(t, os.Chtimes(w.dir+"/d/"+way.old(), time.Unix(0, 0), time.Unix(0, 0)))
	}
	return w
}

func (w *modelWorld) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Date(2024, 1, 1+w.now, 0, 0, 0, 0, time.UTC)
}

// change gives the source another version, by a rename.
func (w *modelWorld) change() {
	w.mu.Lock()
	w.now = min(w.now+1, len(w.versions)-1)
	text := w.versions[w.now]
	w.mu.Unlock()
	if !w.way.up {
		w.fake.SetFile("/s/f", text)
		w.fake.SetDir("/s", fmt.Sprintf("-rw-r--r-- 1 u u %d %s f\r\n", len(text), w.time().Format("2006-01-02 15:04")))
		return
	}
	must(w.t, os.WriteFile(w.dir+"/new", []byte(text), 0o600))
	must(w.t, os.Chtimes(w.dir+"/new", w.time(), w.time()))
	must(w.t, os.Rename(w.dir+"/new", w.dir+"/s/f"))
}

// plant puts a file of somebody else beside the target, unless something has its name. Where
// names are folded it is spelled otherwise than the client would.
func (w *modelWorld) plant(name string) {
	if _, there := w.target()[name]; there {
		return
	}
	w.own(name)
	if w.way.folds {
		name = strings.ToUpper(name)
	}
	if w.way.up {
		w.fake.SetFile("/d/"+name, "mine")
		return
	}
	must(w.t, os.WriteFile(filepath.Join(w.dir, "d", name), []byte("mine"), 0o600))
}

func (w *modelWorld) own(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.theirs[name] = "mine"
}

// trial is one run that is disturbed, and the retry of it.
func (w *modelWorld) trial(at int, do func(*modelWorld), end string) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.mu.Lock()
	w.at, w.do, w.end, w.cancel, w.disturb, w.had = at, do, end, cancel, true, w.now
	w.mu.Unlock()
	tries := new(client.Tries)
	w.judge(w.way.run(ctx, w, tries))
	if end == "cut" {
		w.judge(w.way.run(w.t.Context(), w, tries))
	}
}

// last is a run that nothing disturbs; -c may refuse to continue, and then it begins anew.
func (w *modelWorld) last() {
	w.mu.Lock()
	w.disturb, w.had = false, w.now
	w.mu.Unlock()
	err := w.way.run(w.t.Context(), w, nil)
	if strings.HasPrefix(w.way.name, "get -c") && err != nil {
		w.judge(err)
		err = modelGet(client.FileOptions{KeepTime: true})(w.t.Context(), w, nil)
	}
	if err != nil && !strings.Contains(err.Error(), "in the way") {
		w.t.Errorf("the last run: %v", err)
	}
	w.judge(err)
}

// judge compares the target with the model after a run.
func (w *modelWorld) judge(err error) {
	w.t.Helper()
	files := w.target()
	final := files["f"]
	w.mu.Lock()
	had, now, all := w.had, w.now, maps.Clone(w.theirs)
	w.mu.Unlock()
	known := -1
	for i, text := range w.versions[:now+1] {
		if final == text {
			known = i
		}
	}
	switch {
	case known < 0 && (final != modelOld || err == nil):
		w.t.Errorf("%v, and the file is no version: %d bytes, %.12q … %q", err, len(final), final, final[max(0, len(final)-2):])
	case err == nil && known < had:
		w.t.Errorf("no error, and the file is version %d, which was gone before the run began (%d, now %d)", known, had, now)
	}
	for name, text := range files {
		want, theirs := all[name]
		switch {
		case name == "f" || theirs && text == want || client.IsPart(name):
		case name == ".f.part" && !theirs && w.begins(text):
		default:
			w.t.Errorf("%s holds %d bytes: %.20q", name, len(text), text)
		}
	}
	for name := range all {
		if _, ok := files[name]; !ok {
			w.t.Errorf("%s of the user is gone", name)
		}
	}
}

// begins reports whether a part holds the beginning of a version.
func (w *modelWorld) begins(text string) bool {
	for _, v := range w.versions {
		if strings.HasPrefix(v, text) {
			return true
		}
	}
	return false
}

// target returns the files beside the final name, and that. Folded names are in small letters.
func (w *modelWorld) target() map[string]string {
	files := map[string]string{}
	key := func(name string) string {
		if w.way.folds {
			return strings.ToLower(name)
		}
		return name
	}
	if w.way.up {
		for _, name := range w.fake.Names() {
			if path.Dir(name) == "/d" {
				files[key(path.Base(name))], _ = w.fake.File(name)
			}
		}
		return files
	}
	infos, err := os.ReadDir(w.dir + "/d")
	must(w.t, err)
	for _, info := range infos {
		b, err := os.ReadFile(filepath.Join(w.dir, "d", info.Name()))
		must(w.t, err)
		files[key(info.Name())] = string(b)
	}
	return files
}
