// Package calm lets a program wait often and briefly for its peers without the cost that Go's monitor thread adds.
//
// The Go runtime has a thread that watches the others (sysmon). It sleeps while no goroutine runs. The next system call
// wakes it, and then it looks every 20 µs. A program that moves small files waits for its peer several times per
// file, so it pays for that thread several times per file: up to a third of its processor time. The thread does not
// sleep like that as long as one of the runtime's processors is in use. It then looks ever more rarely, down to
// every 10 ms.
//
// So while waits follow each other quickly, one goroutine occupies a processor of the runtime by sleeping in a system
// call. The runtime gets one processor more for it, so the program loses none.
//
// A client with few connections has another cost, which is larger: a goroutine reads the replies and another one waits for
// them, and each time the first one hands over a reply, the runtime wakes a thread for a second processor, which finds nothing
// to do. So while the waits of a client follow each other quickly, it has one processor (Client).
package calm

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// period is how often the waits are counted. It is short, because the extra processor is only useful while
	// many waits follow each other.
	period = 2 * nap
	// nap is how long the goroutine sleeps at a time. After 10 ms the runtime would take its processor away.
	nap = 8 * time.Millisecond
	// many waits in a period start the goroutine: 2,000 a second. Below that rate the monitor thread takes a few
	// percent of one processor at most, and a session that logs in and lists a directory should not start anything.
	many = 32
	// few waits in a period end it.
	few = many / 2
	// pause is how long a program that has become busy is not looked at again.
	pause = time.Second
)

var (
	enabled atomic.Bool
	client  atomic.Bool
	keeping atomic.Bool
	waits   atomic.Int64 // in this period

	// These belong to the period, while nobody keeps.
	number atomic.Int64 // counts periods
	since  atomic.Int64 // when its first wait began, in nanoseconds
	used   atomic.Int64 // processor time used until then
)

// Enable lets Wait have an effect, if the platform has one. It is for programs: a library must not change how many
// processors the runtime of its program has.
func Enable() { enabled.Store(supported) }

// Client says whether the program is a client with few connections, and is about to call a server. One processor can serve
// these, so it has one from now on while its waits follow each other quickly. If it uses most of that processor, as with
// encryption or checksums, it gets the others back.
func Client(yes bool) {
	if client.Store(yes); yes && enabled.Load() && keeping.CompareAndSwap(false, true) {
		go keep() // ends after one period if there are few waits
	}
}

// Wait notes that the caller is going to wait for its peer. Any goroutine may call it. It costs a few nanoseconds.
func Wait(now time.Time) {
	if !enabled.Load() {
		return
	}
	if keeping.Load() {
		waits.Add(1)
		return
	}
	t := now.UnixNano()
	if p := t / int64(period); number.Swap(p) != p {
		since.Store(t)
		used.Store(int64(processorTime()))
		waits.Store(0)
	}
	if waits.Add(1) != many || int64(processorTime())-used.Load() > busy(t-since.Load()) {
		return
	}
	if keeping.CompareAndSwap(false, true) {
		go keep()
	}
}

// busy returns how much processor time a busy program uses in d. A program that uses nine tenths of a processor is
// rarely idle as a whole, so the monitor thread rarely sleeps. If the machine has no processor left, an extra one
// would only add switches between threads.
func busy(d int64) int64 { return d * 9 / 10 }

// keep changes the number of processors of the runtime until the waits are few or the program is busy.
func keep() {
	n := runtime.GOMAXPROCS(0)
	var tooBusy bool
	if client.Load() {
		runtime.GOMAXPROCS(1)
		tooBusy = count(true, func() { time.Sleep(period) })
	} else {
		runtime.GOMAXPROCS(n + extra(n))
		tooBusy = count(false, occupy)
	}
	restore(n)
	asClient := client.Load()
	for end := time.Now().Add(pause); tooBusy && client.Load() == asClient && time.Now().Before(end); {
		time.Sleep(period)
	}
	keeping.Store(false)
}

// occupy occupies a processor of the runtime for a period.
func occupy() {
	for range period / nap {
		sleep(nap)
		runtime.Gosched() // for the runtime, a goroutine that never yields has run for too long
	}
}

// count runs onePeriod again and again until there are few waits in one, the program is busy, or Client says something else.
func count(asClient bool, onePeriod func()) (tooBusy bool) {
	for {
		waits.Store(0)
		start := processorTime()
		onePeriod()
		switch {
		case waits.Load() < few, client.Load() != asClient:
			return false
		case processorTime()-start > time.Duration(busy(int64(period))):
			return true
		}
	}
}

// extra returns how many processors the runtime gets in addition to n. If none is idle, it takes a processor away from a
// goroutine in a system call after 20 µs. So one processor is not enough to occupy.
func extra(n int) int {
	if n == 1 {
		return 2
	}
	return 1
}

// restore sets the number of processors that the runtime had. Without GOMAXPROCS the runtime chooses it, and adapts it to
// the limits of the process.
func restore(n int) {
	if os.Getenv("GOMAXPROCS") != "" {
		runtime.GOMAXPROCS(n)
		return
	}
	runtime.SetDefaultGOMAXPROCS()
}
