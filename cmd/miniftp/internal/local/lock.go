package local

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
)

var errLocked = errors.New("another program is changing the file")

// lockPatience is how long Lock waits. A lock is held only while a small file is written.
const lockPatience = 30 * time.Second

// Lock locks a file against other processes from before it is read until it is replaced, so that no
// change is lost. If another process holds the lock, it waits.
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
