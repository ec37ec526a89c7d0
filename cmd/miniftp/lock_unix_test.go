//go:build unix

package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestPutFromClosedInput: a closed standard input, which the Go runtime opens as /dev/null
// for reading and writing, does not empty the remote file.
func TestPutFromClosedInput(t *testing.T) {
	for flag, want := range map[int]bool{os.O_RDWR: true, os.O_RDONLY: false} {
		null, err := os.OpenFile(os.DevNull, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		if got := closedAtStart(null); got != want {
			t.Errorf("/dev/null with flags %d: closed is %v", flag, got)
		}
		var errs strings.Builder
		code := run(t.Context(), verbs, []string{"miniftp", "put", "--retries", "0", "-", "ftp://127.0.0.1:1/x"}, stdio{in: null, out: io.Discard, err: &errs})
		if want != (code == exitLocal && strings.Contains(errs.String(), "standard input: it is closed")) {
			t.Errorf("exit %d: %s", code, errs.String())
		}
	}
}
