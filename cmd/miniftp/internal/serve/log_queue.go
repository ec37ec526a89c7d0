package serve

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// logQueue writes log lines in the background, so that a destination that blocks, such as a full pipe or
// a terminal after Ctrl-S, does not block the server. It holds a bounded number of bytes; lines that do
// not fit are dropped and counted.
type logQueue struct {
	onDropped func(lines int) // is called after writes if lines were dropped; may be nil

	mu      sync.Mutex
	more    *sync.Cond
	waiting []queued
	bytes   int
	dropped int
	closed  bool
	done    chan struct{}
}

// queued holds bytes to be written to a writer.
type queued struct {
	to io.Writer
	b  []byte
}

const (
	logQueueBytes = 4 << 20
	logQueueWait  = time.Second // how long close waits for the last lines
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
		q.dropped += max(bytes.Count(b, []byte{'\n'}), 1) // a drawing has several lines
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
			_, _ = one.to.Write(one.b) // an error of the log can't be logged
			q.mu.Lock()
			q.bytes -= len(one.b)
			q.mu.Unlock()
		}
		q.reportDropped()
	}
}

// reportDropped calls onDropped if lines were dropped.
func (q *logQueue) reportDropped() {
	q.mu.Lock()
	n := q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if n > 0 && q.onDropped != nil {
		q.onDropped(n)
	}
}

// close ends the queue. It waits at most logQueueWait for the lines that are left to be written.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.more.Signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(logQueueWait): // the destination blocks
	}
}
