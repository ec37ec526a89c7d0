package mirror_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestMirrorDryRun checks that a dry run changes nothing, and reports what the run then does.
func TestMirrorDryRun(t *testing.T) {
	site, here := fsroot.NewMem(), afero.NewMemMapFs()
	testutil.Grow(t, here, someFiles)
	testutil.Grow(t, site, map[string]string{"/up/old/x": "x", "/up/old/y/z": "z", "/up/a.txt": "ALPHA+", "/up/gone": "g", "/up/empty/": ""})
	srv := ftptest.NewServer(t, site)
	tree, _ := remoteTree(t, srv.Addr, nil, 2, "/up")
	before := testutil.Shape(t, site, "/up")
	src := mirror.Tree{FS: here, Root: "/"}
	for _, o := range []mirror.Plan{
		{Delete: true, Perms: true, Checksum: true, DryRun: true},
		{Delete: true, DryRun: true},
	} {
		planned, plan := mustMirror(t, tree, src, o)
		testutil.SameShape(t, testutil.Shape(t, site, "/up"), before)
		if len(plan) == 0 || planned.Deleted != 6 || planned.Dirs != 4-1 {
			t.Errorf("plan: %+v %q", planned, plan)
		}
		if o.Perms {
			continue
		}
		o.DryRun = false
		res, did := mustMirror(t, tree, src, o)
		if !slices.Equal(plan, did) {
			t.Errorf("planned %q\n    did %q", plan, did)
		}
		if res.Files != planned.Files || res.Bytes != planned.Bytes || res.Unchanged != planned.Unchanged {
			t.Errorf("planned %+v\n    did %+v", planned, res)
		}
		testutil.SameShape(t, testutil.Shape(t, site, "/up"), wholeShape(someFiles))
	}
}

// TestMirrorDryRunSendsNothing checks that a dry run sends no command that changes the server.
func TestMirrorDryRunSendsNothing(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"MLST type*;size*;modify*;", "MFMT"}
		f.Files["/x/a"] = "another"
		f.On["MLST"] = func(s *fakeserver.Session, _ string) { s.Raw("250-\r\n type=dir; x\r\n250 End\r\n") }
		f.Dirs["/x"] = "type=file;size=7;modify=20240102030405; a\r\ntype=OS.unix=slink:b; l\r\n"
	})
	here := fsroot.NewMem()
	testutil.Plant(t, here, "/a", "seven!!", old)
	testutil.Plant(t, here, "/new", "new", old)
	tree, _ := remoteTree(t, f.Addr, nil, 1, "/x")
	for _, o := range []mirror.Plan{{}, {Checksum: true}, {Delete: true, Perms: true, Links: mirror.CopyLinks}} {
		o.DryRun = true
		_, did := mustMirror(t, tree, mirror.Tree{FS: here, Root: "/"}, o)
		if !o.Checksum && !slices.Contains(did, "copy a time") {
			t.Errorf("%q", did)
		}
	}
	for _, line := range f.Commands() {
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "MFMT", "SITE", "STOR", "DELE", "RMD", "MKD", "RNFR":
			t.Errorf("sent %q", line)
		}
	}
}
