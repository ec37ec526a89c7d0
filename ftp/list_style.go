package ftp

import (
	"math/bits"
	"strings"
	"time"
)

// A line may not show which number of a date is the month, or whether a blank fills a column or
// begins the name. A server writes all lines in the same style, so another line may show it. Each
// line adds its evidence to the style of the listing. The style then completes the entries that
// depend on it: Parse uses the lines so far, and Entries waits until the style is settled.

// order is an order of year, month and day, or a set of orders.
type order uint8

const (
	monthFirst order = 1 << iota
	dayFirst
	yearFirst
)

// yearColumn is the position of a year that ls writes instead of a time of day, or a set of such
// positions.
type yearColumn uint8

const (
	yearRight yearColumn = 1 << iota // "Mar 11  2007 x": right-aligned
	yearLeft                         // "Mar 11 2007  x": left-aligned, as on AIX, or a name that begins with a blank
	yearTight                        // "Mar 11 2007 x": no column
	yearClock                        // "Mar 11 2007 09:47 x": with a time of day
)

// evidence is what a line shows about its listing, and what finish needs to complete its entry.
type evidence struct {
	date   ordered    // an ambiguous date; its orders are 0 if the date is not ambiguous
	pad    int        // the number of blanks before the name that were treated as filling of a column
	tight  bool       // the line shows that exactly one blank precedes names
	year   yearColumn // 0 if there is no year
	number int        // the version of an OpenVMS file; 0 for other files
	unix   bool       // the line begins like one of ls -l, so no other format is tried
}

// ordered is an ambiguous date: the orders in which its numbers are a date, with the time for each.
type ordered struct {
	orders  order    // 0 if the date is not ambiguous
	prefer  order    // the order to choose if the listing leaves several
	usual   bool     // the format always uses prefer, unless another line disproves it
	times   [3]int64 // in Unix seconds, in the sequence of the constants of order
	precise time.Duration
}

// style is what the lines of a listing so far have in common.
type style struct {
	orders order      // the orders that fit all ambiguous dates; 0 if there was no such date
	mixed  bool       // no order fits all dates
	tight  bool       // exactly one blank precedes names
	padded bool       // a name was returned without blanks that may belong to it
	years  yearColumn // all positions of years so far
	dated  bool       // a line had a date

	// The last OpenVMS file: its name, its type and its version.
	name   string
	kind   EntryType
	number int
}

// add adds the evidence of a line. It returns false if that contradicts an earlier line: one of
// the two was misread.
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

// settled reports whether no later line can change how v is interpreted.
func (s *style) settled(v *evidence) bool {
	return (v.date.orders == 0 || s.mixed || bits.OnesCount8(uint8(s.orders)) == 1) && (v.pad == 0 || s.tight)
}

// finish completes an entry with the help of the style of its listing.
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

// choose returns the time of an ambiguous date and its precision. If several orders remain possible, it
// takes the preferred one, and adds its distance to the others to the precision.
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

// holder holds entries back until the style of their listing is settled. It keeps their order.
type holder struct {
	p     *ListParser
	yield func(Entry, error) bool
	held  []heldEntry
	size  int      // the approximate memory of held, in bytes
	doubt evidence // the unsettled evidence of all held entries, combined
	full  bool     // the limit was reached; entries are not held back any longer
}

type heldEntry struct {
	entry Entry
	ok    bool
	err   error
	line  evidence
}

// take parses a line and yields or holds its entry. It returns false if yield did.
func (h *holder) take(line string) bool {
	const most, each = 256 << 10, 512 // bytes: the limit, and the cost of an entry without its line
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

// release yields the held entries.
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
