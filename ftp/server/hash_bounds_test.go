package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp/dtp"
	"miniftp/ftp/server/internal/guard"
)

// slowFile is endless, and counts how many such files are read at the same time.
type slowFile struct {
	afero.File
	c *concurrency
}

type concurrency struct {
	mu        sync.Mutex
	now, most int
	read      int64
}

func (slowFile) Seek(int64, int) (int64, error) { return 0, nil }

func (f slowFile) Read(p []byte) (int, error) {
	f.c.mu.Lock()
	f.c.now++
	f.c.most = max(f.c.most, f.c.now)
	f.c.read += int64(len(p))
	f.c.mu.Unlock()
	time.Sleep(time.Millisecond)
	f.c.mu.Lock()
	f.c.now--
	f.c.mu.Unlock()
	return len(p), nil
}

// Hashes take turns: no more than the number of slots are read at once, and an account with many of them does
// not delay another one. The cost is counted in bytes read.
func TestHashesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, c := guard.NewQueue(2), &concurrency{}
		ctx, cancel := context.WithCancelCause(t.Context())
		var all sync.WaitGroup
		var many atomic.Int64
		for range 30 {
			all.Go(func() {
				w := &hashing{slots: q, keys: []any{"mallory"}, file: slowFile{c: c}}
				if err := w.run(ctx, sha256.New(), 0, 1<<40, &many); !errors.Is(err, errAborted) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		const size = 10 * hashSlice
		var one atomic.Int64
		before := many.Load()
		w := &hashing{slots: q, keys: []any{"alice"}, file: slowFile{c: c}}
		if err := w.run(ctx, sha256.New(), 0, size, &one); err != nil || one.Load() != size {
			t.Error(err)
		}
		if others := many.Load() - before; others > 3*size { // one slot is always theirs, the other one in turns
			t.Errorf("30 hashes of another account read %d bytes meanwhile, and this one %d", others, size)
		}
		cancel(errAborted)
		all.Wait()
		if c.most != 2 || q.Free() != 2 {
			t.Errorf("%d read at once, want 2; %d slots are free", c.most, q.Free())
		}
	})
}

// HashRate counts what is read for hashes, even if the rest of the time is too short for all of it.
func TestHashRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &concurrency{}
		w := &hashing{slots: guard.NewQueue(1), rate: dtp.NewRate(1 << 20), file: slowFile{c: c}}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errHashTime)
		defer cancel()
		var moved atomic.Int64
		if err := w.run(ctx, sha256.New(), 0, 1<<40, &moved); !errors.Is(err, errHashTime) {
			t.Error(err)
		}
		if c.read > 11<<20 || c.read < 9<<20 {
			t.Errorf("%d bytes were read in 10 seconds of 1 MiB", c.read)
		}
	})
}

// A file that became shorter, or can't be read, has no hash.
func TestHashOfAShorterFile(t *testing.T) {
	f, err := afero.TempFile(afero.NewMemMapFs(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(f, "hello")
	w := &hashing{slots: guard.NewQueue(1), file: f}
	var moved atomic.Int64
	if err := w.run(t.Context(), sha256.New(), 0, 6, &moved); !errors.Is(err, io.ErrUnexpectedEOF) || w.slots.Free() != 1 {
		t.Errorf("%v; %d slots free", err, w.slots.Free())
	}
}

// Work without a data connection continues only for a moment after the client has closed its side.
func TestHashWithoutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, alone := range []time.Duration{0, lastHash} {
			j := &task{afterHangUp: alone}
			j.ctx, j.cancel = context.WithCancelCause(t.Context())
			start := time.Now()
			j.inputEnded()
			select {
			case <-j.ctx.Done():
			case <-time.After(time.Hour):
			}
			if took := time.Since(start); alone > 0 && (took != alone || !errors.Is(context.Cause(j.ctx), errHungUp)) || alone == 0 && took != time.Hour {
				t.Errorf("%v: ended after %v", alone, took)
			}
			j.cancel(nil)
		}
	})
}

// More slots take effect at once, fewer when slots are released.
func TestFairQueueResize(t *testing.T) {
	q := guard.NewQueue(1)
	q.Resize(3)
	for range 3 {
		if err := q.Acquire(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	q.Resize(1)
	q.Release()
	q.Release()
	if q.Free() != 0 {
		t.Errorf("%d free", q.Free())
	}
	q.Release()
	if q.Free() != 1 {
		t.Errorf("%d free", q.Free())
	}
}
