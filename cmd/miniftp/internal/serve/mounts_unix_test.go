//go:build unix

package serve

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
	"miniftp/internal/s3peer"
)

// TestStockMounts: curl and lftp read, write, list and resume on both sides of a mount: of a bucket in a directory, and of a
// directory in a bucket.
func TestStockMounts(t *testing.T) {
	g := s3peer.Start(t, t.TempDir())
	g.Setenv(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "m.toml")
	big := string(verbtest.Pattern(12 << 20))
	verbtest.WriteFile(t, filepath.Join(dir, "big"), big)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "home"), 0o755), os.Mkdir(filepath.Join(dir, "pub"), 0o755)); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(dir, "pub", "notice"), "read me")
	verbtest.WriteFile(t, file, strings.NewReplacer("BUCKET", g.URL("a", ""), "OTHER", g.URL("b", "")).Replace(`
[users.dir]
password = "pw"
root = "home"
[users.dir.mounts]
"/m" = "BUCKET"
"/deep/down/pub" = "pub:ro"
[users.bucket]
password = "pw"
root = "OTHER"
[users.bucket.mounts]
"/m" = { root = "made/{user}" }
"/deep/down/pub" = "pub:ro"
`))
	if err := os.Mkdir(filepath.Join(dir, "made"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0", "--log-format", "text")
	for _, user := range []string{"dir", "bucket"} {
		for _, side := range []string{"", "m/"} {
			if out, err := curlAs(t, p.Addr, user, "-T", filepath.Join(dir, "big"), "ADDR/"+side+"big"); err != nil {
				t.Fatalf("%s: upload to %q: %v: %s", user, side, err, out)
			}
			got := filepath.Join(dir, "got")
			verbtest.WriteFile(t, got, big[:1<<20])
			if out, err := curlAs(t, p.Addr, user, "-C", "-", "-o", got, "ADDR/"+side+"big"); err != nil || read(t, got) != big {
				t.Errorf("%s: resumed download from %q: %v: %s", user, side, err, out)
			}
		}
		if out, err := curlAs(t, p.Addr, user, "--list-only", "ADDR/"); err != nil || lines(out) != "big deep m" {
			t.Errorf("%s sees %q, %v", user, out, err)
		}
		if out, err := curlAs(t, p.Addr, user, "ADDR/deep/down/pub/notice"); err != nil || out != "read me" {
			t.Errorf("%s reads %q, %v", user, out, err)
		}
		if out, err := curlAs(t, p.Addr, user, "-T", file, "ADDR/deep/down/pub/x"); err == nil {
			t.Errorf("%s has written to a mount that is read-only: %s", user, out)
		}
		if out, err := curlAs(t, p.Addr, user, "ADDR/", "-Q", "RNFR big", "-Q", "RNTO m/other"); err == nil {
			t.Errorf("%s has moved a file to another storage: %s", user, out)
		}
		lftp(t, p.Addr, user, "put -O m "+filepath.Join(dir, "pub", "notice")+" -o n; mv m/n m/n2; mkdir m/d; mv m/n2 m/d/n3; cat m/d/n3")
		copied := filepath.Join(dir, "copy-"+user)
		lftp(t, p.Addr, user, "mirror . "+copied)
		for name, want := range map[string]string{"big": big, "m/big": big, "m/d/n3": "read me", "deep/down/pub/notice": "read me"} {
			if read(t, filepath.Join(copied, name)) != want {
				t.Errorf("%s: lftp's copy of %s differs", user, name)
			}
		}
		lftp(t, p.Addr, user, "mirror -R "+filepath.Join(copied, "m")+" m/again; rm -r m/again m/d")
		if out, err := curlAs(t, p.Addr, user, "--list-only", "ADDR/m/"); err != nil || lines(out) != "big" {
			t.Errorf("%s sees %q in the mount, %v", user, out, err)
		}
	}
	for name, want := range map[string]bool{"home/big": true, "home/m": false, "home/deep": false, "made/bucket/big": true} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for key, want := range map[string]bool{"a/big": true, "b/big": true, "b/m/big": false} {
		if _, err := os.Lstat(g.Path(key)); (err == nil) != want {
			t.Errorf("object %s: %v", key, err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// lines returns the lines of a text, joined by blanks.
func lines(s string) string { return strings.Join(strings.Fields(s), " ") }

func lftp(t *testing.T, addr, user, commands string) {
	t.Helper()
	settings := "set net:max-retries 1; set net:timeout 60; set cmd:fail-exit yes; "
	cmd := exec.CommandContext(t.Context(), verbtest.StockProgram(t, "lftp"), "-u", user+",pw", "-e", settings+commands+"; exit", "ftp://"+addr)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("lftp %s: %v: %s", commands, err, out)
	}
}

// TestMountComesBack: a mount whose storage can't be opened does not refuse the login, and works in the first session after
// the storage can be opened. The log says why it is not available.
func TestMountComesBack(t *testing.T) {
	dir := t.TempDir()
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "home"
[users.u]
password = "pw"
[users.u.mounts]
"/late" = "late"
`)
	dirWithFile(t, filepath.Join(dir, "home"))
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0", "--log-format", "text")
	if out, err := curlAs(t, p.Addr, "u", "--list-only", "ADDR/"); err != nil || !strings.Contains(out, "late") {
		t.Errorf("the mount is not listed: %q, %v", out, err)
	}
	if out, err := curlAs(t, p.Addr, "u", "-v", "ADDR/late/"); err == nil || !strings.Contains(out, "550 /late: the storage there can't be reached now") {
		t.Errorf("entering the mount: %v: %s", err, out)
	}
	verbtest.WriteFile(t, filepath.Join(dirWithFile(t, filepath.Join(dir, "late")), "f"), "content")
	if out, err := curlAs(t, p.Addr, "u", "ADDR/late/f"); err != nil || out != "content" {
		t.Errorf("the mount does not come back: %q, %v", out, err)
	}
	p.End()
	for _, text := range []string{"mount /late: late: no such file or directory: the mount can't be entered", "mounts are not available: /late: "} {
		if !strings.Contains(strings.ReplaceAll(p.Log.String(), dir+"/", ""), text) {
			t.Errorf("the log does not say %q:\n%s", text, p.Log.String())
		}
	}
}

// TestMountInARoot: a mount below a directory in which another user may write is opened through that directory, so that a
// link which that user makes can't lead out of it.
func TestMountInARoot(t *testing.T) {
	dir := t.TempDir()
	dirWithFile(t, filepath.Join(dir, "secret"))
	dirWithFile(t, filepath.Join(dir, "shared"))
	if err := os.Symlink("../secret", filepath.Join(dir, "shared", "evil")); err != nil {
		t.Fatal(err)
	}
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
root = "home"
[users.mallory]
password = "pw"
root = "shared"
[users.u]
password = "pw"
[users.u.mounts]
"/m" = "shared/evil"
`)
	dirWithFile(t, filepath.Join(dir, "home"))
	cf := &config{Config: settings.FromFile(file)}
	r := newRoots(t.Context())
	defer r.end()
	cf.prepare(r)
	for _, tree := range cf.Trees(cf.User("u")) {
		_, lease, err := r.of(tree).login(t.Context())
		if err == nil {
			_ = lease.Close()
		}
		if mount := tree.Mount != nil; mount != (err != nil) || mount && !strings.Contains(err.Error(), "link that leads out of it") {
			t.Errorf("%s: %v", tree.Spec(), err)
		}
	}
}

// TestMountsAreServed: uploads to mounts are swept and checked, roots of mounts that are named no more are closed, and
// buckets are refused with --gate.
func TestMountsAreServed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"home", "drop", "pub"} {
		dirWithFile(t, filepath.Join(dir, name))
	}
	parse := func(text string) *config {
		file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"home\"\n[users.u]\npassword = \"pw\"\nperm = \"ro\"\n"+text)
		return &config{Config: settings.FromFile(file)}
	}
	r := newRoots(t.Context())
	defer r.end()
	cf := parse("[users.u.mounts]\n\"/in\" = \"drop:drop\"\n\"/pub\" = \"pub\"\n")
	opts, _ := cf.prepare(r)
	if len(cf.Problems) > 0 {
		t.Fatal(cf.Problems)
	}
	srv, err := server.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	files, lease, err := opts.Auth.(server.Static)["u"].Account.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"/f": false, "/in/f": true, "/pub/f": false} { // the barrier besides the permissions
		if err := afero.WriteFile(files, name, nil, 0o644); (err == nil) != want {
			t.Errorf("%s is written: %v", name, err)
		}
	}
	_ = lease.Close()
	r.keepSwept(srv, cf)
	for name, want := range map[string]bool{"home": false, "drop": true, "pub": false} {
		tree := r.get(filepath.Join(dir, name))
		tree.mu.Lock()
		if tree.swept != want {
			t.Errorf("%s is swept: %v", name, tree.swept)
		}
		tree.mu.Unlock()
	}
	if _, _, nested := cf.nesting.Outer(filepath.Join(dir, "drop", "x")); !nested {
		t.Error("a mount to which users may write is not among the directories in which they may")
	}
	if _, _, nested := cf.nesting.Outer(filepath.Join(dir, "pub", "x")); nested {
		t.Error("a mount without a permission of its own is not read-only as its user")
	}
	open := func(name string) bool {
		tree := r.get(filepath.Join(dir, name))
		tree.mu.Lock()
		defer tree.mu.Unlock()
		return tree.now != nil
	}
	if !open("drop") {
		t.Error("the mount was not tried")
	}
	r.retire(parse(""))
	if open("drop") || !open("home") {
		t.Error("a mount that is named no more stays open")
	}
	gated := parse("[users.u.mounts]\n\"/in\" = \"ftp://127.0.0.1:1/x:drop\"\n\"/bucket\" = \"s3://b/x:drop\"\n")
	gated.Gate = []string{"exec:/bin/true"}
	gated.checkGated()
	if len(gated.Problems) != 1 || !strings.Contains(gated.Problems[0].Error(), "127.0.0.1:1") {
		t.Errorf("another server to which users may write, with a gate: %v", gated.Problems)
	}
}

