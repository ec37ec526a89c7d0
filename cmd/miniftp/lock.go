package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

var errLocked = errors.New("another program is changing it")

// lockPatience is how long lockFile waits. A lock is held for one write of a small file.
const lockPatience = 30 * time.Second

// lockFile keeps other processes from changing a file between the read and the write of
// this one, so that no change is lost. It waits while another process holds the lock.
func lockFile(ctx context.Context, file string) (unlock func(), err error) {
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		unlock, err := tryLock(file)
		switch {
		case err == nil:
			return unlock, nil
		case !errors.Is(err, errLocked):
			return nil, localProblem(file, err)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, localProblem(file, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
