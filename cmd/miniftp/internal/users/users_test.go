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

// TestLockFile: of several that add a user to a file at once, none is lost; who waits for
// the lock can be stopped.
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
		t.Errorf("%d users, %v", len(lines), err)
	}

	unlock, err := local.Lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := local.Lock(ctx, file); !errors.Is(err, context.Canceled) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	if unlock, err = local.Lock(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestByteOrderMark: what editors put before the text is no part of it.
func TestByteOrderMark(t *testing.T) {
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "users"), "\ufeffalice:a\n")
	lines, _, err := Read(file)
	if err != nil || len(lines) != 1 || lines[0].Name != "alice" {
		t.Errorf("%+v, %v", lines, err)
	}
}
