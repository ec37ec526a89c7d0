package outbox

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"miniftp/ftp/server"
)

// loaded is an event that a journal held when it was opened.
type loaded struct {
	*item
	event  Event
	before server.FileState
}

// openJournal opens the journal in a directory. keys identifies the receivers. It returns the events that are still needed, in
// their order, and the number of damaged lines. A damaged line at the end was torn when the server was killed.
func openJournal(dir string, limit int64, keys []string) (j *journal, all []loaded, damaged int, err error) {
	j = &journal{dir: dir, limit: limit, segmentSize: min(1<<20, limit/8), keys: keys}
	names, err := filepath.Glob(filepath.Join(dir, "journal-*"))
	if err != nil {
		return nil, nil, 0, err
	}
	slices.Sort(names)
	events := map[uint64]*loaded{}
	for _, name := range names {
		n, ok := segmentNumber(name)
		if !ok {
			continue
		}
		bad, err := j.readSegment(name, events)
		if err != nil {
			return nil, nil, 0, err
		}
		damaged += bad
		j.number = n
	}
	// A new segment is begun, so that nothing is appended to a torn line.
	name := segmentName(dir, j.number+1)
	if j.active, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, nil, 0, err
	}
	syncDir(dir)
	j.number++
	j.segments = append(j.segments, &segment{path: name, items: map[*item]struct{}{}})
	j.trim()
	for _, l := range events {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b loaded) int { return cmp.Compare(a.seq, b.seq) })
	return j, all, damaged, nil
}

// readSegment reads a segment of an earlier run into events.
func (j *journal) readSegment(name string, events map[uint64]*loaded) (damaged int, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	s := &segment{path: name, size: int64(len(text)), items: map[*item]struct{}{}}
	j.segments = append(j.segments, s)
	j.size += s.size
	at := int64(0)
	for line := range bytes.Lines(text) {
		n := int64(len(line))
		r, ok := parseRecord(line)
		if !ok {
			damaged++
		} else {
			j.apply(&r, s, at, n, events)
		}
		at += n
	}
	return damaged, nil
}

// apply applies a record of an earlier run, which is in s.
func (j *journal) apply(r *record, s *segment, at, n int64, events map[uint64]*loaded) {
	j.seq = max(j.seq, r.Seq)
	l := events[r.Seq]
	if r.Type == isBegin || r.Type == isEvent {
		if l == nil { // else it was copied to a newer segment
			l = &loaded{item: &item{seq: r.Seq, left: uint8(1<<len(j.keys) - 1), began: r.Event.Time.Unix()}}
			events[r.Seq] = l
		}
		l.event, l.made = *r.Event, l.made || r.Type == isEvent
		if r.Before != nil {
			l.before = *r.Before
		}
		s.settle(l.item, at, n)
		return
	}
	if l == nil {
		return
	}
	switch r.Type {
	case isDone:
		l.made = true
	case isSent:
		if i := slices.Index(j.keys, r.To); i >= 0 {
			l.left &^= 1 << i
		}
	}
	if r.Type == isUndo || l.left == 0 {
		l.seg.forget(l.item)
		delete(events, r.Seq)
	}
}
