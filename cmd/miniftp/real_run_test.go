package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestExplainRealRun: get and serve draw the same transfers, each from its own side.
func TestExplainRealRun(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("COLUMNS", "80")
	t.Setenv("HOME", t.TempDir()) // no .netrc
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "report.pdf"), bytes.Repeat([]byte("line\n"), 20000), 0o644); err != nil {
		t.Fatal(err)
	}
	url := make(chan string, 1)
	served := &verbtest.ServeOutput{URL: url}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- flags.Run(ctx, verbs, []string{"miniftp", "serve", "--explain", "--log-level", "error", "--listen", "127.0.0.1:0", root},
			verb.Stdio{Out: &served.Buf, Err: served})
	}()
	at := <-url
	var got bytes.Buffer
	for _, mode := range [][]string{{"--passive"}, {"--active"}, {"--active", "--active-ip", "192.0.2.1"}} {
		args := append(append([]string{"miniftp", "get", "--explain"}, mode...), at+"report.pdf", filepath.Join(t.TempDir(), "copy"))
		_ = flags.Run(t.Context(), verbs, args, verb.Stdio{Out: &got, Err: &got})
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("serve: exit %d", code)
	}
	_, drawn, _ := strings.Cut(served.Buf.String(), "Ctrl-C stops.\n")
	verbtest.Golden(t, "real.golden", "== the client's side\n"+speeds.ReplaceAllString(verbtest.Masked(got.String()), "SPEED")+
		"== the server's side\n"+strings.ReplaceAll(verbtest.Masked(drawn), at, "URL"))
}

var speeds = regexp.MustCompile(`[0-9.]+ [kMG]?B/s`)
