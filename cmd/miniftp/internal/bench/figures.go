package bench

import (
	"math/bits"
	"sync"
	"time"
)

// figures are what a row has measured.
type figures struct {
	row     loadRow
	perGiB  bool // processor time is told by the GiB, not by the operation
	leftOut string
	problem string

	n       int64 // operations
	bytes   int64
	entries int // of one listing
	atOnce  int // sessions of many
	took    time.Duration
	server  *time.Duration // processor time; nil: unknown
	own     time.Duration
	memory  memory
	pssEach *float64 // KiB a session

	mu       sync.Mutex // of what follows, and of the counts where several goroutines work
	times    histogram  // of operations
	waits    histogram  // for the 150
	firsts   histogram  // until the first byte
	wholes   histogram  // of transfers
	failures int64
	first    error // of them
}

// done counts an operation.
func (f *figures) done(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.times.add(took)
}

// fetched counts a transfer.
func (f *figures) fetched(n int64, wait, first, whole time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes += n
	f.waits.add(wait)
	f.wholes.add(whole)
	if n > 0 {
		f.firsts.add(first)
	}
}

// timed adds the time of an operation that is counted elsewhere.
func (f *figures) timed(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times.add(took)
}

func (f *figures) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures++
	if f.first == nil {
		f.first = err
	}
}

// rate is how much was done in a second, in the row's unit.
func (f *figures) rate() float64 {
	s := f.took.Seconds()
	switch {
	case s <= 0:
		return 0
	case f.row.unit == "MB/s":
		return float64(f.bytes) / s / 1e6
	case f.entries > 0:
		return float64(f.n) * float64(f.entries) / s
	}
	return float64(f.n) / s
}

// serverEach is the server's processor time of an operation, or of an entry.
func (f *figures) serverEach() time.Duration {
	n := f.n * int64(max(f.entries, 1))
	if f.server == nil || f.perGiB || n == 0 {
		return 0
	}
	return time.Duration(float64(*f.server) / float64(n))
}

// serverPerGiB is the server's processor time in seconds for each GiB.
func (f *figures) serverPerGiB() float64 {
	if f.server == nil || !f.perGiB || f.bytes == 0 {
		return 0
	}
	return f.server.Seconds() * (1 << 30) / float64(f.bytes)
}

// meterstick measures a load from where it begins.
type meterstick struct {
	b      *benchmark
	f      *figures
	start  time.Time
	end    time.Time
	server time.Duration
	own    time.Duration
	before memory
}

func (b *benchmark) measuring(f *figures) *meterstick {
	m := &meterstick{b: b, f: f}
	if b.target != nil {
		m.before, m.server = b.target.memory(), b.target.cpu()
	}
	m.own = ownCPU()
	m.start = time.Now()
	m.end = m.start.Add(b.time)
	return m
}

// goesOn reports whether another operation is to begin behind n of them: one always is.
func (m *meterstick) goesOn(n int64) bool {
	if n == 0 {
		return true
	}
	return (m.b.count == 0 || n < m.b.count) && m.b.ctx.Err() == nil && time.Now().Before(m.end)
}

// stop adds what was measured to the figures.
func (m *meterstick) stop() {
	m.f.took += time.Since(m.start)
	m.f.own += ownCPU() - m.own
	if t := m.b.target; t != nil {
		used := t.cpu() - m.server
		if m.f.server != nil {
			used += *m.f.server
		}
		m.f.server, m.f.memory = &used, t.memory()
	}
}

// histogram counts times in buckets of about 1.5 %, so that it never grows.
type histogram struct {
	n       int64
	most    time.Duration
	buckets [57*64 + 64]uint32
}

// add counts one time.
func (h *histogram) add(d time.Duration) {
	ns := uint64(max(d, 0))
	shift := max(bits.Len64(ns)-7, 0)
	h.buckets[shift*64+int(ns>>shift)]++
	h.most = max(h.most, d)
	h.n++
}

// at is the time that this part of all, from 0 to 1, did not go beyond.
func (h *histogram) at(part float64) time.Duration {
	due := int64(part * float64(h.n))
	for i, n := range h.buckets {
		if due -= int64(n); due < 0 {
			if i < 128 {
				return time.Duration(i)
			}
			shift := i/64 - 1
			return min(time.Duration(i-shift*64)<<shift+time.Duration(1)<<shift/2, h.most)
		}
	}
	return h.most
}
