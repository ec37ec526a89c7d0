package client

import (
	"time"

	"miniftp/ftp/pi"
)

// The fixed waits of a transfer. Most are a fraction of pi.ShortWait, the time that the server has
// to reply to a command that ends something, so that a cancelled transfer ends within that time.
const (
	// shortWait is how long to wait for better evidence than there is: a 150 after a 200, the
	// end of a download that the server gave up, or a final reply after the data connection failed.
	shortWait = pi.ShortWait
	// endWait is how long the data connection may take to end after the final reply, once all
	// bytes have arrived. It is also the interval at which that is checked.
	endWait = shortWait / 4
	// smallWait is how long a small file may wait for the server to say that it begins. A nearby
	// server replies sooner. After it a goroutine moves the bytes, because some servers send no 150.
	smallWait = 20 * time.Millisecond
	// leaveWait is how long a Read of a source may take to return after a cancel. Then its
	// goroutine is left behind: a cancel must not wait for input from a terminal.
	leaveWait = shortWait / 4
	// noopWait is how long the replies to NOOPs may take after the transfer has ended. Servers
	// that answer them do so all at once.
	noopWait = shortWait / 4
	// abortWait is how long a chain waits for the files under way when one caller cancels. It is
	// below two seconds, which is as long as a user waits after Ctrl-C.
	abortWait = shortWait * 3 / 4
	// bareWait is how long the first byte of a retrieve may take after a 226 that had no 150
	// before it. The data connection was negotiated before the server sent the 226, so any bytes are at
	// most a few round trips behind, including a TLS handshake.
	bareWait = shortWait
	// offerLasts is how long a negotiated data connection may wait for its transfer. Servers
	// stop listening after a while; the shortest known time-out is 15 s.
	offerLasts = 10 * time.Second
)
