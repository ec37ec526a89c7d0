//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestLockFile: of several that add a user to a file at once, none is lost; who waits for
// the lock can be stopped.
func TestLockFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	var wg sync.WaitGroup
	const n = 12
	for i := range n {
		wg.Go(func() {
			if _, err := setUser(t.Context(), file, userLine{name: fmt.Sprint("user", i), password: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if lines, _, err := readUsers(file); err != nil || len(lines) != n {
		t.Errorf("%d users, %v", len(lines), err)
	}

	unlock, err := lockFile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFile(ctx, file); !errors.Is(err, context.Canceled) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	if unlock, err = lockFile(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	unlock()
}

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
		code := run(t.Context(), verbs, []string{"miniftp", "put", "--retries", "0", "-", "ftp://127.0.0.1:1/x"}, stdio{null, io.Discard, &errs})
		if want != (code == exitLocal && strings.Contains(errs.String(), "standard input: it is closed")) {
			t.Errorf("exit %d: %s", code, errs.String())
		}
	}
}
