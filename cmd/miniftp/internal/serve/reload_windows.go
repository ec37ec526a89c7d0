package serve

import (
	"os"
)

// hangups returns nil, because there is no SIGHUP on Windows.
func hangups() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
