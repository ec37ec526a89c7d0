package connect

import (
	"sync/atomic"

	"miniftp/ftp/client"
)

// Chaining is what a server is asked for when there are many small files: to have them in
// block mode, a chain of commands over one connection. Without it they go one by one,
// over as many connections as --parallel allows.
type Chaining struct {
	seen  int  // small files that came so far
	Drawn bool // --explain: a ladder of many at once is none to learn from
	chain atomic.Pointer[client.Chain]
}

// manyFiles is with which small file the question, a round trip, begins to pay.
const manyFiles = 8

// Expect counts a file that is about to be handed to the crew. It is for one goroutine.
func (k *Link) Expect(size int64, work *Crew) {
	if k.Chaining.Drawn || size < 0 || size > client.ChainMost {
		return
	}
	if k.Chaining.seen++; k.Chaining.seen != manyFiles {
		return
	}
	if ch := k.Pool.Chain(k.Ctx); ch != nil {
		k.Chaining.chain.Store(ch)
		work.widen(client.ChainWindow)
	}
}

// Chain is nil, which does no harm, before there are many small files.
func (k *Link) Chain() *client.Chain { return k.Chaining.chain.Load() }
