//go:build unix

package server_test

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// A server that is killed at any moment of an upload leaves what the model says, and the sweep of another
// server makes that resumable. While the first server runs, that sweep does not touch its uploads, whatever the
// clocks say.
func TestUploadModelKilled(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	combination, every := 0, times(2, 1)
	for _, name := range slices.Sorted(maps.Keys(uploadWays)) {
		w := uploadWays[name]
		t.Run(name, func(t *testing.T) {
			for _, at := range uploadMoments {
				for _, e := range uploadEvents[:3] {
					if at == "open" && !w.hidden() && e.name != "nothing" {
						continue
					}
					if combination++; combination%every != 0 {
						continue
					}
					t.Run(at+", "+e.name, func(t *testing.T) { newUploadTrial(t, w, "disk", false).killed(at, e) })
				}
			}
		})
	}
}

func (tr *uploadTrial) killed(at string, e uploadEvent) {
	var env []string
	if tr.way.inPlace {
		env = append(env, childRoot+"_IN_PLACE=1")
	}
	c := startChild(tr.t, tr.dir, 0, env...)
	tr.s = c.site
	a, b := c.login(tr.t, tr.way.user), c.login(tr.t, "rw")
	tr.to(a, at)
	if got, want := e.do(b), e.want(tr.uploadWorld); got != want {
		tr.t.Fatalf("B got %d, want %d", got, want)
	}
	if runtime.GOOS == "linux" {
		if tr.way.hidden() {
			tr.awaitLock(tr.running)
		}
		if did, err := server.Sweep(tr.t.Context(), tr.fs, 0); err != nil || did != (server.Swept{}) {
			tr.t.Fatalf("a sweep by another server did %+v, %v", did, err)
		}
	}
	check(tr.t, c.cmd.Process.Kill())
	_ = c.cmd.Wait()
	if _, err := server.Sweep(tr.t.Context(), tr.fs, 0); err != nil {
		tr.t.Fatal(err)
	}
	if tr.way.hidden() && len(tr.own.content) == 0 {
		tr.part = nil
	}
	tr.compare()
	tr.serve()
	tr.resume()
}

// awaitLock waits until a file exists and is locked, as that of an upload which takes more than a moment.
func (tr *uploadTrial) awaitLock(name func() string) {
	tr.t.Helper()
	await(tr.t, func() bool {
		fi, err := os.Stat(tr.dir + name())
		if err != nil {
			return false
		}
		inode := fmt.Sprintf(":%d 0 EOF", fi.Sys().(*syscall.Stat_t).Ino)
		locks, err := os.ReadFile("/proc/locks")
		check(tr.t, err)
		return strings.Contains(string(locks), inode)
	})
}
