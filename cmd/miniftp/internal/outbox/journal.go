package outbox

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"miniftp/ftp/server"
)

// journal is a log of events in segments, files of at most segmentSize that are only appended to. The oldest segment is
// removed when all its events are delivered. If a few of them are not for a long time, they are copied to the newest one
// (carry), so that they do not keep all later segments.
type journal struct {
	dir         string
	limit       int64 // bytes of all segments
	segmentSize int64

	mu       sync.Mutex
	segments []*segment // the last one is appended to
	active   *os.File
	number   uint64   // of the last segment
	seq      uint64   // of the last event
	size     int64    // of all segments
	written  int64    // bytes ever written
	rolled   int64    // the first bytes of those are synced, because their segments are complete
	broken   error    // writing has failed: the active segment must not be used
	synced   int64    // the first bytes of written that are on the disk
	lost     [2]int64 // of written, what follows the first up to the second is perhaps not on the disk
	keys     []string
	closed   bool

	syncing sync.Mutex // one sync at a time; taken before mu
}

var (
	errFull   = errors.New("the outbox is full, because events were not delivered")
	errClosed = errors.New("the outbox is closed")
	errLost   = errors.New("the outbox could not be written to the disk")
)

// add appends an event, and returns when it is on the disk.
func (j *journal) add(kind string, e *Event, before *server.FileState) (*item, error) {
	j.mu.Lock()
	j.seq++
	it := &item{seq: j.seq, left: uint8(1<<len(j.keys) - 1), made: kind == isEvent, began: e.Time.Unix()}
	r := record{Type: kind, Seq: it.seq, Event: e, Before: before}
	upTo, err := j.append(&r, it)
	j.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := j.sync(upTo); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		_, _ = j.append(&record{Type: isUndo, Seq: it.seq}, nil)
		it.seg.forget(it)
		return nil, err
	}
	return it, nil
}

// append writes a record to the active segment, without a sync. If it is that of an event, it gets its place. mu must be held.
func (j *journal) append(r *record, it *item) (upTo int64, err error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	n := int64(len(line))
	last := j.segments[len(j.segments)-1]
	switch {
	case j.closed:
		return 0, errClosed
	case j.broken != nil || last.size > 0 && last.size+n > j.segmentSize:
		if err := j.roll(); err != nil {
			return 0, err
		}
		last = j.segments[len(j.segments)-1]
	}
	if it != nil && j.size+n > j.limit && !j.makeRoom(n) {
		return 0, errFull
	}
	if err := j.write(last, line); err != nil {
		return 0, err
	}
	if it != nil {
		last.settle(it, last.size-n, n)
	}
	return j.written, nil
}

// write writes a line at the end of the active segment. A part of a line is removed again.
func (j *journal) write(last *segment, line []byte) error {
	_, err := j.active.WriteAt(line, last.size)
	if err != nil {
		if cut := j.active.Truncate(last.size); cut != nil {
			j.broken = cut
		}
		return err
	}
	n := int64(len(line))
	last.size, j.size, j.written = last.size+n, j.size+n, j.written+n
	return nil
}

// roll begins a new segment. After a failure, it is not known what was written to the last one since it was synced.
func (j *journal) roll() error {
	if j.broken == nil {
		if err := j.active.Sync(); err != nil {
			j.broken = err
		}
	}
	name := segmentName(j.dir, j.number+1)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	syncDir(j.dir)
	_ = j.active.Close()
	j.active, j.number = f, j.number+1
	j.segments = append(j.segments, &segment{path: name, items: map[*item]struct{}{}})
	if j.broken != nil {
		j.lost, j.broken = [2]int64{max(j.synced, j.rolled), j.written}, nil
	} else {
		j.rolled = j.written
	}
	j.trim()
	for range 4 {
		if oldest := j.segments[0]; len(j.segments) == 1 || oldest.live > oldest.size/2 || j.carry(oldest) != nil {
			break
		}
		j.trim()
	}
	return nil
}

// makeRoom copies what is needed of segments that hold little to the newest one, until n more bytes fit.
func (j *journal) makeRoom(n int64) bool {
	for len(j.segments) > 1 && j.size+n > j.limit {
		if oldest := j.segments[0]; oldest.live > oldest.size/2 || j.carry(oldest) != nil {
			break
		}
		j.trim()
	}
	return j.size+n <= j.limit
}

