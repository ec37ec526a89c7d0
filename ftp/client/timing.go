package client

import (
	"time"

	"miniftp/ftp/pi"
)

// The waits of a transfer that nobody can set. Most are a part of the time that the server has
// to answer what ends something, so that a cancelled transfer ends within that.
const (
	// shortWait is how long a better word than what was said already is waited for: a 150
	// behind a 200, the end of a file that the server gave up, a final reply when the data
	// connection broke.
	shortWait = pi.ShortWait
	// endWait is how long the end of a data connection may take behind a final reply when all
	// bytes are here, and how often is looked whether they are: its FIN is not far behind.
	endWait = shortWait / 4
	// smallWait is how long a small file may wait for the server to say that it begins. A server that
	// is near says so sooner. Then a goroutine moves the bytes, as there are servers that never do.
	smallWait = 20 * time.Millisecond
	// leaveWait is how long a Read of a source may take to notice that nobody wants it any
	// more. Then its goroutine is left behind: who cancels does not wait for a terminal.
	leaveWait = shortWait / 4
	// noopWait is how long the replies to the NOOPs of a transfer may take behind its end:
	// servers that answer them at all do so in one go.
	noopWait = shortWait / 4
	// abortWait is how long a chain waits for what is under way when somebody leaves it: who
	// pressed Ctrl-C does not wait for two seconds.
	abortWait = shortWait * 3 / 4
	// bareWait is how long the first byte of a retrieve may take after a 226 without a 150
	// before it. The data connection was asked for before the 226 was sent, so what comes at
	// all is a few round trips behind it, a TLS handshake included.
	bareWait = shortWait
	// offerLasts is how long a data connection that was agreed on may wait for its transfer:
	// servers do not listen for ever, and the shortest time-out among them is 15 s.
	offerLasts = 10 * time.Second
)
