package ftptest

import "time"

const (
	// stepTimeout is the limit for one step: a dial, a handshake, a line of a script, or an
	// expected event. On loopback each takes less than a millisecond, so a longer wait means
	// that the test hangs.
	stepTimeout = 10 * time.Second

	// flushTimeout is the limit for the time until the other end has received everything, before
	// a reset that would discard it. Only a receiver that does not read makes it last so long.
	flushTimeout = 5 * time.Second

	// beforeReset is the time a receiver has to notice that it is connected. If the reset arrives
	// earlier, its connect fails, and the bytes before the reset are never read.
	beforeReset = 10 * time.Millisecond

	// writesPerSecond is how often Slow writes: often enough for a steady rate.
	writesPerSecond = 50
)
