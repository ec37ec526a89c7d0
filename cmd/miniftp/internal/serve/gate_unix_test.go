//go:build unix

package serve

import (
	"context"
	"crypto/md5"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/internal/s3peer"
)

// virus is what the database of startClamd knows.
const virus = "this content is the test virus\n"

// startClamd starts the daemon of ClamAV with a database of one line. It returns its socket, and a function that kills
// it.
func startClamd(t *testing.T) (socket string, kill func()) {
	t.Helper()
	program := verbtest.StockProgram(t, "clamd")
	dir, err := os.MkdirTemp("", "clamd") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	verbtest.WriteFile(t, filepath.Join(dir, "db", "one.hdb"), fmt.Sprintf("%x:%d:Miniftp.Test.Virus\n", md5.Sum([]byte(virus)), len(virus)))
	conf := filepath.Join(dir, "clamd.conf")
	verbtest.WriteFile(t, conf, fmt.Sprintf("Foreground yes\nLocalSocket %s\nDatabaseDirectory %s/db\nTemporaryDirectory %s\nStreamMaxLength 1M\n", socket, dir, dir))
	cmd := exec.Command(program, "--config-file="+conf)
	_, kill = background(t, cmd)
	eventually(t, "clamd listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return socket, kill
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// curlPut uploads content to a name and returns what curl has printed, verbosely.
func curlPut(t *testing.T, addr, name, content string, args ...string) (said string, ok bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	verbtest.WriteFile(t, file, content)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args = append([]string{"-sv", "-T", file, "ftp://rw:x@" + addr + "/" + name}, args...)
	out, err := exec.CommandContext(ctx, verbtest.StockProgram(t, "curl"), args...).CombinedOutput()
	return string(out), err == nil
}

// visible returns the names in dir that clients see.
func visible(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".upload") {
			names = append(names, e.Name())
		}
	}
	return names
}

// The real clamd decides about uploads of the real curl: a virus is refused and put into the quarantine; while clamd is
// down, or for a file that it does not take, nothing becomes visible, and curl can resume.
func TestGateClamd(t *testing.T) {
	socket, kill := startClamd(t)
	dir, quarantine := t.TempDir(), t.TempDir()
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--log-format", "text", "--gate", "clamd:"+socket, "--gate-quarantine", quarantine, dir)
	if said, ok := curlPut(t, p.Addr, "good", "good content"); !ok {
		t.Errorf("curl failed:\n%s", said)
	}
	if said, ok := curlPut(t, p.Addr, "bad.exe", virus); ok || !strings.Contains(said, "550 /bad.exe: refused by the virus check: Miniftp.Test.Virus") {
		t.Errorf("curl says:\n%s", said)
	}
	large := strings.Repeat("0123456789abcdef", 128<<10)
	if said, ok := curlPut(t, p.Addr, "large", large); ok || !strings.Contains(said, "451 /large: could not be checked now") {
		t.Errorf("curl says:\n%s", said)
	}
	kill()
	if said, ok := curlPut(t, p.Addr, "later", "good content, later"); ok || !strings.Contains(said, "451 /later: could not be checked now") {
		t.Errorf("curl says:\n%s", said)
	}
	// Clients that try again by themselves must not take what is kept for the whole file.
	file := filepath.Join(t.TempDir(), "file")
	verbtest.WriteFile(t, file, "good content")
	if code, _, errs := try(t, "put", file, "ftp://rw:x@"+p.Addr+"/put"); code == verb.ExitOK || !strings.Contains(errs, "451") {
		t.Errorf("put: exit %d: %s", code, errs)
	}
	if said, ok := curlPut(t, p.Addr, "later", "good content, later", "-C", "-"); ok {
		t.Errorf("curl took an unchecked upload for complete:\n%s", said)
	}
	if got := visible(t, dir); !slices.Equal(got, []string{"good"}) {
		t.Errorf("clients see %q", got)
	}
	files, _ := filepath.Glob(filepath.Join(quarantine, "*-rw-*-bad.exe"))
	if len(files) != 1 {
		t.Fatalf("the quarantine has %q", visible(t, quarantine))
	}
	if got := readText(t, files[0]); got != virus {
		t.Errorf("the quarantine has %q", got)
	}
	p.End()
	log := p.Log.String()
	for _, want := range []string{
		`msg="upload checked"`, "result=passed", `why="refused by the virus check: Miniftp.Test.Virus.UNOFFICIAL" result=refused`,
		"StreamMaxLength", "result=unchecked", "option=gate result=refused", "could not be checked", "checker=clamd:" + socket,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
	// With clamd back, curl -C - resumes what was kept, and the whole is checked.
	socket, _ = startClamd(t)
	p = verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", "clamd:"+socket, dir)
	if said, ok := curlPut(t, p.Addr, "later", "good content, later, and more", "-C", "-"); !ok {
		t.Errorf("curl failed:\n%s", said)
	}
	if got := readText(t, filepath.Join(dir, "later")); got != "good content, later, and more" {
		t.Errorf("later contains %q", got)
	}
}

// Uploads to a bucket are checked, too: nobody sees them before, neither by FTP nor in the bucket itself.
func TestGateClamdBucket(t *testing.T) {
	socket, kill := startClamd(t)
	g := s3peer.Start(t, t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", s3peer.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3peer.SecretKey)
	quarantine := t.TempDir()
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", "clamd:"+socket, "--gate-quarantine", quarantine, g.URL("in", ""))
	if said, ok := curlPut(t, p.Addr, "good", "good content"); !ok {
		t.Errorf("curl failed:\n%s", said)
	}
	if said, ok := curlPut(t, p.Addr, "bad.exe", virus); ok || !strings.Contains(said, "550 /bad.exe: refused by the virus check: Miniftp.Test.Virus") {
		t.Errorf("curl says:\n%s", said)
	}
	kill()
	if said, ok := curlPut(t, p.Addr, "later", "good content, later"); ok || !strings.Contains(said, "451 /later: could not be checked now") {
		t.Errorf("curl says:\n%s", said)
	}
	dir := filepath.Join(g.Dir, s3peer.Bucket, "in")
	if got := visible(t, dir); !slices.Equal(got, []string{".miniftp", "good"}) {
		t.Errorf("the bucket has %q", got)
	}
	if files, _ := filepath.Glob(filepath.Join(quarantine, "*-rw-*-bad.exe")); len(files) != 1 || readText(t, files[0]) != virus {
		t.Errorf("the quarantine has %q", files)
	}
	p.End()
	socket, _ = startClamd(t)
	p = verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", "clamd:"+socket, g.URL("in", ""))
	if said, ok := curlPut(t, p.Addr, "later", "good content, later, and more", "-C", "-"); !ok {
		t.Errorf("curl failed:\n%s", said)
	}
	if got := readText(t, filepath.Join(dir, "later")); got != "good content, later, and more" {
		t.Errorf("later contains %q", got)
	}
	if held, _ := filepath.Glob(filepath.Join(dir, ".miniftp", "held", "*")); len(held) != 0 {
		t.Errorf("%q are left", held)
	}
}

// hangingClamd is a socket whose other end never answers. Each connection is counted by asked.
func hangingClamd(t *testing.T) (spec string, asked <-chan struct{}) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hang")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	count := make(chan struct{}, 100)
	var conns []net.Conn
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			count <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		for _, conn := range conns {
			_ = conn.Close()
		}
		_ = os.RemoveAll(dir)
	})
	return "clamd:" + l.Addr().String(), count
}

