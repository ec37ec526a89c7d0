package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

func TestNewFailure(t *testing.T) {
	reply := &ftp.Error{Verb: "DELE", Reply: ftp.NewReply(550, "No.")}
	for _, tt := range []struct {
		err  error
		want failure
	}{
		{at("ftp://h/a", reply), failure{"rm", "ftp://h/a", "ftp://h/a: the server says 550 No.", "refused", exitRefused, "550 No."}},
		{at("ftp://u:pw@h/a", reply), failure{"rm", "ftp://u:****@h/a", "", "refused", exitRefused, "550 No."}},
		{at("there", &client.LocalError{Err: errors.New("full")}), failure{"rm", "", "there: full", "local", exitLocal, ""}},
		{usagef("no"), failure{"rm", "", "no", "usage", exitUsage, ""}},
		{context.Canceled, failure{"rm", "", "context canceled", "interrupted", exitInterrupted, ""}},
		{errors.New("odd"), failure{"rm", "", "odd", "failure", exitFailure, ""}},
	} {
		got := *newFailure("rm", tt.err)
		if tt.want.Error == "" {
			got.Error = ""
		}
		if got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.err, got, tt.want)
		}
	}
	for _, x := range exitMeanings {
		if x.code != exitOK && failureKinds[x.code] == "" {
			t.Errorf("exit %d has no kind", x.code)
		}
	}
}

// cancelAt ends a context when a text is written to it.
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

// TestJSONInterrupted: an interrupt leaves whole lines: the interrupt and the summary.
func TestJSONInterrupted(t *testing.T) {
	t.Parallel()
	long(t)
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
	code := run(ctx, []string{"miniftp", "rm", "-v", "--json", srv.URL + "/a"}, stdio{strings.NewReader(""), &out, errs})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != exitInterrupted || len(lines) != 2 || !strings.Contains(lines[0], `"kind": "interrupted", "exit": 130`) || !strings.Contains(lines[1], `"done": 0, "failed": 1, "exit": 130`) {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.buf.String())
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// One file that is asked for is one object, which other programs can parse as it is.
func TestJSONOfOneFile(t *testing.T) {
	srv, dir := withFile(t, pattern(1000)), t.TempDir()
	for _, args := range [][]string{
		{"get", "--json", srv.URL + "/a.bin", dir + "/a"}, {"put", "--json", dir + "/a", srv.URL + "/b"}, {"get", "--json", srv.URL + "/none", dir + "/n"},
	} {
		_, out, errs := try(t, args...)
		var one transferResult
		if err := json.Unmarshal([]byte(out), &one); err != nil || one.URL == "" {
			t.Errorf("%q: %v; %q, %s", args[0], err, out, errs)
		}
	}
	_, out, _ := try(t, "get", "--json", srv.URL+"/[ab]*", dir)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.Contains(lines[2], `"done": 2`) {
		t.Errorf("of two files: %q", out)
	}
}
