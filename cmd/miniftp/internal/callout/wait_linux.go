package callout

import (
	"errors"

	"golang.org/x/sys/unix"
)

// awaitEnd waits until the process has ended, and leaves its status for Wait. It reports whether it could wait.
func awaitEnd(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
