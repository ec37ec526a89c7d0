package dtp

import "time"

// The times of data connections, each with the reason for its value.
const (
	// DefaultTimeout is how long opening a data connection may take. A busy host answers within seconds,
	// a firewall that drops packets never.
	DefaultTimeout = 30 * time.Second
	// DefaultStall is how long a transfer may go without moving a byte. A radio link is back by then, and a
	// client that vanished does not keep its session for longer.
	DefaultStall = 60 * time.Second

	// pollTime is how long a system call waits for a peer that is near. Most answer within a tenth of
	// it. To the runtime a thread in a system call is busy, and other connections may have to wait
	// until it returns, so the time must be short.
	pollTime = 250 * time.Microsecond

	// fetchTime is how long Fetch waits for a small download. A server that is near sends it within a
	// fraction of that. The caller does not notice the end of its context meanwhile, so the time must be short.
	fetchTime = 20 * time.Millisecond

	// farCalls is how many calls CallNow leaves to Open after the peer has not answered within pollTime. Then
	// it tries again, because the peer may not be far: its host may have been busy for a moment.
	farCalls = 16

	// A chunk of the kernel's copy that takes less than chunkTime is followed by a larger one, and one that
	// takes four times as long by a smaller one. Progress is reported, and limits are checked, between
	// chunks.
	chunkTime = 250 * time.Millisecond
	// lastWords is how long a client that has sent a file under TLS waits for the server to end the
	// connection. The server has the file by then; only a reset could still destroy the last bytes.
	lastWords = 2 * time.Second
	// idlePort is how long a port stays open without a lease. A client that moves many small files needs
	// one again within a second. Ports are checked as often, so one may stay open twice as long.
	idlePort = time.Minute
	// acceptPause is the pause after a failed accept on a shared port. Usually no descriptor is free.
	acceptPause = 50 * time.Millisecond
)

// These are variables only for tests.
var (
	// portWait is how long a session waits for a port before PASV is refused. Clients wait for a reply for 15 to 30 s
	// or more, and then end the session, which is worse than a refusal.
	portWait = 10 * time.Second
	// lateCall is how long an address can't lease a shared port again after its last lease of that port has ended
	// without a connection. A connection that was on its way then has arrived by that time, even if two segments were
	// lost (TCP sends them again after 1 and 3 s). It is less than portWait, so a session can wait for its end.
	lateCall = 5 * time.Second
)

// past is a deadline that ends every wait.
var past = time.Unix(1, 0)
