package bench

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// relay forwards connections unchanged, with a delay. The amount of data on its way is not limited.
// The kernel completes the TCP handshake with a client at once. To make up for that, the relay dials
// the server only when the client's ACK would have arrived there, after three times the delay.
type relay struct {
	oneWay time.Duration
	done   chan struct{}
	wg     sync.WaitGroup
	calls  atomic.Int64 // the number of connections so far

	mu    sync.Mutex
	ended bool
	open  map[io.Closer]bool
}

// newRelay returns a relay that ends with the test.
func newRelay(tb testing.TB, oneWay time.Duration) *relay {
	r := &relay{oneWay: oneWay, done: make(chan struct{}), open: map[io.Closer]bool{}}
	tb.Cleanup(r.close)
	return r
}

func (r *relay) close() {
	r.mu.Lock()
	r.ended = true
	close(r.done)
	for c := range r.open {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// hold registers a connection for close. If the relay has ended, it closes c and returns false.
func (r *relay) hold(c io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		_ = c.Close()
		return false
	}
	r.open[c] = true
	return true
}

func (r *relay) drop(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
	_ = c.Close()
}

// forward listens and forwards connections to target. It returns the address of the listener.
func (r *relay) forward(tb testing.TB, listen, target string) string {
	tb.Helper()
	ln, err := net.Listen("tcp", listen)
	check(tb, err)
	if !r.hold(ln) {
		tb.Fatal("the relay has ended")
	}
	r.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.calls.Add(1)
			r.wg.Go(func() { r.carry(conn.(*net.TCPConn), target) })
		}
	})
	return ln.Addr().String()
}

// carry forwards a connection until both directions have ended.
func (r *relay) carry(caller *net.TCPConn, target string) {
	if !r.hold(caller) {
		return
	}
	defer r.drop(caller)
	up := r.read(caller)
	defer func() {
		_ = caller.Close()
		for range up { // so that the reader can end
		}
	}()
	if !r.wait(time.Now().Add(3 * r.oneWay)) {
		return
	}
	conn, err := net.Dial("tcp", target)
	if err != nil {
		_ = caller.SetLinger(0)
		return
	}
	called := conn.(*net.TCPConn)
	if !r.hold(called) {
		return
	}
	defer r.drop(called)
	down := r.read(called)
	var wg sync.WaitGroup
	wg.Go(func() { r.write(called, caller, up) })
	r.write(caller, called, down)
	wg.Wait()
}

// chunk holds bytes that were read, and the time at which to forward them.
type chunk struct {
	due time.Time
	b   []byte
	end error
}

const chunkSize = 32 << 10

var chunks = sync.Pool{New: func() any { b := make([]byte, chunkSize); return &b }}

// read reads until the end, for which it sends a last chunk.
func (r *relay) read(from *net.TCPConn) <-chan chunk {
	way := make(chan chunk, 1024)
	r.wg.Go(func() {
		defer close(way)
		for {
			b := *chunks.Get().(*[]byte)
			n, err := from.Read(b[:chunkSize])
			due := time.Now().Add(r.oneWay)
			if n > 0 {
				way <- chunk{due: due, b: b[:n]}
			}
			if err != nil {
				way <- chunk{due: due, end: err}
				return
			}
		}
	})
	return way
}

// write forwards the chunks. If a connection ends with an error, both connections are closed.
func (r *relay) write(to, from *net.TCPConn, way <-chan chunk) {
	for c := range way {
		err := c.end
		if !r.wait(c.due) {
			err = net.ErrClosed
		} else if err == nil {
			_, err = to.Write(c.b)
			b := c.b[:chunkSize]
			chunks.Put(&b)
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite()
		case err != nil:
			_ = to.SetLinger(0)
			_ = from.SetLinger(0)
			_ = to.Close()
			_ = from.Close()
			for range way { // so that the reader can end
			}
		}
	}
}

// wait waits until a time, or until the relay ends. It returns false if the relay has ended.
func (r *relay) wait(due time.Time) bool {
	left := time.Until(due)
	if left <= 0 {
		return true
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.done:
		return false
	}
}
