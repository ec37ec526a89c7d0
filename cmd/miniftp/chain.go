package main

import (
	"sync/atomic"

	"miniftp/ftp/client"
)

// many is what a server is asked for when there are many small files: to have them in
// block mode, a chain of commands over one connection. Without it they go one by one,
// over as many connections as --parallel allows.
type many struct {
	seen  int  // small files that came so far
	drawn bool // --explain: a ladder of many at once is none to learn from
	chain atomic.Pointer[client.Chain]
}

// manyFiles is with which small file the question, a round trip, begins to pay.
const manyFiles = 8

// expect counts a file that is about to be handed to the crew. It is for one goroutine.
func (k *link) expect(size int64, work *crew) {
	if k.many.drawn || size < 0 || size > client.ChainMost {
		return
	}
	if k.many.seen++; k.many.seen != manyFiles {
		return
	}
	if ch := k.pool.Chain(k.ctx); ch != nil {
		k.many.chain.Store(ch)
		work.widen(client.ChainWindow)
	}
}

// chain is nil, which does no harm, before there are many small files.
func (k *link) chain() *client.Chain { return k.many.chain.Load() }
