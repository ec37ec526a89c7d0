package fxp

import "time"

// The waits of a copy, besides pi.ShortWait and the Timeout of the two Clients.
const (
	// aloneWait is how long a server may take to begin after the other one has finished, and how long
	// the source may take to finish after the destination: only a FIN and a reply are missing.
	aloneWait = 5 * time.Second
	// listenerWait is how long to wait for a first reply of the server that listens before the other one
	// gets its command. Most servers send none before the data connection; one that refuses does so
	// within a round trip.
	listenerWait = 50 * time.Millisecond
)
