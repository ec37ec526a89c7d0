package serve

import (
	"os"
)

// hangups: there is no SIGHUP on Windows.
func hangups() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