// A server that is killed while it checks an upload leaves it hidden, and another server lets its user resume it.
func TestGateKilled(t *testing.T) {
	spec, asked := hangingClamd(t)
	dir := t.TempDir()
	p := verbtest.StartServer(t, dir, "--user", "rw:x", "--gate", spec)
	ended := make(chan string, 1)
	go func() {
		said, _ := curlPut(t, p.Addr, "file", "some content")
		ended <- said
	}()
	<-asked
	if got := visible(t, dir); len(got) != 0 {
		t.Errorf("clients see %q before the verdict", got)
	}
	p.Kill()
	if said := <-ended; strings.Contains(said, "< 226") {
		t.Errorf("curl was told that the upload is complete:\n%s", said)
	}
	if got := visible(t, dir); len(got) != 0 {
		t.Errorf("clients see %q", got)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".file.*.upload"))
	if len(left) != 1 {
		t.Fatalf("%q is left", left)
	}
	past := time.Now().Add(-time.Minute) // a young file is not swept at once
	if err := os.Chtimes(left[0], past, past); err != nil {
		t.Fatal(err)
	}
	again := verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", "exec:"+gateScript(t, `test "$(cat)" = "some content, resumed" || exit 2`), dir)
	eventually(t, "the new server has found the upload", func() bool {
		kept, _ := filepath.Glob(filepath.Join(dir, ".file.*.upload"))
		return len(kept) == 1 && kept[0] != left[0]
	})
	if said, ok := curlPut(t, again.Addr, "file", "some content", "-C", "-"); ok {
		t.Errorf("curl took an unchecked upload for complete:\n%s", said)
	}
	eventually(t, "it is complete", func() bool {
		_, ok := curlPut(t, again.Addr, "file", "some content, resumed", "-C", "-")
		return ok
	})
	if got := readText(t, filepath.Join(dir, "file")); got != "some content, resumed" {
		t.Errorf("file contains %q", got)
	}
}

