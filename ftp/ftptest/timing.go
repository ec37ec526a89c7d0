package ftptest

import "time"

const (
	// stepTimeout bounds one step: a dial, a handshake, a line of a recording, an event that
	// is awaited. On loopback they take less than a millisecond; a test that waits for
	// longer than this hangs.
	stepTimeout = 10 * time.Second

	// flushTimeout bounds the wait for the other end to have what was written, before a reset
	// destroys it. Only a receiver that does not read makes it last so long.
	flushTimeout = 5 * time.Second

	// beforeReset is how long a receiver has to find out that it is connected: a connect that
	// meets a reset fails, and nobody reads the bytes that were there.
	beforeReset = 10 * time.Millisecond

	// writesPerSecond is how many times a second Slow writes: often enough for a rate to look even.
	writesPerSecond = 50
)
