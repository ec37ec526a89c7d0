//go:build !linux

package calm

import "time"

const supported = false

func sleep(d time.Duration) { time.Sleep(d) }

func processorTime() time.Duration { return 0 }
