package client_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

// tree is a server with some directories.
func tree(t *testing.T) *fakeserver.Server {
	return fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.Dirs["/"] = "type=dir;unique=1; b\r\ntype=file;size=1;unique=2; a\r\ntype=OS.unix=slink:/;unique=3; link\r\n"
		f.Dirs["/b"] = "type=file;size=2; c.txt\r\ntype=dir;unique=4; d\r\ntype=dir;unique=1; loop\r\ntype=dir;unique=5; locked\r\n"
		f.Dirs["/b/d"] = "type=file;size=3; e.txt\r\n"
		f.On["MLSD"] = func(s *fakeserver.Session, arg string) {
			if arg == "/b/locked" {
				s.Say("550 permission denied")
				return
			}
			s.Behave("MLSD", arg)
		}
		f.On["MLST"] = func(s *fakeserver.Session, arg string) {
			for dir, text := range f.Dirs {
				if dir == path.Dir(arg) && strings.Contains(text, "; "+path.Base(arg)+"\r\n") {
					s.Raw("250-\r\n type=file;size=1; " + arg + "\r\n250 End\r\n")
					return
				}
			}
			s.Say("550 no such file")
		}
	})
}

func TestWalk(t *testing.T) {
	f := tree(t)
	c := dial(t, f, nil)
	var got, bad []string
	for e, err := range c.Walk(t.Context(), "/") {
		if err != nil {
			bad = append(bad, e.Path)
			if e.Path == "/b/loop" && !errors.Is(err, client.ErrTooDeep) {
				t.Errorf("%s: %v", e.Path, err)
			}
			continue
		}
		got = append(got, e.Path)
		if _, err := c.Pwd(t.Context()); err != nil {
			t.Errorf("Pwd in the loop: %v", err)
		}
	}
	if want := []string{"/a", "/b", "/b/c.txt", "/b/d", "/b/d/e.txt", "/b/locked", "/link"}; !slices.Equal(got, want) {
		t.Errorf("walked %q", got)
	}
	if want := []string{"/b/locked", "/b/loop"}; !slices.Equal(bad, want) {
		t.Errorf("errors at %q", bad)
	}
	for e := range c.Walk(t.Context(), "/") {
		if e.Path == "/b/c.txt" {
			break
		}
	}
	n := 0
	for _, err := range c.Walk(t.Context(), "/nowhere") {
		n++
		if err != nil {
			t.Errorf("an empty directory: %v", err)
		}
	}
	if n != 0 {
		t.Errorf("%d entries in an empty directory", n)
	}
}

// A tree that contains itself is given up at a maximum depth.
func TestWalkDepth(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.On["MLSD"] = func(s *fakeserver.Session, _ string) { s.Say("150 yes"); s.Send("type=dir; d\r\n"); s.Say("226 done") }
		f.On["CWD"] = fakeserver.Says("250 there")
	})
	c := dial(t, f, nil)
	n := 0
	var last error
	for _, err := range c.Walk(t.Context(), "/") {
		n++
		last = err
	}
	if n != 101 || !errors.Is(last, client.ErrTooDeep) {
		t.Errorf("%d entries, then %v", n, last)
	}
}

func TestGlob(t *testing.T) {
	f := tree(t)
	c := dial(t, f, nil)
	for pattern, want := range map[string][]string{
		"/*":           {"/a", "/b", "/link"},
		"/b/*.txt":     {"/b/c.txt"},
		"/*/*.txt":     {"/b/c.txt"},
		"/*/d/*":       {"/b/d/e.txt"},
		"/b/d/e.txt":   {"/b/d/e.txt"},
		"/b/d/nope":    nil,
		"/[ab]":        {"/a", "/b"},
		"/nope*":       nil,
		"/b/?/[!f]*":   {"/b/d/e.txt"},
		"/b/[^d]*.txt": {"/b/c.txt"},
	} {
		found, err := c.Glob(t.Context(), pattern)
		var got []string
		for _, e := range found {
			got = append(got, e.Path)
		}
		if pattern == "/b/?/[!f]*" { // path.Match does not support '!'
			want = nil
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", pattern, got, err)
		}
	}
	before := len(f.Commands())
	for _, bad := range []string{"[", "a[", `a\`} {
		if _, err := c.Glob(t.Context(), bad); !errors.Is(err, path.ErrBadPattern) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if len(f.Commands()) != before {
		t.Error("a malformed pattern caused commands")
	}
}
