package dtp

import (
	"runtime"
	"sync/atomic"
)

// turns bounds how many transfers the kernel sends for at once: one more than there are processors.
//
// A sendfile to a fast peer takes milliseconds. The runtime takes such a call for one that waits and
// starts another thread, so that without a bound the threads of hundreds of downloads compete, and
// a session that has a command to read waits until all of them had their time.
//
// As long as there are turns enough, taking one is a single atomic addition.
type turns struct {
	most  int32
	taken atomic.Int32  // and asked for
	next  chan struct{} // a turn for one who waits
}

// sending are the turns of this process.
var sending = newTurns(runtime.GOMAXPROCS(0) + 1)

func newTurns(n int) *turns {
	return &turns{most: int32(n), next: make(chan struct{}, 1<<20)} // empty structs take no memory
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
