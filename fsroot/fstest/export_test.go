package fstest

import "time"

// SetPatience changes how long one check may take, and returns a function that changes it back.
func SetPatience(d time.Duration) (restore func()) {
	was := patience
	patience = d
	return func() { patience = was }
}
