package s3fs

import (
	"context"
	"io/fs"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	firstBuffer = 64 << 10  // what an upload begins with
	freeBuffer  = 256 << 10 // what an upload may take without a slot of the pool
)

// pool limits the memory of all uploads together. It counts bytes and does not hold them.
type pool struct {
	slots *semaphore.Weighted
	spare sync.Pool // of *[]byte
}

func newPool(size int64) *pool { return &pool{slots: semaphore.NewWeighted(size)} }

// wait waits for n bytes. An upload must not hold others meanwhile, or all of them could wait for each other.
func (p *pool) wait(ctx, life context.Context, n int64) error {
	if p.slots.TryAcquire(n) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	err := p.slots.Acquire(ctx, n)
	if err != nil && life.Err() != nil {
		err = fs.ErrClosed
	}
	return err
}

// try takes n bytes if they are free at once.
func (p *pool) try(n int64) bool { return p.slots.TryAcquire(n) }

// give returns n bytes.
func (p *pool) give(n int64) {
	if n > 0 {
		p.slots.Release(n)
	}
}

// buffer holds the bytes of the next part of an upload. It begins small, so small uploads cost little.
type buffer struct {
	b    []byte
	held int64 // bytes of the pool
}

// room makes the buffer able to take more bytes, up to limit in total.
func (b *buffer) room(ctx context.Context, f *Fs, more int, limit int64) error {
	need := len(b.b) + more
	if need <= cap(b.b) {
		return nil
	}
	if need > freeBuffer && b.held == 0 {
		if err := f.pool.wait(ctx, f.life, limit); err != nil {
			return err
		}
		b.held = limit
	}
	var grown []byte
	switch {
	case need <= firstBuffer:
		grown = make([]byte, 0, firstBuffer)
	case need <= freeBuffer:
		grown = make([]byte, 0, freeBuffer)
	default:
		grown = f.pool.memory(max(b.held, int64(need)))
	}
	b.b = append(grown, b.b...)
	return nil
}

// next makes the buffer empty, for a part of that size. unused reports that nothing reads the memory any more.
func (b *buffer) next(f *Fs, size int64, unused bool) {
	if b.held != size || !unused {
		b.free(f, unused)
		return
	}
	b.b = b.b[:0]
}

// free gives everything back.
func (b *buffer) free(f *Fs, unused bool) {
	if unused && b.held > 0 && int64(cap(b.b)) == b.held {
		f.pool.recycle(b.b)
	}
	f.pool.give(b.held)
	*b = buffer{}
}

// memory returns an empty slice with that capacity.
func (p *pool) memory(size int64) []byte {
	if v, ok := p.spare.Get().(*[]byte); ok && int64(cap(*v)) == size {
		return (*v)[:0]
	}
	return make([]byte, 0, size)
}

func (p *pool) recycle(b []byte) { p.spare.Put(&b) }
