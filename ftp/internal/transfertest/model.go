// Package transfertest holds tests that every way of moving a file has to pass: Downloads and
// Uploads of the client, mirrors, and copies between servers. The package that provides a way
// runs them.
//
// It is built on the fake server and on Client. It must not import mirror, fxp or another package
// that moves files with a Client.
package transfertest

import (
	"context"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// World holds a model of what transfers may leave, together with the server and the directory that are compared with
// it. A run moves /s/f to /d/f, where an old file exists. During the run something else happens; then the run ends in
// some way, and other runs follow. The last one is not disturbed. For every way to move the file, every event, moment
// and end:
//
//   - The file with the final name is the old file, or a complete version that the source had.
//   - After a run without an error it is a version that the source had since that run began, and not the old file.
//   - A file of another program is unchanged, whatever its name.
//   - Any other file has a name that only this program uses, or is ".f.part" and holds the beginning of a version. After
//     the last run no file is left that "get" could still be asked to continue.
type World struct {
	Way Way
	Dir string // a directory of this host

	t        *testing.T
	fake     *fakeserver.Server
	versions []string
	now      int               // index of the version that the source has
	had      int               // index of the version that the source had when the run that is judged began
	theirs   map[string]string // files of another program
	at       int               // bytes of the transfer after which something happens
	do       func(w *World)    // what happens
	end      string            // how the transfer ends: "finish", "cut" or "cancel"
	cancel   context.CancelFunc
	mu       sync.Mutex
	disturb  bool        // the next transfer is disturbed
	cut      *cutListing // nil: all listings are complete
	lists    int         // number of LIST commands received
}

// Run moves /s/f to /d/f. The one of the two that is local is below w.Dir.
type Run func(ctx context.Context, w *World) error

// Way is a way to move /s/f to /d/f.
type Way struct {
	Name  string
	Up    bool       // /d is on the server; else /s is
	Folds bool       // the destination ignores case, and has the old file as /d/F
	Run   Run        // one transfer
	Tries func() Run // returns a Run that may be called again after a failure, to retry; nil: Run itself may
	Anew  Run        // starts over if Run refuses to continue; nil: Run never refuses
}

// tries returns a transfer that may be retried.
func (way Way) tries() Run {
	if way.Tries == nil {
		return way.Run
	}
	return way.Tries()
}

// Addr returns the address of the server.
func (w *World) Addr() string { return w.fake.Addr }

// old returns the name of the old file.
func (way Way) old() string {
	if way.Folds {
		return "F"
	}
	return "f"
}

// folded returns ways to a destination that ignores case.
func folded(ways []Way) (all []Way) {
	for _, way := range ways {
		way.Name += ", folded"
		way.Folds = true
		all = append(all, way)
	}
	return all
}

const (
	modelSize = 24_000
	modelOld  = "the old file"
)

// trial makes one run that is disturbed, and retries it.
func (w *World) trial(at int, do func(*World), end string) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.mu.Lock()
	w.at, w.do, w.end, w.cancel, w.disturb, w.had = at, do, end, cancel, true, w.now
	w.mu.Unlock()
	try := w.Way.tries()
	w.judge(try(ctx, w))
	if end == "cut" {
		w.judge(try(w.t.Context(), w))
	}
}

// last makes a run that is not disturbed. If it refuses to continue, another one starts over.
func (w *World) last() {
	w.mu.Lock()
	w.disturb, w.had = false, w.now
	w.mu.Unlock()
	err := w.Way.Run(w.t.Context(), w)
	if w.Way.Anew != nil && err != nil {
		w.judge(err)
		err = w.Way.Anew(w.t.Context(), w)
	}
	if err != nil && !strings.Contains(err.Error(), "in the way") {
		w.t.Errorf("the last run failed: %v", err)
	}
	w.judge(err)
}

// judge compares the files at the destination with the model after a run.
func (w *World) judge(err error) {
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
		w.t.Errorf("error %v, but the file is not a version of the source: %d bytes, %.12q … %q", err, len(final), final, final[max(0, len(final)-2):])
	case err == nil && known < had:
		w.t.Errorf("no error, but the file is version %d, which was replaced before the run began (%d, now %d)", known, had, now)
	}
	for name, text := range files {
		want, theirs := all[name]
		switch {
		case name == "f" || theirs && text == want || client.IsPart(name):
		case name == ".f.part" && !theirs && w.begins(text):
		default:
			w.t.Errorf("unexpected file %s with %d bytes: %.20q", name, len(text), text)
		}
	}
	for name := range all {
		if _, ok := files[name]; !ok {
			w.t.Errorf("the user's file %s is gone", name)
		}
	}
}

// begins reports whether a part holds the beginning of a version.
func (w *World) begins(text string) bool {
	for _, v := range w.versions {
		if strings.HasPrefix(v, text) {
			return true
		}
	}
	return false
}

// target returns all files in the directory of the final name. Folded names are in lower case.
func (w *World) target() map[string]string {
	files := map[string]string{}
	key := func(name string) string {
		if w.Way.Folds {
			return strings.ToLower(name)
		}
		return name
	}
	if w.Way.Up {
		for _, name := range w.fake.Names() {
			if path.Dir(name) == "/d" {
				files[key(path.Base(name))], _ = w.fake.File(name)
			}
		}
		return files
	}
	infos, err := os.ReadDir(w.Dir + "/d")
	testutil.Must(w.t, err)
	for _, info := range infos {
		b, err := os.ReadFile(filepath.Join(w.Dir, "d", info.Name()))
		testutil.Must(w.t, err)
		files[key(info.Name())] = string(b)
	}
	return files
}
