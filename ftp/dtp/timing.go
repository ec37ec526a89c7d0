package dtp

import "time"

// The times of data connections, each with why it is so.
const (
	// DefaultTimeout is how long a data connection may take to come about: a firewall that drops
	// packets answers never, a busy host within seconds.
	DefaultTimeout = 30 * time.Second
	// DefaultStall is how long a transfer may stand still: a radio link is back by then, and a
	// client that has gone without a word does not keep its place for longer.
	DefaultStall = 60 * time.Second

	// pollTime is how long a peer that is near is waited for in a system call. Most answer within
	// a tenth of it. The runtime takes a thread in a system call for one that works, and may leave
	// other connections unattended until it returns, so it must not be long.
	pollTime = 250 * time.Microsecond

	// fetchTime is how long Fetch waits for a small download. A server that is near has sent it within
	// a fraction of that. The caller does not notice a cancel meanwhile, so it must not be long.
	fetchTime = 20 * time.Millisecond

	// farCalls is how many calls CallNow leaves to Open after one that was not answered within pollTime:
	// the peer is far, or its host was busy for a moment.
	farCalls = 16

	// A chunk of the kernel's copy that takes less than chunkTime is followed by a larger one, and
	// one that takes four times as long by a smaller one: progress is told and limits are looked at
	// between chunks.
	chunkTime = 250 * time.Millisecond
	// lastWords is how long a client that has sent a file under TLS waits for the server's end of
	// the connection. The file is there by then; only a reset could still take it away.
	lastWords = 2 * time.Second
	// idlePort is how long a port stands open without a lease: clients that move many small files
	// are back within a second. It is looked at as often, so it may take twice as long.
	idlePort = time.Minute
)

// past is a deadline that ends whatever waits.
var past = time.Unix(1, 0)
