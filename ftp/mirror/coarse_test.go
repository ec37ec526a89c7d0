package mirror_test

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// coarseFs stores times, also of directories, as round returns them.
type coarseFs struct {
	afero.Fs
	round func(time.Time) time.Time
	set   int
}

func (f *coarseFs) Chtimes(name string, a, m time.Time) error {
	f.set++
	return f.Fs.Chtimes(name, a, f.round(m))
}

func (f *coarseFs) Mkdir(name string, perm fs.FileMode) error {
	if err := f.Fs.Mkdir(name, perm); err != nil {
		return err
	}
	return f.Fs.Chtimes(name, time.Now(), f.round(time.Now()))
}

// A mirror to a file system that rounds times copies a file once, and again only when its source changes. A dry
// run announces what the run does, and changes nothing.
func TestMirrorCoarseTimes(t *testing.T) {
	floor := func(step time.Duration) func(time.Time) time.Time {
		return func(t time.Time) time.Time { return time.Unix(0, t.UnixNano()/int64(step)*int64(step)) }
	}
	for name, round := range map[string]func(time.Time) time.Time{
		"2 s, down":    floor(2 * time.Second),
		"2 s, up":      func(t time.Time) time.Time { return floor(2 * time.Second)(t.Add(2*time.Second - 1)) },
		"2 s, nearest": func(t time.Time) time.Time { return floor(2 * time.Second)(t.Add(time.Second)) },
		"1 s, down":    floor(time.Second),
		"1 s, up":      func(t time.Time) time.Time { return floor(time.Second)(t.Add(time.Second - 1)) },
		"10 ms":        floor(10 * time.Millisecond),
		"100 ns":       floor(100),
		"exact":        func(t time.Time) time.Time { return t },
		"ignored":      func(time.Time) time.Time { return time.Unix(1_000_000_000, 0) },
	} {
		for _, o := range []mirror.Plan{{}, {Newer: true}, {Checksum: true}} {
			t.Run(fmt.Sprintf("%s, newer %v, checksum %v", name, o.Newer, o.Checksum), func(t *testing.T) {
				from, here := fsroot.NewMem(), fsroot.NewMem()
				at := func(i int) time.Time { return time.Unix(1_600_000_001+int64(i%2), 123_456_789*int64(i%5)) }
				put := func(i int, text string, at time.Time) {
					testutil.Must(t, afero.WriteFile(from, fmt.Sprintf("/%d", i), []byte(text), 0o600))
					testutil.Must(t, from.Chtimes(fmt.Sprintf("/%d", i), at, at))
				}
				const n = 20
				for i := range n {
					put(i, "first", at(i))
				}
				to := &coarseFs{Fs: here, round: round}
				testutil.Must(t, here.Mkdir("/d", 0o700))
				testutil.Must(t, here.Chtimes("/d", time.Now(), round(time.Now())))
				run := func(o mirror.Plan, files int64, what string) {
					t.Helper()
					res, _ := mustMirror(t, mirror.Tree{FS: to, Root: "/d"}, mirror.Tree{FS: from, Root: "/"}, o)
					if res.Files != files {
						t.Errorf("%s: %d files copied, want %d: %+v", what, res.Files, files, res)
					}
				}
				run(o, n, "the first run")
				again := int64(0)
				if name == "ignored" && !o.Newer && !o.Checksum {
					again = n // because no time shows that a file is the same
				}
				if name == "ignored" && o.Newer {
					again = n
				}
				for range 2 {
					testutil.Must(t, here.Chtimes("/d", time.Now(), round(time.Now()))) // a real one rounds these, too
					if dry := o; name != "ignored" {
						dry.DryRun = true
						to.set = 0
						run(dry, again, "a dry run")
						if to.set > 0 {
							t.Error("a dry run set a time")
						}
					}
					run(o, again, "another run")
				}
				if name == "ignored" {
					return
				}
				put(3, "other", at(3).Add(2*time.Second))
				run(o, 1, "a changed file")
				if got, err := afero.ReadFile(here, "/d/3"); string(got) != "other" {
					t.Errorf("%q, %v", got, err)
				}
				if names, err := afero.ReadDir(here, "/d"); len(names) != n {
					t.Errorf("%d names are left, %v", len(names), err)
				}
			})
		}
	}
}

// A version that is one second newer is copied if times are exact, even if all times at the destination are full
// even seconds.
func TestMirrorSecondNewer(t *testing.T) {
	from, to := fsroot.NewMem(), fsroot.NewMem()
	at := time.Unix(1_600_000_000, 0)
	testutil.Must(t, afero.WriteFile(from, "/f", []byte("new"), 0o600))
	testutil.Must(t, from.Chtimes("/f", at, at.Add(time.Second)))
	testutil.Must(t, afero.WriteFile(to, "/f", []byte("old"), 0o600))
	testutil.Must(t, to.Chtimes("/f", at, at))
	for _, dry := range []bool{true, false} {
		res, _ := mustMirror(t, mirror.Tree{FS: to, Root: "/"}, mirror.Tree{FS: from, Root: "/"}, mirror.Plan{DryRun: dry})
		if res.Files != 1 {
			t.Errorf("dry run %v: %+v", dry, res)
		}
	}
}
