package mirror_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// costOf returns a function that counts the commands and data connections of a server since
// costOf was called.
func costOf(srv *ftptest.Server) func() (commands map[string]int, opened int) {
	before, events := len(srv.Commands()), len(srv.Events())
	return func() (map[string]int, int) {
		commands, opened := map[string]int{}, 0
		for _, c := range srv.Commands()[before:] {
			commands[c.Verb]++
		}
		for _, e := range srv.Events()[events:] {
			if _, ok := e.What.(ftp.DataOpened); ok {
				opened++
			}
		}
		return commands, opened
	}
}

// lockedFs can't open files whose names end in end.
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

// Small files share one data connection, in both directions, active and passive, and each has its own transfer
// command.
func TestChain(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		site := fsroot.NewMem()
		files := testutil.ManySmall(600)
		testutil.Grow(t, site, files)
		srv := ftptest.NewServer(t, site)
		cost := costOf(srv)
		tree, _ := remoteTree(t, srv.Addr, &client.Options{Mode: mode}, 1, "/x")
		here := afero.NewMemMapFs()
		res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/"}})
		if err != nil || res.Files != 600 {
			t.Fatalf("%v: %+v, %v", mode, res, err)
		}
		if commands, opened := cost(); opened > 2 || commands["RETR"] != 600 || commands["SIZE"] > 0 {
			t.Errorf("%v: %d data connections, %v", mode, opened, commands)
		}
		for name, want := range files {
			if got := testutil.Contents(t, here, strings.TrimPrefix(name, "/x")); got != want {
				t.Fatalf("%s: %q", name, got)
			}
		}
		cost = costOf(srv)
		up, _ := remoteTree(t, srv.Addr, &client.Options{Mode: mode}, 1, "/up")
		res, err = mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: up})
		if err != nil || res.Files != 600 {
			t.Fatalf("%v: up: %+v, %v", mode, res, err)
		}
		if commands, opened := cost(); opened > 2 || commands["STOR"] != 600 || commands["RNTO"] != 600 {
			t.Errorf("%v: up: %d data connections, %v", mode, opened, commands)
		}
		for name, want := range files {
			if got := testutil.Contents(t, site, "/up"+strings.TrimPrefix(name, "/x")); got != want {
				t.Fatalf("%s: %q", name, got)
			}
		}
		again, err := mirror.Run(t.Context(), mirror.Plan{From: mirror.Tree{FS: here, Root: "/"}, To: up})
		if err != nil || again.Files != 0 {
			t.Errorf("%v: again: %+v, %v", mode, again, err)
		}
	}
}

// If a server does not support block mode, it is asked once, not for every file.
func TestChainNotOffered(t *testing.T) {
	testutil.Long(t)
	for name, f := range map[string]ftptest.Fault{"504": ftptest.Reply(504, "Only MODE S."), "502": ftptest.Refuse()} {
		site := fsroot.NewMem()
		testutil.Grow(t, site, testutil.ManySmall(50))
		srv := ftptest.NewServer(t, site)
		srv.Fail("MODE", f)
		cost := costOf(srv)
		tree, _ := remoteTree(t, srv.Addr, nil, 2, "/x")
		res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: fsroot.NewMem(), Root: "/"}, Parallel: 2})
		if commands, _ := cost(); err != nil || res.Files != 50 || commands["MODE"] != 1 {
			t.Errorf("%s: %+v, %v, %v", name, res, err, commands)
		}
	}
}

// Whatever goes wrong in a chain, each file arrives or its error is reported, and no file gets the contents of
// another.
func TestChainFaults(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for name, f := range map[string]struct {
		verb  string
		fault ftptest.Fault
	}{
		"RETR is refused":                      {"RETR", ftptest.Reply(550, "No.")},
		"RETR is refused for now":              {"RETR", ftptest.Reply(450, "Not now.")},
		"RETR ends early":                      {"RETR", ftptest.CutAfter(100)},
		"RETR ends too early without an error": {"RETR", ftptest.ShortAfter(100)},
		"RETR hangs up":                        {"RETR", ftptest.HangUp()},
		"the reply is lost":                    {"RETR", ftptest.LoseReply()},
		"STOR is refused":                      {"STOR", ftptest.Reply(553, "No.")},
		"STOR ends early":                      {"STOR", ftptest.CutAfter(100)},
		"STOR hangs up":                        {"STOR", ftptest.HangUp()},
		"MFMT is refused":                      {"MFMT", ftptest.Reply(550, "No.")},
		"RNTO hangs up":                        {"RNTO", ftptest.HangUp()},
	} {
		t.Run(name, func(t *testing.T) {
			site, here := fsroot.NewMem(), fsroot.NewMem()
			files := testutil.ManySmall(60)
			testutil.Grow(t, site, files)
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
				t.Errorf("%+v without an error", first)
			}
			for name, want := range files {
				if ok, _ := afero.Exists(here, name); ok && testutil.Contents(t, here, name) != want {
					t.Errorf("%s has the wrong contents: %q", name, testutil.Contents(t, here, name))
				}
			}
			srv.Heal()
			if _, err := mirror.Run(t.Context(), mirror.Plan{From: from, To: to}); err != nil {
				t.Errorf("after the fault: %v", err)
			}
			for name, want := range files {
				if got := testutil.Contents(t, here, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// If some files are refused, the others are still copied.
func TestChainSomeRefused(t *testing.T) {
	site := fsroot.NewMem()
	files := testutil.ManySmall(100)
	testutil.Grow(t, site, files)
	srv := ftptest.NewServer(t, lockedFs{site, "7"})
	tree, _ := remoteTree(t, srv.Addr, nil, 1, "/x")
	here := fsroot.NewMem()
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/x"}})
	var no *ftp.Error
	if !errors.As(err, &no) || no.Code != 550 || res.Failed != 10 || res.Files != 90 {
		t.Errorf("%+v, %v; want 90 files and 10 failures with 550", res, err)
	}
}

// A cancel ends a chain soon, and no partial file gets its final name.
func TestChainCancel(t *testing.T) {
	site, here := fsroot.NewMem(), fsroot.NewMem()
	files := testutil.ManySmall(1500)
	testutil.Grow(t, site, files)
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
		t.Errorf("got %v, want the cause of the cancel", err)
	}
	for name, want := range files {
		if ok, _ := afero.Exists(here, name); ok && testutil.Contents(t, here, name) != want {
			t.Errorf("%s: %q", name, testutil.Contents(t, here, name))
		}
	}
}
