package server_test

import (
	"bufio"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/internal/testutil"
)

// The first line of a listing is sent before the last entry is read.
func TestListingStreams(t *testing.T) {
	for _, cmd := range []string{"LIST", "NLST", "MLSD", "LIST -a"} {
		t.Run(cmd, func(t *testing.T) {
			goOn := make(chan struct{})
			fsys := madeUp{Fs: fsroot.NewMem(), entries: 5000, more: func(read int) error {
				if read >= 1024 {
					<-goOn
				}
				return nil
			}}
			c := serve(t, fsys).login(t, "ro")
			d := c.starts(cmd)
			in := bufio.NewReader(d)
			first, err := in.ReadString('\n')
			check(t, err) // otherwise it would wait forever
			c.cmd("NOOP", 200)
			close(goOn)
			all, err := io.ReadAll(in)
			check(t, err)
			c.want(226)
			if n := strings.Count(first+string(all), "file-"); n != 5000 {
				t.Errorf("%d of 5000 entries", n)
			}
		})
	}
}

// If a directory can't be read to its end, the listing fails.
func TestListingBreaks(t *testing.T) {
	for _, after := range []int{0, 256, 2048} {
		for _, cmd := range []string{"LIST", "LIST -t", "NLST", "MLSD", "LIST *"} {
			fsys := madeUp{Fs: fsroot.NewMem(), entries: 5000, more: func(read int) error {
				if read >= after {
					return errors.New("/the/host/path: disk on fire")
				}
				return nil
			}}
			c := serve(t, fsys).login(t, "ro")
			d := c.epsv()
			r := c.cmd(cmd)
			if r.Code == 150 {
				_ = rest(d)
				r = c.reply()
			}
			if r.Code != 451 || strings.Contains(r.Text(), "host") {
				t.Errorf("%s that breaks after %d entries: %v, want 451", cmd, after, r)
			}
			_ = c.Close()
		}
	}
}

// The size of a batch is bounded, and so is the memory of a listing, however large the directory is.
func TestListingMemory(t *testing.T) {
	testutil.Long(t)
	const entries = 100_000
	var most atomic.Int64
	var peak uint64
	fsys := madeUp{Fs: fsroot.NewMem(), entries: entries, most: &most, more: func(read int) error {
		if read/256%50 == 49 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		return nil
	}}
	c := serve(t, fsys).login(t, "ro")
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, cmd := range []string{"LIST", "MLSD", "NLST"} {
		peak = 0
		d := c.starts(cmd)
		n := 0
		for in := bufio.NewScanner(d); in.Scan(); {
			if strings.Contains(in.Text(), "file-") {
				n++
			}
		}
		c.want(226)
		if n != entries {
			t.Errorf("%s: %d entries", cmd, n)
		}
		if grown := int64(peak) - int64(before.HeapAlloc); grown > 4<<20 {
			t.Errorf("%s: the heap grew by %d KiB", cmd, grown>>10)
		}
	}
	if most.Load() > 1024 {
		t.Errorf("a batch of %d entries was requested", most.Load())
	}
}

// The listing in a STAT reply is bounded.
func TestStatIsBounded(t *testing.T) {
	c := serve(t, madeUp{Fs: fsroot.NewMem(), entries: 1 << 30}).login(t, "ro")
	if r := c.cmd("STAT /", 212); len(r.Lines) < 500 || len(r.Lines) > 3000 {
		t.Errorf("STAT has %d lines", len(r.Lines))
	}
}

// All matches of a pattern are streamed, however many there are.
func TestGlobIsBounded(t *testing.T) {
	c := serve(t, madeUp{Fs: fsroot.NewMem(), entries: 110_000}).login(t, "ro")
	if n := len(c.lines("NLST *")); n != 110_000 {
		t.Errorf("NLST * lists %d", n)
	}
	c = serve(t, madeUp{Fs: fsroot.NewMem(), entries: 300}).login(t, "ro")
	c.cmd("LIST "+strings.Repeat("*", 3000)+"x", 550, 553)
	c.cmd("LIST "+strings.Repeat("[", 3000), 550, 553)
	c.cmd("NLST */../*/../x", 550) // only the last name is a pattern
}

// A large directory is listed completely while files in it come and go.
func TestLargeDirectoryThatChanges(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	onDisk, _ := disk(t)
	for kind, fsys := range map[string]afero.Fs{"disk": onDisk, "memory": fsroot.NewMem()} {
		t.Run(kind, func(t *testing.T) {
			const n = 1500
			for i := range n {
				write(t, fsys, "/stays"+strconv.Itoa(i), "")
				write(t, fsys, "/goes"+strconv.Itoa(i), "")
			}
			c := serve(t, fsys).login(t, "ro")
			for at, cmd := range []string{"MLSD", "LIST", "LIST -t", "NLST"} {
				d := c.starts(cmd)
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					for i := range n / 4 {
						_ = fsys.Remove("/goes" + strconv.Itoa(at*n/4+i))
					}
				}()
				text := string(rest(d))
				c.want(226)
				<-gone
				if got := strings.Count(text, "stays"); got != n {
					t.Errorf("%s lists %d of %d", cmd, got, n)
				}
			}
		})
	}
}
