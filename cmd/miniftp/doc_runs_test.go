package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestDocRuns runs the commands in the console blocks of documents and compares their output with
// the document; with -update it rewrites the document. All blocks of a document share one directory
// and run in order. Lines that begin with "$ " are commands for sh. A server that a block starts
// runs until the next one is started.
func TestDocRuns(t *testing.T) {
	verbtest.Long(t)
	for _, doc := range []string{"README.md"} {
		t.Run(doc, func(t *testing.T) {
			t.Parallel()
			r := newDocRun(t)
			name := verbtest.InModule(doc)
			old, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			blocks := 0
			now := console.ReplaceAllStringFunc(string(old), func(block string) string {
				blocks++
				shown := console.FindStringSubmatch(block)[1]
				printed := r.block(shown)
				if !verbtest.Updating() && r.masked(printed) != r.masked(shown) {
					t.Errorf("%s shows\n%s\nGot\n%s", doc, shown, printed)
				}
				return "```console\n" + printed + "```"
			})
			if blocks == 0 {
				t.Error("no console block was found")
			}
			if verbtest.Updating() && !t.Failed() {
				if err := os.WriteFile(name, []byte(now), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// console matches the blocks to run.
var console = regexp.MustCompile("(?s)```console\n(.*?)```")

// docPort is the port of the server in documents.
const docPort = "2121"

// docRun is a directory with some files, where the commands of a document run.
type docRun struct {
	t      *testing.T
	dir    string
	port   string // the server's port; documents show docPort instead
	env    []string
	server *exec.Cmd // the last one started by a block
}

func newDocRun(t *testing.T) *docRun {
	verbtest.Program(t)
	r := &docRun{t: t, dir: t.TempDir()}
	for name, size := range map[string]int{
		"srv/report.pdf": 2_100_000, "srv/hello.txt": 14, "srv/photos/001.jpg": 48_000, "srv/photos/002.jpg": 51_000, "srv/photos/003.jpg": 47_000,
		"work/scan.pdf": 120_000, "srv/in/.keep": 0,
	} {
		name = filepath.Join(r.dir, filepath.FromSlash(name))
		content := bytes.Repeat([]byte("Hello, world.\n"), size/14+1)[:size]
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(r.dir, "srv/in/.keep")); err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(),
		"HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir, "XDG_STATE_HOME="+r.dir, "LC_ALL=C.UTF-8", "TZ=UTC", "COLUMNS=80",
		"MINIFTP_LOG_FORMAT=console", "MINIFTP_LISTEN=127.0.0.1:0")
	t.Cleanup(r.stop)
	return r
}

// block runs the commands of a block and returns the block with their output.
func (r *docRun) block(shown string) string {
	var b strings.Builder
	for line := range strings.Lines(shown) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		b.WriteString(line)
		out := ""
		if command = strings.TrimSpace(command); strings.HasPrefix(command, "miniftp serve") {
			out = r.serve(command)
		} else {
			out = r.run(strings.ReplaceAll(command, docPort, r.port))
		}
		columns := strings.Repeat(" ", len(r.port)-len(docPort)) // keeps the next column in place
		b.WriteString(strings.NewReplacer(r.port+"/  ", docPort+"/  "+columns, r.port, docPort).Replace(out))
	}
	return b.String()
}

// run runs a command and returns its output.
func (r *docRun) run(command string) string {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = filepath.Join(r.dir, "work"), r.env
	out, _ := cmd.CombinedOutput() // some commands are meant to fail
	return strings.ReplaceAll(string(out), r.dir, "")
}

// serve starts a server in the directory srv and returns its output until it listens.
func (r *docRun) serve(command string) string {
	r.stop()
	r.server = exec.CommandContext(context.Background(), "sh", "-c", "exec "+command)
	said := &verbtest.Buffer{}
	r.server.Dir, r.server.Env, r.server.Stdout, r.server.Stderr = filepath.Join(r.dir, "srv"), r.env, said, said
	if err := r.server.Start(); err != nil {
		r.t.Fatal(err)
	}
	for wait := time.Now().Add(20 * time.Second); !strings.Contains(said.String(), "Ctrl-C stops."); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(wait) {
			r.t.Fatalf("%s said only\n%s", command, said)
		}
	}
	r.port = listensOn.FindStringSubmatch(said.String())[1]
	lines := slices.DeleteFunc(strings.SplitAfter(said.String(), "\n"), func(line string) bool { return strings.Contains(line, "running as root") })
	return strings.Join(lines, "")
}

var listensOn = regexp.MustCompile(`ftp://127\.0\.0\.1:([0-9]+)/`)

func (r *docRun) stop() {
	if r.server != nil {
		_ = r.server.Process.Signal(os.Interrupt)
		_ = r.server.Wait()
		r.server = nil
	}
}

// masked returns a block with the parts masked that differ from run to run.
func (r *docRun) masked(s string) string {
	for mask, what := range map[string]string{
		`[0-9.]+ ([kMG]?B/s)`: "SPEED",
		`[0-9.]+ m?s\b`:       "TIME",
		`sha256:[0-9a-f]{64}`: "sha256:…",
		`[ \t]+`:              " ",
	} {
		s = regexp.MustCompile(mask).ReplaceAllString(s, what)
	}
	return verbtest.Masked(s)
}
