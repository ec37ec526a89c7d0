//go:build unix

package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// TestPutFromClosedInput: a closed standard input does not empty the remote file. The Go runtime
// opens it as /dev/null for reading and writing.
func TestPutFromClosedInput(t *testing.T) {
	for flag, want := range map[int]bool{os.O_RDWR: true, os.O_RDONLY: false} {
		null, err := os.OpenFile(os.DevNull, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		if got := local.ClosedAtStart(null); got != want {
			t.Errorf("/dev/null with flags %d: closed is %v", flag, got)
		}
		var errs strings.Builder
		code := flags.Run(t.Context(), verbs, []string{"miniftp", "put", "--retries", "0", "-", "ftp://127.0.0.1:1/x"}, verb.Stdio{In: null, Out: io.Discard, Err: &errs})
		if want != (code == verb.ExitLocal && strings.Contains(errs.String(), "standard input: closed")) {
			t.Errorf("exit %d: %s", code, errs.String())
		}
	}
}