// TestMountOfOwnDirectory: a part of a home that is read-only can have other rights, also if the home is made at the login. The
// server does not warn of it, unless users may write in the home.
func TestMountOfOwnDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "root = \"srv/{user}\"\n[users.u]\npassword = \"pw\"\nperm = \"ro\"\n[users.u.mounts]\n\"/in\" = \"srv/{user}/in:rw\"\n"
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), text)
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0", "--log-format", "text")
	if out, err := curlAs(t, p.Addr, "u", "-T", file, "ADDR/in/f"); err != nil {
		t.Errorf("upload to the mount: %v: %s", err, out)
	}
	if out, err := curlAs(t, p.Addr, "u", "-T", file, "ADDR/f"); err == nil {
		t.Errorf("upload to the home: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "srv", "u", "in", "f")); err != nil {
		t.Error(err)
	}
	p.End()
	if log := p.Log.String(); strings.Contains(log, "the mount can't be") || strings.Contains(log, "not available") || strings.Contains(log, "can see its files") {
		t.Errorf("the server warns:\n%s", log)
	}
	r := newRoots(t.Context())
	defer r.end()
	cf := &config{Config: settings.FromFile(verbtest.WriteFile(t, file, strings.Replace(text, "perm = \"ro\"", "perm = \"rw\"", 1)))}
	cf.prepare(r)
	if len(cf.Problems) > 0 || !strings.Contains(strings.Join(cf.Warnings, "\n"), "u can see its files too") {
		t.Errorf("problems %v, warnings %q", cf.Problems, cf.Warnings)
	}
}

