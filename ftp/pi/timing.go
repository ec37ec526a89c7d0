package pi

import "time"

// The times of control connections that Config can't set, and the defaults of those that it can.
const (
	// DefaultTimeout is the Timeout of a zero Config: long enough for a server that looks up host names, short
	// enough for a person at a terminal.
	DefaultTimeout = 30 * time.Second
	// DefaultWorkTimeout is the WorkTimeout of a zero Config: to hash a large file, or to rename it in an object
	// store, takes minutes.
	DefaultWorkTimeout = 3 * time.Minute
	// ShortWait is how long a reply may take that ends something: to QUIT, to ABOR, or to a command whose context
	// has ended. It is a few round trips of a slow line.
	ShortWait = 2 * time.Second
	// abortWait is the part of it for ABOR: a person who has pressed Ctrl-C does not want to wait two seconds.
	abortWait = ShortWait * 3 / 4
	// quitWait is the part of it for QUIT, on whose reply nothing depends.
	quitWait = ShortWait / 4
)
