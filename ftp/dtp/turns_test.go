package dtp

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/ftp"
)

// At most the given number of goroutines have a turn at once, and each of them gets one.
func TestTurns(t *testing.T) {
	const most, all = 3, 50
	turns := newTurns(most)
	var now, highest atomic.Int32
	var wg sync.WaitGroup
	for range all {
		wg.Go(func() {
			for range 200 {
				turns.take()
				n := now.Add(1)
				for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
				}
				now.Add(-1)
				turns.give()
			}
		})
	}
	within(t, func() struct{} { wg.Wait(); return struct{}{} })
	if h := highest.Load(); h > most {
		t.Errorf("%d had a turn at once, want %d at most", h, most)
	}
	if n := turns.taken.Load(); n != 0 || len(turns.next) != 0 {
		t.Errorf("%d turns are still taken, and %d are handed to no goroutine", n, len(turns.next))
	}
}

// A transfer has no turn while it waits for a peer that reads nothing.
func TestTurnsAreNotHeldByStalledPeers(t *testing.T) {
	data := random(8 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	stalled := make([]<-chan Result, 0, sending.most+1)
	for range sending.most + 1 {
		ours, _ := pair(t)
		stalled = append(stalled, run(ctx, ours, Job{Source: tempFile(t, data), Type: ftp.Image}))
	}
	ours, theirs := pair(t)
	done := run(context.Background(), ours, Job{Source: tempFile(t, data), Type: ftp.Image})
	wantBytes(t, theirs, data)
	check(t, (<-done).Err)
	cancel()
	for _, s := range stalled {
		<-s
	}
}

// A file whose size the system reports as 0 is sent completely, with or without sendfile.
func TestSendsProcFiles(t *testing.T) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	ours, theirs := pair(t)
	done := run(context.Background(), ours, Job{Source: f, Type: ftp.Image})
	buf := make([]byte, 5)
	_, err = theirs.Read(buf)
	check(t, err)
	if string(buf) != "Name:" {
		t.Errorf("received %q", buf)
	}
	check(t, (<-done).Err)
}

// TestChunksAreFair: a copy moves less at a time while there are many.
func TestChunksAreFair(t *testing.T) {
	data := random(8 << 20)
	largest := func() (most int64) {
		last := int64(0)
		ours, theirs := pair(t)
		done := run(context.Background(), ours, Job{Source: tempFile(t, data), Type: ftp.Image, Progress: func(n int64) {
			most, last = max(most, n-last), n
		}})
		wantBytes(t, theirs, data)
		check(t, (<-done).Err)
		return most
	}
	if most := largest(); most <= fairChunk {
		t.Errorf("alone it moves %d bytes at a time at most", most)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stalled := make([]<-chan Result, 0, maxChunk/fairChunk)
	for range maxChunk / fairChunk {
		ours, _ := pair(t)
		stalled = append(stalled, run(ctx, ours, Job{Source: tempFile(t, data), Type: ftp.Image}))
	}
	for end := time.Now().Add(patience); copying.Load() < maxChunk/fairChunk; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the other copies do not begin")
		}
	}
	if most := largest(); most > fairChunk {
		t.Errorf("among many it moves %d bytes at a time", most)
	}
	cancel()
	for _, s := range stalled {
		<-s
	}
}

// TestChunksGrowOnlyWhenWhole: a copy that moved less than a chunk, because there were many copies, does not move larger ones
// when they have ended.
func TestChunksGrowOnlyWhenWhole(t *testing.T) {
	const many = maxChunk / fairChunk
	copying.Add(many)
	others := many
	last, first := int64(0), int64(0)
	ours, theirs := pair(t)
	done := run(context.Background(), ours, Job{Source: tempFile(t, random(16<<20)), Type: ftp.Image, Progress: func(n int64) {
		step := n - last
		if last = n; n >= 4<<20 && others > 0 {
			copying.Add(-many)
			others = 0
		} else if others == 0 && first == 0 {
			first = step
		}
	}})
	within(t, func() error { _, err := io.Copy(io.Discard, theirs); return err })
	check(t, (<-done).Err)
	if first > 2*fairChunk {
		t.Errorf("the first chunk after the others has %d bytes", first)
	}
}
