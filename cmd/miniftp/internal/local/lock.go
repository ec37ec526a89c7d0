package local

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
)

var errLocked = errors.New("another program is changing it")

// lockPatience is how long Lock waits. A lock is held for one write of a small file.
const lockPatience = 30 * time.Second

// Lock keeps other processes from changing a file between the read and the write of
// this one, so that no change is lost. It waits while another process holds the lock.
func Lock(ctx context.Context, file string) (unlock func(), err error) {
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
			return nil, verb.LocalProblem(file, err)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, verb.LocalProblem(file, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
