package guard

import "time"

const (
	// One failed login is forgotten every forgivenEvery (RFC 2577 §5), and a login is delayed by no
	// more than maxDelay, unless Policy.Delay is longer: it holds a connection meanwhile.
	forgivenEvery = time.Minute
	maxDelay      = 30 * time.Second
	// tallyDecay is the time after which a slot that was had counts half.
	tallyDecay = 30 * time.Second
)