// gateScript makes an executable of the commands.
func gateScript(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "check")
	verbtest.WriteFile(t, name, "#!/bin/sh\n"+text+"\n")
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// While checks hang, other users work, and a stop of the server ends the checks.
func TestGateHangs(t *testing.T) {
	spec, asked := hangingClamd(t)
	dir := t.TempDir()
	verbtest.WriteFile(t, filepath.Join(dir, "get"), "something to get")
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", spec, "--gate-parallel", "20", "--grace", "100ms", dir)
	ended := make(chan string, 20)
	for i := range 20 {
		go func() {
			said, _ := curlPut(t, p.Addr, fmt.Sprint("file", i), "some content")
			ended <- said
		}()
	}
	for range 20 {
		<-asked
	}
	if code, out, errs := try(t, "cat", "ftp://rw:x@"+p.Addr+"/get"); code != verb.ExitOK || out != "something to get" {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
	p.End()
	for range 20 {
		if said := <-ended; strings.Contains(said, "< 226 Done") {
			t.Errorf("curl says:\n%s", said)
		}
	}
	if got := visible(t, dir); !slices.Equal(got, []string{"get"}) {
		t.Errorf("clients see %q", got)
	}
}

// Mistakes in the settings are found before the server starts.
func TestGateMistakes(t *testing.T) {
	dir := t.TempDir()
	root, secret, short := filepath.Join(dir, "root"), filepath.Join(dir, "secret"), filepath.Join(dir, "short")
	for _, d := range []string{root, filepath.Join(root, "inner"), filepath.Join(dir, "quarantine")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	verbtest.WriteFile(t, secret, "0123456789abcdef\n")
	verbtest.WriteFile(t, short, "short\n")
	user := []string{"--user", "rw:x"}
	clamd := append(user, "--gate", "clamd:/run/clamd.ctl")
	for _, c := range []struct {
		args []string
		want string
	}{
		{append(user, "--gate", "clam:/x", root), `--gate "clam:/x": write clamd:`},
		{append(user, "--gate", "http://192.0.2.1/", root), "http:// is accepted for this machine only"},
		{append(user, "--gate", "https://u:hunter2@host/", root), "without a user"},
		{append(user, "--gate", "exec:/no/such", root), "can't be run: no such file or directory"},
		{append(user, "--gate-quarantine", dir, root), "has no effect without --gate"},
		{append(clamd, "--upload-in-place", root), "--upload-in-place can't be used together with --gate"},
		{append(clamd, "--gate-timeout", "0", root), "must be more than 0"},
		{append(clamd, "--gate-parallel", "0", root), "must be at least 1"},
		{append(clamd, "--gate-quarantine", filepath.Join(dir, "none"), root), "none: no such file or directory"},
		{append(clamd, "--gate-quarantine", filepath.Join(root, "inner"), root), "which is served"},
		{append(clamd, "--gate-quarantine", root, root), "which is served"},
		{append(clamd, "--gate-quarantine-size", "much", root), `--gate-quarantine-size "much": a size`},
		{append(clamd, "--gate-secret-file", secret, root), "has no webhook"},
		{append(user, "--gate", "https://host/", "--gate-secret-file", short, root), "must have at least 16"},
		{append(clamd, "ftp://127.0.0.1:1/"), "can't be used for ftp://127.0.0.1:1/: uploads to another server can't be held back"},
	} {
		code, _, errs := try(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, slices.Clone(c.args)...)...)
		if code != verb.ExitUsage && !strings.Contains(c.want, "no such file") || code == verb.ExitOK || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit %d, %q, want %q", c.args, code, errs, c.want)
		}
		if strings.Contains(errs, "hunter2") {
			t.Errorf("the mistake shows a password: %s", errs)
		}
	}
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", "https://host/", "--gate-secret-file", secret, "--gate-quarantine", filepath.Join(dir, "quarantine"), root)
	p.End()
}

// The script in docs/gate.md does what it says.
func TestGateDocScript(t *testing.T) {
	doc := readText(t, filepath.FromSlash("../../../../docs/gate.md"))
	_, script, ok := strings.Cut(doc, "```sh\n#!/bin/sh\n")
	script, _, end := strings.Cut(script, "```")
	if !ok || !end {
		t.Fatal("docs/gate.md has no script")
	}
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", "exec:"+gateScript(t, script), t.TempDir())
	for _, c := range []struct{ name, content, want string }{
		{"a.jpg", "\xff\xd8\xff\xe0 and so on", "226 "},
		{"a.png", "\x89PNG and so on", "226 "},
		{"a.txt", "text", "550 /a.txt: refused by the check: only pictures may be uploaded"},
		{"b.png", "MZ is no picture", "550 /b.png: refused by the check: not a picture"},
		{"c.png", "", "550 /c.png: refused by the check: not a picture"},
	} {
		if said, _ := curlPut(t, p.Addr, c.name, c.content); !strings.Contains(said, "< "+c.want) {
			t.Errorf("%s: curl says:\n%s", c.name, said)
		}
	}
}
