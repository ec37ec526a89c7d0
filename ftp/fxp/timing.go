package fxp

import "time"

// The waits of a copy, beside pi.ShortWait and the Timeout of the two Clients.
const (
	// aloneWait is how long a server may take to begin after the other one is done, and
	// the source to end behind the destination: it is only a FIN and a reply away.
	aloneWait = 5 * time.Second
	// listenerWait is how long the first word of a server that listens is waited for before
	// the other one gets its command. Most have none before they are called; one that
	// refuses says so within a round trip.
	listenerWait = 50 * time.Millisecond
)
