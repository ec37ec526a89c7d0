package pi

import "time"

// The waits of a control connection. What the user sets is in Config; these are those
// for which there is nothing to set.
const (
	// DefaultTimeout is the Timeout of a zero Config: long enough for a lookup of names at
	// the server, short enough for somebody who waits at a terminal.
	DefaultTimeout = 30 * time.Second
	// DefaultWorkTimeout is the WorkTimeout of a zero Config: a large file that is hashed, or
	// copied by a rename in a store of objects, takes minutes.
	DefaultWorkTimeout = 3 * time.Minute
	// ShortWait is how long the server may take to answer what ends something: QUIT, ABOR,
	// or the command that a cancel cut short. It is a few round trips of a slow line.
	ShortWait = 2 * time.Second
	// abortWait is the part of it that ABOR may take: who pressed Ctrl-C does not wait for
	// two seconds.
	abortWait = ShortWait * 3 / 4
	// quitWait is how long the goodbye may take: nothing depends on it.
	quitWait = ShortWait / 4
)
