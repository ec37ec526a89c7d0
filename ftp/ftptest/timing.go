package ftptest

import "time"

const (
	// stepTimeout bounds one step: a dial, a handshake, a line of a recording, an event that
	// is awaited. On loopback they take less than a millisecond; a test that waits for
	// longer than this hangs.
	stepTimeout = 10 * time.Second

	// flushTimeout bounds the wait for the other end to have what was written before a reset
	// destroys it. A receiver that does not read lets it pass; where the system can't tell
	// what has arrived, each reset waits for so long.
	flushTimeout = 200 * time.Millisecond

	// beforeReset is how long a receiver has to find out that it is connected: a connect that
	// meets a reset fails, and nobody reads the bytes that were there.
	beforeReset = 10 * time.Millisecond

	// writesPerSecond is how many times a second Slow writes: often enough for a rate to look even.
	writesPerSecond = 50
)
