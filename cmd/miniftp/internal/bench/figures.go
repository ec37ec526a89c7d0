package bench

import (
	"math/bits"
	"sync"
	"time"
)

// figures holds the results of a row.
type figures struct {
	row     loadRow
	perGiB  bool   // processor time is reported per GiB, not per operation
	leftOut string // why the row was not run, else ""
	problem string

	n       int64 // operations
	bytes   int64
	entries int // in one listing
	atOnce  int // sessions in the row many
	took    time.Duration
	server  *time.Duration // processor time of the server; nil if unknown
	own     time.Duration  // processor time of this process
	memory  memory
	pssEach *float64 // KiB per session

	mu       sync.Mutex // guards what follows and, while several goroutines work, n and bytes
	times    histogram  // times of operations
	waits    histogram  // times until the 150
	firsts   histogram  // times until the first byte
	wholes   histogram  // times of whole transfers
	failures int64
	first    error // the first failure
}

// done counts an operation.
func (f *figures) done(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.times.add(took)
}

// fetched counts a download.
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

// failed counts a failure.
func (f *figures) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures++
	if f.first == nil {
		f.first = err
	}
}

// rate returns the rate in the unit of the row.
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

// serverEach returns the server's processor time per operation or, in listings, per entry.
func (f *figures) serverEach() time.Duration {
	n := f.n * int64(max(f.entries, 1))
	if f.server == nil || f.perGiB || n == 0 {
		return 0
	}
	return time.Duration(float64(*f.server) / float64(n))
}

// serverPerGiB returns the server's processor time in seconds per GiB.
func (f *figures) serverPerGiB() float64 {
	if f.server == nil || !f.perGiB || f.bytes == 0 {
		return 0
	}
	return f.server.Seconds() * (1 << 30) / float64(f.bytes)
}

// measurement measures the time and the resources that a load takes, from measuring until stop.
type measurement struct {
	b      *benchmark
	f      *figures
	start  time.Time
	end    time.Time
	server time.Duration
	own    time.Duration
	before memory
}

// measuring begins a measurement, whose results stop adds to f.
func (b *benchmark) measuring(f *figures) *measurement {
	m := &measurement{b: b, f: f}
	if b.target != nil {
		m.before, m.server = b.target.memory(), b.target.cpu()
	}
	m.own = ownCPU()
	m.start = time.Now()
	m.end = m.start.Add(b.time)
	return m
}

// another reports whether to begin another operation after n of them. The first one always begins.
func (m *measurement) another(n int64) bool {
	if n == 0 {
		return true
	}
	return (m.b.count == 0 || n < m.b.count) && m.b.ctx.Err() == nil && time.Now().Before(m.end)
}

// stop ends the measurement and adds the results to the figures.
func (m *measurement) stop() {
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

// histogram counts times in buckets that are about 1.5 % wide. Its size does not depend on their number.
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

// at returns the quantile for part, from 0 to 1: the time that this part of all times does not exceed.
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
