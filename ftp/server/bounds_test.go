package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// endless is a directory of files, each of which takes a while to read.
type endless struct {
	took time.Duration
	name string
	read *int
}

func (d endless) next(e *ftp.Entry) (bool, error) {
	*d.read++
	time.Sleep(d.took)
	*e = ftp.Entry{Name: fmt.Sprint(d.name, *d.read), Type: ftp.FileEntry}
	return true, nil
}

func (endless) Close() error { return nil }

// drain reads a listing to its end.
func drain(l *listing) (n int64, err error) {
	buf := make([]byte, 32<<10)
	for {
		var m int
		m, err = l.Read(buf)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
}

// A listing without visible entries returns from Read now and then, can be stopped, and ends after some time.
func TestListingInSlices(t *testing.T) {
	testutil.Long(t)
	for _, pattern := range []string{"", "x*"} {
		synctest.Test(t, func(t *testing.T) {
			l := &listing{open: endless{time.Millisecond, ".hidden", new(int)}, pattern: pattern, line: nameLine("")}
			start := time.Now()
			n, err := l.Read(make([]byte, 100))
			if took := time.Since(start); n != 0 || err != nil || took > listSlice+sliceSteps*time.Millisecond {
				t.Errorf("%d, %v after %v", n, err, took)
			}
			why := errors.New("enough")
			l.stop = func() error { return why }
			if _, err := drain(l); !errors.Is(err, why) || time.Since(start) > time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}

			l = &listing{open: endless{time.Millisecond, ".hidden", new(int)}, pattern: pattern, line: nameLine(""), gathering: true}
			start = time.Now()
			if _, err := drain(l); !errors.Is(err, errTooMuch) {
				t.Errorf("unexpected error %v", err)
			}
			if took := time.Since(start); took > maxListTime+time.Second {
				t.Errorf("it continued for %v", took)
			}
		})
	}
}

// Time spent on the network is not counted: a slow client gets the whole listing.
func TestSlowReaderGetsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		l := &listing{open: endless{0, strings.Repeat("f", 200), &read}, line: nameLine("")}
		buf := make([]byte, 8<<10)
		for range 1000 {
			if _, err := l.Read(buf); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A search without matches can be stopped, too, and ends after some time.
func TestFindIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := &listing{open: endless{time.Millisecond, "f", new(int)}, pattern: "x*", gathering: true}
		why := errors.New("enough")
		l.stop = func() error {
			if time.Since(start) < time.Second {
				return nil
			}
			return why
		}
		if err := l.find(); !errors.Is(err, why) {
			t.Error(err)
		}
		l = &listing{open: endless{time.Millisecond, "f", new(int)}, pattern: "x*", gathering: true}
		if err := l.find(); !errors.Is(err, errTooMuch) {
			t.Error(err)
		}
	})
}

// maze is a filesystem in which every directory has wide subdirectories.
type maze struct {
	afero.Fs
	wide int
	name string
}

func (m maze) Open(name string) (afero.File, error) {
	f, err := m.Fs.Open("/")
	return &mazeDir{File: f, m: m}, err
}

type mazeDir struct {
	afero.File
	m   maze
	pos int
}

func (d *mazeDir) Readdir(n int) ([]fs.FileInfo, error) {
	var infos []fs.FileInfo
	for ; len(infos) < n && d.pos < d.m.wide; d.pos++ {
		infos = append(infos, mazeRoom(fmt.Sprint(d.m.name, d.pos)))
	}
	if len(infos) == 0 {
		return nil, io.EOF
	}
	return infos, nil
}

type mazeRoom string

func (r mazeRoom) Name() string     { return string(r) }
func (mazeRoom) Size() int64        { return 0 }
func (mazeRoom) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (mazeRoom) ModTime() time.Time { return time.Unix(1e9, 0) }
func (mazeRoom) IsDir() bool        { return true }
func (mazeRoom) Sys() any           { return nil }

// LIST -R through an endless tree stops with an error instead of an end that looks complete, and its memory is
// bounded.
func TestRecursionIsBounded(t *testing.T) {
	testutil.Long(t)
	for _, tt := range []struct {
		wide int
		name string
	}{{2, "d"}, {300, strings.Repeat("n", 250)}, {1, "deep"}} {
		m := maze{afero.NewMemMapFs(), tt.wide, tt.name}
		l := &listing{desc: describer{fs: m}, line: nameLine(""), flags: lsFlags{recursive: true}, seen: maxEntries - 45_000}
		if err := l.enter(subdir{path: "/"}); err != nil {
			t.Fatal(err)
		}
		most, buf := 0, make([]byte, batchBytes)
		var err error
		for n := 0; err == nil; n++ {
			if _, err = l.Read(buf); n%32 != 0 {
				most = max(most, l.pending)
				continue
			}
			kept := 0
			for _, d := range l.dirs {
				kept += len(d.path)
			}
			if kept != l.pending {
				t.Fatalf("%d bytes of paths are counted as %d", kept, l.pending)
			}
			most = max(most, kept)
		}
		want := errTooMuch
		if tt.wide == 1 {
			want = io.EOF // down to a depth of 32
		}
		if !errors.Is(err, want) {
			t.Errorf("%d wide: %v, want %v", tt.wide, err, want)
		}
		if most > maxDirBytes {
			t.Errorf("%d wide: %d bytes of paths are kept", tt.wide, most)
		}
	}
}

// A listing that has left out directories does not end as if it were complete.
func TestPartialRecursionIsReported(t *testing.T) {
	l := &listing{flags: lsFlags{recursive: true}, pending: maxDirBytes - 2, line: nameLine(""), ready: []ftp.Entry{{Name: "dir", Type: ftp.DirEntry}}}
	if n, err := drain(l); !errors.Is(err, errTooMuch) || n != int64(len("dir\r\n")) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
