package dtp

import (
	"runtime"
	"sync/atomic"
)

// turns limits how many transfers are in sendfile at once: to one more than there are processors.
//
// A sendfile to a fast peer takes milliseconds. The runtime assumes that such a call waits and starts
// another thread. Without a limit the threads of hundreds of downloads compete, and a session
// that has a command to read waits until all of them have run.
//
// As long as there are free turns, taking one is a single atomic addition.
type turns struct {
	most  int32
	taken atomic.Int32  // turns taken, and goroutines that wait for one
	next  chan struct{} // hands a turn to one that waits
}

// sending holds the turns of this process.
var sending = newTurns(runtime.GOMAXPROCS(0) + 1)

func newTurns(n int) *turns {
	// The channel has a buffer so that give need not wait for the goroutine that gets the turn. Empty structs
	// take no memory.
	return &turns{most: int32(n), next: make(chan struct{}, 1<<20)}
}

func (t *turns) take() {
	if t.taken.Add(1) > t.most {
		<-t.next
	}
}

func (t *turns) give() {
	if t.taken.Add(-1) >= t.most {
		t.next <- struct{}{}
	}
}
