package calm

import (
	"time"

	"golang.org/x/sys/unix"
)

// supported says whether Enable has an effect. The gain was measured on Linux only.
const supported = true

// sleep sleeps in a system call. time.Sleep would leave the processor to other goroutines.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal may end it early
}

// processorTime returns the processor time that the process has used.
func processorTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
