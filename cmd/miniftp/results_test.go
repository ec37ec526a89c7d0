package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// cancelAt is a writer that cancels a context when a text is written to it.
type cancelAt struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (c *cancelAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.text) {
		c.cancel()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Write(p)
}

// TestJSONInterrupted: after an interrupt, --json has printed whole lines, the last ones about the
// interrupt and the summary.
func TestJSONInterrupted(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	fsys := afero.NewMemMapFs()
	if err := afero.WriteFile(fsys, "/a", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, fsys)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv.Fail("DELE", ftptest.Silence())
	var out bytes.Buffer
	errs := &cancelAt{text: "> DELE", cancel: cancel}
	code := flags.Run(ctx, verbs, []string{"miniftp", "rm", "-v", "--json", srv.URL + "/a"}, verb.Stdio{In: strings.NewReader(""), Out: &out, Err: errs})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != verb.ExitInterrupted || len(lines) != 2 || !strings.Contains(lines[0], `"kind": "interrupted", "exit": 130`) || !strings.Contains(lines[1], `"done": 0, "failed": 1, "exit": 130`) {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.buf.String())
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// TestJSONOfOneFile: for a single file, --json prints a single object, which is easy to parse.
func TestJSONOfOneFile(t *testing.T) {
	srv, dir := verbtest.WithFile(t, verbtest.Pattern(1000)), t.TempDir()
	for _, args := range [][]string{
		{"get", "--json", srv.URL + "/a.bin", dir + "/a"}, {"put", "--json", dir + "/a", srv.URL + "/b"}, {"get", "--json", srv.URL + "/none", dir + "/n"},
	} {
		_, out, errs := try(t, args...)
		var one meter.Result
		if err := json.Unmarshal([]byte(out), &one); err != nil || one.URL == "" {
			t.Errorf("%q: %v; %q, %s", args[0], err, out, errs)
		}
	}
	_, out, _ := try(t, "get", "--json", srv.URL+"/[ab]*", dir)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.Contains(lines[2], `"done": 2`) {
		t.Errorf("of two files: %q", out)
	}
}
