package calm

import (
	"runtime"
	"strconv"
	"testing"
	"time"
)

// brisk calls Wait once per interval of a clock of its own, so the test does not depend on the machine's speed.
func brisk(start time.Time, n int, interval time.Duration) {
	for i := range n {
		Wait(start.Add(time.Duration(i) * interval))
	}
}

// periodStart returns a time at which a period begins that no other test uses.
func periodStart(t *testing.T) time.Time {
	t.Helper()
	return time.Unix(0, time.Now().UnixNano()/int64(period)*int64(period)+int64(period)*int64(len(t.Name())*1000))
}

// begin begins a period at start, when the program had used that much processor time.
func begin(start time.Time, processor time.Duration) {
	number.Store(start.UnixNano() / int64(period))
	since.Store(start.UnixNano())
	used.Store(int64(processor))
	waits.Store(0)
}

func enable(t *testing.T) {
	t.Helper()
	Enable()
	t.Cleanup(func() {
		enabled.Store(false)
		awaitEnd(t)
	})
}

// awaitEnd waits until the goroutine has ended.
func awaitEnd(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); keeping.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the goroutine does not end")
		}
	}
}

func TestWait(t *testing.T) {
	n := runtime.GOMAXPROCS(0)
	t.Setenv("GOMAXPROCS", strconv.Itoa(n)) // which -cpu sets only in the runtime
	enable(t)
	for end := time.Now().Add(30 * time.Second); runtime.GOMAXPROCS(0) == n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the runtime has got no processor")
		}
		waitOften(t)
	}
	awaitEnd(t)
	if got := runtime.GOMAXPROCS(0); got != n {
		t.Errorf("after the waits the runtime has %d processors, want %d as before", got, n)
	}
}

// TestWaitClient: a client has one processor at first, and again while it waits often.
func TestWaitClient(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	t.Setenv("GOMAXPROCS", "4")
	enable(t)
	t.Cleanup(func() {
		awaitEnd(t)
		client.Store(false)
		runtime.GOMAXPROCS(before)
	})
	for _, start := range []func(){func() { Client(true) }, func() { waitOften(t) }} {
		start()
		for end := time.Now().Add(30 * time.Second); runtime.GOMAXPROCS(0) != 1; {
			if !keeping.Load() {
				start() // it was over before this goroutine looked
			}
			if time.Now().After(end) {
				t.Fatal("it has more than one processor")
			}
		}
		awaitEnd(t)
		if n := runtime.GOMAXPROCS(0); n != 4 {
			t.Errorf("after the waits it has %d processors", n)
		}
	}
	Client(false)
	for end := time.Now().Add(30 * time.Second); runtime.GOMAXPROCS(0) <= 4; waitOften(t) {
		if time.Now().After(end) {
			t.Fatal("it still counts as a client")
		}
	}
}

// TestNoClient: a client that no longer is one gets its processors back, although it waits often.
func TestNoClient(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	t.Setenv("GOMAXPROCS", "4")
	client.Store(true)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	n := 0
	tooBusy := count(true, func() {
		waits.Store(many)
		if n++; n > 2 {
			client.Store(false)
		}
	})
	if tooBusy || n != 3 {
		t.Errorf("it ended after %d periods, busy: %v", n, tooBusy)
	}
}

// waitOften lets many waits follow each other quickly.
func waitOften(t *testing.T) {
	t.Helper()
	start := periodStart(t)
	begin(start, 1<<62) // this program counts as idle, whatever it does
	brisk(start, many, period/many)
}

func TestWaitRarely(t *testing.T) {
	enable(t)
	brisk(periodStart(t), 10*many, 2*period/many)
	if keeping.Load() {
		t.Error("waits that are not brisk started the goroutine")
	}
}

func TestWaitBusy(t *testing.T) {
	enable(t)
	start := periodStart(t)
	begin(start, processorTime()-period) // a processor was used for the whole period
	brisk(start, many, period/many)
	if keeping.Load() {
		t.Error("a program that is busy started the goroutine")
	}
}

func TestWaitDisabled(t *testing.T) {
	brisk(periodStart(t), 10*many, time.Microsecond)
	if keeping.Load() {
		t.Error("the goroutine started although nobody called Enable")
	}
}

func BenchmarkWait(b *testing.B) {
	for b.Loop() {
		Wait(time.Time{})
	}
}
