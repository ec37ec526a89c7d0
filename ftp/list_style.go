package ftp

import (
	"math/bits"
	"strings"
	"time"
)

// order is an order of year, month and day; a set of them is their union.
type order uint8

const (
	monthFirst order = 1 << iota
	dayFirst
	yearFirst
)

// yearColumn is how ls writes a year in place of a time of day.
type yearColumn uint8

const (
	yearRight yearColumn = 1 << iota // "Mar 11  2007 x": right-aligned
	yearLeft                         // "Mar 11 2007  x": left-aligned, as AIX does, or a name with a leading blank
	yearTight                        // "Mar 11 2007 x"
	yearClock                        // "Mar 11 2007 09:47 x"
)

// evidence is what a line says about its listing, and what the listing has to say
// about the line.
type evidence struct {
	date   ordered    // a date of numbers, if that is in doubt
	pad    int        // blanks left off the name as filling of a column
	tight  bool       // the line shows that one blank, not more, precedes the names
	year   yearColumn // 0 if there is none
	number int        // of the version of an OpenVMS file
	unix   bool       // the line begins as one of ls -l, so it has no other format
}

// ordered is a date of numbers with the orders in which it is one.
type ordered struct {
	orders  order // 0 if the date is not in doubt
	prefer  order // the usual one
	usual   bool  // the format writes no other, unless another line proves it
	times   [3]int64
	precise time.Duration
}

// style is what the lines of a listing have in common. A server writes all of
// them alike, so what one line proves holds for the others.
type style struct {
	orders order // those that fit all dates so far, 0 if there was none
	mixed  bool  // no order fits all dates
	tight  bool  // one blank precedes the names
	padded bool  // a name was returned without blanks that might belong to it
	years  yearColumn
	dated  bool // a line had a date

	name   string // the last OpenVMS file, its type and its version
	kind   EntryType
	number int
}

// add notes what a line says. It returns false if that contradicts the lines
// before, so that the line, or one before, is not what it seems to be.
func (s *style) add(v *evidence) bool {
	const columns = yearRight | yearLeft | yearTight
	switch {
	case v.tight && s.padded && !s.tight,
		v.year == yearLeft && s.years&yearRight != 0,
		v.year == yearClock && s.years&columns != 0,
		v.year&columns != 0 && s.years&yearClock != 0:
		return false
	}
	s.years |= v.year
	s.tight = s.tight || v.tight
	switch both := s.orders & v.date.orders; {
	case v.date.orders == 0:
	case s.orders == 0:
		s.orders = v.date.orders
	case both == 0:
		s.mixed = true
	default:
		s.orders = both
	}
	return true
}

// settled reports whether no later line can change what v says.
func (s *style) settled(v *evidence) bool {
	return (v.date.orders == 0 || s.mixed || bits.OnesCount8(uint8(s.orders)) == 1) && (v.pad == 0 || s.tight)
}

// finish completes an entry by the style of its listing.
func (p *ListParser) finish(e *Entry, v *evidence) {
	if v.date.orders != 0 {
		e.Modified, e.Precise = v.date.choose(&p.seen)
	}
	switch {
	case v.pad == 0:
	case p.seen.tight:
		e.Name = strings.Repeat(" ", v.pad) + e.Name
	default:
		p.seen.padded = true
	}
}

// choose decides between the orders that fit the listing. A date of which that
// leaves several is the usual one, and only as precise as they are far apart.
func (d *ordered) choose(s *style) (time.Time, time.Duration) {
	left := d.orders
	if both := left & s.orders; both != 0 && !s.mixed {
		left = both
	}
	pick := left & d.prefer
	if pick == 0 {
		pick = left & -left
	}
	t := d.times[bits.TrailingZeros8(uint8(pick))]
	apart := int64(0)
	for i := range d.times {
		if left&(1<<i) != 0 && (pick != d.prefer || !d.usual) {
			apart = max(apart, d.times[i]-t, t-d.times[i])
		}
	}
	return time.Unix(t, 0).UTC(), d.precise + time.Duration(apart)*time.Second
}

// holder keeps entries back until their listing's style is known.
type holder struct {
	p     *ListParser
	yield func(Entry, error) bool
	held  []heldEntry
	size  int      // of what is held
	doubt evidence // what the held entries wait for
	full  bool     // nothing is kept back any more
}

type heldEntry struct {
	entry Entry
	ok    bool
	err   error
	line  evidence
}

// take reads a line. It returns false if yield has had enough.
func (h *holder) take(line string) bool {
	const most, each = 256 << 10, 512 // bytes; what an entry costs beside its line
	v := heldEntry{}
	v.entry, v.ok, v.err = h.p.parse(line)
	if v.ok {
		v.line = h.p.line
	} else if v.err == nil {
		return true
	}
	if len(h.held) == 0 && (h.full || h.p.seen.settled(&v.line)) {
		return h.give(&v)
	}
	h.held = append(h.held, v)
	h.size += len(line) + each
	h.full = h.size > most
	h.doubt.date.orders |= v.line.date.orders
	h.doubt.pad |= v.line.pad
	if h.full || h.p.seen.settled(&h.doubt) {
		return h.release()
	}
	return true
}

// release yields what is held.
func (h *holder) release() bool {
	held := h.held
	h.held, h.size, h.doubt = nil, 0, evidence{}
	for i := range held {
		if !h.give(&held[i]) {
			return false
		}
	}
	return true
}

func (h *holder) give(v *heldEntry) bool {
	if v.err != nil && !h.yield(Entry{}, v.err) {
		return false
	}
	if !v.ok {
		return true
	}
	h.p.finish(&v.entry, &v.line)
	return h.yield(v.entry, nil)
}