// carry copies the events of a segment that are still needed to the active one.
func (j *journal) carry(from *segment) error {
	to := j.segments[len(j.segments)-1]
	for it := range from.items {
		r, err := j.load(it)
		if err != nil {
			return err
		}
		if it.made {
			r.Type, r.Event.Recovered = isEvent, it.recovered
		}
		line, err := r.line()
		if err == nil {
			err = j.write(to, line)
		}
		if err != nil {
			return err
		}
		to.settle(it, to.size-int64(len(line)), int64(len(line)))
		for i, key := range j.keys {
			if it.left&(1<<i) != 0 {
				continue
			}
			sent := record{Type: isSent, Seq: it.seq, To: key}
			if line, err = sent.line(); err == nil {
				err = j.write(to, line)
			}
			if err != nil {
				return err
			}
		}
	}
	return j.active.Sync()
}

// trim removes the oldest segments that are no longer needed. Their records are about events in them or in older ones.
func (j *journal) trim() {
	for len(j.segments) > 1 && len(j.segments[0].items) == 0 {
		oldest := j.segments[0]
		if os.Remove(oldest.path) != nil {
			return
		}
		j.size -= oldest.size
		j.segments = j.segments[1:]
	}
	last := j.segments[0]
	if len(j.segments) == 1 && len(last.items) == 0 && last.size > 0 && j.active.Truncate(0) == nil {
		j.size -= last.size
		last.size = 0
	}
}

// sync returns when the first upTo bytes are on the disk. One call makes those of all that wait for it durable.
func (j *journal) sync(upTo int64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	f, written, lost, broken := j.active, j.written, upTo > j.lost[0] && upTo <= j.lost[1], j.broken
	durable := max(j.synced, j.rolled) >= upTo
	j.mu.Unlock()
	switch {
	case lost:
		return errLost
	case durable:
		return nil
	case broken != nil:
		return broken
	}
	err := f.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err == nil:
		j.synced = max(j.synced, written)
	case j.rolled >= upTo: // f is complete, and was synced before it was closed
		return nil
	default:
		j.broken = err
	}
	return err
}

// setMade notes that the change of an event was made. Like what has become of it later, this is not synced: after a power
// failure, an event may be delivered again.
func (j *journal) setMade(it *item) {
	j.mu.Lock()
	defer j.mu.Unlock()
	it.made = true
	_, _ = j.append(&record{Type: isDone, Seq: it.seq}, nil) // without it, a restart looks at the file
}

// drop forgets an event whose change was not made.
func (j *journal) drop(it *item) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.append(&record{Type: isUndo, Seq: it.seq}, nil)
	it.seg.forget(it)
	j.trim()
}

// setSent notes that receiver i has got an event.
func (j *journal) setSent(it *item, i int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	it.left &^= 1 << i
	_, _ = j.append(&record{Type: isSent, Seq: it.seq, To: j.keys[i]}, nil)
	if it.left == 0 {
		it.seg.forget(it)
		j.trim()
	}
}

// read returns the event of an item.
func (j *journal) read(it *item) (Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, err := j.load(it)
	if err != nil {
		return Event{}, err
	}
	e := *r.Event
	e.Recovered = e.Recovered || it.recovered
	return e, nil
}

// load reads the record of an item. mu must be held.
func (j *journal) load(it *item) (record, error) {
	f, err := os.Open(it.seg.path)
	if err != nil {
		return record{}, err
	}
	defer f.Close()
	line := make([]byte, it.n)
	if _, err := f.ReadAt(line, it.at); err != nil && !errors.Is(err, io.EOF) {
		return record{}, err
	}
	r, ok := parseRecord(line)
	if !ok {
		return record{}, fmt.Errorf("event %d of the outbox is damaged", it.seq)
	}
	return r, nil
}

// missing returns which receivers have not got an event, as item.left does.
func (j *journal) missing(it *item) uint8 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return it.left
}

// room returns an error if no event can be added.
func (j *journal) room() error {
	const most = 16 << 10 // more than a record has
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size+most > j.limit && !j.makeRoom(most) {
		return errFull
	}
	return nil
}

// pending returns the number of events that are not delivered, and the time of the oldest.
func (j *journal) pending() (n int, oldest int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	oldest = math.MaxInt64
	for _, s := range j.segments {
		for it := range s.items {
			if it.made {
				n++
				oldest = min(oldest, it.began)
			}
		}
	}
	return n, oldest
}

// close closes the journal. What is written later is lost.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed {
		j.closed = true
		_ = j.active.Sync()
		_ = j.active.Close()
	}
}
