package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// counting counts what a mirror costs on the wire.
type counting struct {
	mu       sync.Mutex
	commands map[string]int
	opened   int
}

func (n *counting) Observe(e ftp.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch h := e.What.(type) {
	case ftp.CommandGiven:
		if n.commands == nil {
			n.commands = map[string]int{}
		}
		n.commands[h.Command.Verb]++
	case ftp.DataOpened:
		n.opened++
	}
}

func contents(t *testing.T, fsys afero.Fs, name string) string {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Errorf("%v", err)
	}
	return string(b)
}

// lockedFs has files that can't be read: those whose names end so.
type lockedFs struct {
	afero.Fs
	end string
}

func (l lockedFs) Open(name string) (afero.File, error) {
	if strings.HasSuffix(name, l.end) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.Fs.Open(name)
}

func manySmall(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("/x/%03d/%d", i/250, i)] = strings.Repeat(fmt.Sprint(i), i%50)
	}
	return files
}

// Small files go over one data connection, both ways, active and passive, and each has a
// transfer command of its own.
func TestChain(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		site := fsroot.NewMem()
		files := manySmall(600)
		grow(t, site, files)
		srv := ftptest.NewServer(t, site)
		seen := &counting{}
		tree, _ := remoteTree(t, srv.Addr, &client.Options{Mode: mode, Observer: seen}, 1, "/x")
		here := disk(t, nil)
		res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}})
		if err != nil || res.Files != 600 {
			t.Fatalf("%v: %+v, %v", mode, res, err)
		}
		if seen.opened > 2 || seen.commands["RETR"] != 600 || seen.commands["SIZE"] > 0 {
			t.Errorf("%v: %d data connections, %v", mode, seen.opened, seen.commands)
		}
		for name, want := range files {
			if got := contents(t, here, strings.TrimPrefix(name, "/x")); got != want {
				t.Fatalf("%s: %q", name, got)
			}
		}
		seen = &counting{}
		up, _ := remoteTree(t, srv.Addr, &client.Options{Mode: mode, Observer: seen}, 1, "/up")
		res, err = mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: up})
		if err != nil || res.Files != 600 {
			t.Fatalf("%v: up: %+v, %v", mode, res, err)
		}
		if seen.opened > 2 || seen.commands["STOR"] != 600 || seen.commands["RNTO"] != 600 {
			t.Errorf("%v: up: %d data connections, %v", mode, seen.opened, seen.commands)
		}
		for name, want := range files {
			if got := contents(t, site, "/up"+strings.TrimPrefix(name, "/x")); got != want {
				t.Fatalf("%s: %q", name, got)
			}
		}
		again, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: up})
		if err != nil || again.Files != 0 {
			t.Errorf("%v: again: %+v, %v", mode, again, err)
		}
	}
}

// A server that does not have block mode is not asked for every file.
func TestChainNotOffered(t *testing.T) {
	testutil.Long(t)
	for name, f := range map[string]ftptest.Fault{"504": ftptest.Reply(504, "Only MODE S."), "502": ftptest.Refuse()} {
		site := fsroot.NewMem()
		grow(t, site, manySmall(50))
		srv := ftptest.NewServer(t, site)
		srv.Fail("MODE", f)
		seen := &counting{}
		tree, _ := remoteTree(t, srv.Addr, &client.Options{Observer: seen}, 2, "/x")
		res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: fsroot.NewMem(), Root: "/"}, Parallel: 2})
		if err != nil || res.Files != 50 || seen.commands["MODE"] != 1 {
			t.Errorf("%s: %+v, %v, %v", name, res, err, seen.commands)
		}
	}
}

// Whatever goes wrong in a chain, the files come, or their own reasons are told; nothing
// takes another one's place.
func TestChainFaults(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for name, f := range map[string]struct {
		verb  string
		fault ftptest.Fault
	}{
		"RETR is refused":              {"RETR", ftptest.Reply(550, "No.")},
		"RETR is refused for now":      {"RETR", ftptest.Reply(450, "Not now.")},
		"RETR ends early":              {"RETR", ftptest.CutAfter(100)},
		"RETR ends too early, quietly": {"RETR", ftptest.ShortAfter(100)},
		"RETR hangs up":                {"RETR", ftptest.HangUp()},
		"the reply is lost":            {"RETR", ftptest.LoseReply()},
		"STOR is refused":              {"STOR", ftptest.Reply(553, "No.")},
		"STOR ends early":              {"STOR", ftptest.CutAfter(100)},
		"STOR hangs up":                {"STOR", ftptest.HangUp()},
		"MFMT is refused":              {"MFMT", ftptest.Reply(550, "No.")},
		"RNTO hangs up":                {"RNTO", ftptest.HangUp()},
	} {
		t.Run(name, func(t *testing.T) {
			site, here := fsroot.NewMem(), fsroot.NewMem()
			files := manySmall(60)
			grow(t, site, files)
			srv := ftptest.NewServer(t, site)
			tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
			to, from := mirror.Tree{FS: here, Root: "/x"}, tree
			if f.verb != "RETR" {
				here, site = site, here
				srv = ftptest.NewServer(t, site)
				tree, _ = remoteTree(t, srv.Addr, nil, 1, "/x")
				to, from = tree, mirror.Tree{FS: here, Root: "/x"}
				here = site
			}
			srv.Fail(f.verb, f.fault)
			first, err := mirror.Run(t.Context(), mirror.Plan{From: from, To: to})
			if err == nil && first.Files != 60 {
				t.Errorf("%+v, and no error", first)
			}
			for name, want := range files {
				if ok, _ := afero.Exists(here, name); ok && contents(t, here, name) != want {
					t.Errorf("%s is another file: %q", name, contents(t, here, name))
				}
			}
			srv.Heal()
			if _, err := mirror.Run(t.Context(), mirror.Plan{From: from, To: to}); err != nil {
				t.Errorf("healed: %v", err)
			}
			for name, want := range files {
				if got := contents(t, here, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Some of the files can't be had; the others can.
func TestChainSomeRefused(t *testing.T) {
	site := fsroot.NewMem()
	files := manySmall(100)
	grow(t, site, files)
	srv := ftptest.NewServer(t, lockedFs{site, "7"})
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	here := fsroot.NewMem()
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/x"}})
	var no *ftp.Error
	if !errors.As(err, &no) || no.Code != 550 || res.Failed != 10 || res.Files != 90 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A cancel in the middle ends it soon, and nothing that is not whole has its name.
func TestChainCancel(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	files := manySmall(1500)
	grow(t, site, files)
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	n := 0
	_, err := mirror.Run(ctx, mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/x"}, Observe: func(a mirror.Action) {
		if a.Kind == mirror.CopyFile && a.Stage == mirror.Done {
			if n++; n == 300 {
				cancel(why)
			}
		}
	}})

	if !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	for name, want := range files {
		if ok, _ := afero.Exists(here, name); ok && contents(t, here, name) != want {
			t.Errorf("%s: %q", name, contents(t, here, name))
		}
	}
}
