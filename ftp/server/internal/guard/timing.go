package guard

import "time"

const (
	// One failed login is forgotten every forgivenEvery (RFC 2577 §5). A login is not delayed by more than
	// maxDelay, unless Policy.Delay is longer, because it occupies a connection meanwhile.
	forgivenEvery = time.Minute
	maxDelay      = 30 * time.Second
	// tallyDecay is how often the counts of a Queue are halved.
	tallyDecay = 30 * time.Second
)
