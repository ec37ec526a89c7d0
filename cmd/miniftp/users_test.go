package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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

// TestByteOrderMark: what editors put before the text is no part of it.
func TestByteOrderMark(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "users"), "\ufeffalice:a\n")
	lines, _, err := readUsers(file)
	if err != nil || len(lines) != 1 || lines[0].name != "alice" {
		t.Errorf("%+v, %v", lines, err)
	}
}
