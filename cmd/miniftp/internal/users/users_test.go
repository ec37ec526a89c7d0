package users

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestLockFile: if several goroutines add users to a file at once, no user is lost. Waiting for the lock
// can be canceled.
func TestLockFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	var wg sync.WaitGroup
	const n = 12
	for i := range n {
		wg.Go(func() {
			if _, err := Set(t.Context(), file, Line{Name: fmt.Sprint("user", i), Password: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if lines, _, err := Read(file); err != nil || len(lines) != n {
		t.Errorf("the file has %d users, want %d (%v)", len(lines), n, err)
	}

	unlock, err := local.Lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := local.Lock(ctx, file); !errors.Is(err, context.Canceled) {
		t.Errorf("locking a locked file: %v", err)
	}
	unlock()
	if unlock, err = local.Lock(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestByteOrderMark: a byte order mark is not part of the first name.
func TestByteOrderMark(t *testing.T) {
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "users"), "\ufeffalice:a\n")
	lines, _, err := Read(file)
	if err != nil || len(lines) != 1 || lines[0].Name != "alice" {
		t.Errorf("%+v, %v", lines, err)
	}
}
