package client

import (
	"miniftp/ftp/pi"
)

// The waits of a transfer that nobody can set. They are a part of the time that the server
// has to answer what ends something, so that a cancelled transfer ends within that.
const (
	shortWait = pi.ShortWait
	// abortWait is how long a chain waits for what is under way when somebody leaves it: who
	// pressed Ctrl-C does not wait for two seconds.
	abortWait = shortWait * 3 / 4
	// bareWait is how long the first byte of a retrieve may take after a 226 without a 150
	// before it. The data connection was asked for before the 226 was sent, so what comes at
	// all is a few round trips behind it, a TLS handshake included.
	bareWait = shortWait
)
