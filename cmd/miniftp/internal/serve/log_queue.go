package serve

import (
	"io"
	"sync"
	"time"
)

// logQueue writes what it is given in the background: a reader that stops, as of a full
// pipe or a terminal after Ctrl-S, stops nobody. It holds a bounded number of bytes; what
// does not fit is dropped and counted.
type logQueue struct {
	onDropped func(lines int) // is told when there is room again; may be nil

	mu      sync.Mutex
	more    *sync.Cond
	waiting []queued
	bytes   int
	dropped int
	closed  bool
	done    chan struct{}
}

// queued is some bytes for a writer.
type queued struct {
	to io.Writer
	b  []byte
}

const (
	logQueueBytes = 4 << 20
	logQueueWait  = time.Second // for the last lines when the server ends
)

func newLogQueue() *logQueue {
	q := &logQueue{done: make(chan struct{})}
	q.more = sync.NewCond(&q.mu)
	go q.run()
	return q
}

// to returns a writer that queues for w. Each Write is kept or dropped as a whole.
func (q *logQueue) to(w io.Writer) io.Writer { return queueWriter{q, w} }

type queueWriter struct {
	q  *logQueue
	to io.Writer
}

func (w queueWriter) Write(b []byte) (int, error) {
	q := w.q
	q.mu.Lock()
	defer q.mu.Unlock()
	switch n := len(q.waiting) - 1; {
	case q.closed || q.bytes+len(b) > logQueueBytes:
		q.dropped++
		return len(b), nil
	case n >= 0 && q.waiting[n].to == w.to: // one system call for many lines
		q.waiting[n].b = append(q.waiting[n].b, b...)
	default:
		q.waiting = append(q.waiting, queued{w.to, append([]byte(nil), b...)})
	}
	q.bytes += len(b)
	q.more.Signal()
	return len(b), nil
}

func (q *logQueue) run() {
	defer close(q.done)
	for {
		q.mu.Lock()
		for len(q.waiting) == 0 && !q.closed {
			q.more.Wait()
		}
		batch := q.waiting
		q.waiting = nil
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, one := range batch {
			_, _ = one.to.Write(one.b) // there is nobody to tell
			q.mu.Lock()
			q.bytes -= len(one.b)
			q.mu.Unlock()
		}
		q.tellDropped()
	}
}

// tellDropped tells how many lines were dropped while nothing could be written.
func (q *logQueue) tellDropped() {
	q.mu.Lock()
	n := q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if n > 0 && q.onDropped != nil {
		q.onDropped(n)
	}
}

// close writes what is left, for a moment, and ends the queue.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.more.Signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(logQueueWait): // nobody reads it
	}
}