// TestFailedMountIsTriedOnce: if many users have a mount that can't be opened, it is tried and warned of once.
func TestFailedMountIsTriedOnce(t *testing.T) {
	dir := t.TempDir()
	dirWithFile(t, filepath.Join(dir, "home"))
	text := "root = \"home\"\n[groups.g.mounts]\n\"/late\" = \"late\"\n\"/bucket\" = \"s3://b/{user}?endpoint=ftp://x\"\n"
	for _, name := range []string{"a", "b", "c"} {
		text += "[users." + name + "]\npassword = \"pw\"\ngroup = \"g\"\n"
	}
	r := newRoots(t.Context())
	defer r.end()
	cf := &config{Config: settings.FromFile(verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), text))}
	cf.prepare(r)
	all := strings.Join(cf.Warnings, "\n")
	for _, err := range cf.Problems {
		all += "\n" + err.Error()
	}
	if strings.Count(all, "late: no such file") != 1 || strings.Count(all, "s3://b") != 1 {
		t.Errorf("warnings and mistakes:\n%s", all)
	}
}

// TestHomesOfOthersKeepTheirRights: SITE CHMOD finds out without opening anything that a directory is the home of another user.
func TestHomesOfOthersKeepTheirRights(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"u/home", "plain"} {
		if err := os.MkdirAll(filepath.Join(dir, "srv", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "[users.all]\npassword = \"pw\"\nroot = \"srv\"\n[users.u]\npassword = \"pw\"\nroot = \"srv/{user}\"\nhome = \"home\"\n" +
		"[users.u.mounts]\n\"/in\" = \"mem://\"\n"
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), text)
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0")
	for _, home := range []string{"u", "u/home"} {
		if out, err := curlAs(t, p.Addr, "all", "--list-only", "ADDR/", "-Q", "SITE CHMOD 500 "+home); err == nil {
			t.Errorf("%s has lost rights: %s", home, out)
		}
	}
	if out, err := curlAs(t, p.Addr, "all", "--list-only", "ADDR/", "-Q", "SITE CHMOD 500 plain"); err != nil {
		t.Errorf("another directory: %v: %s", err, out)
	}
}
