package console

import (
	"slices"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp/dtp"
)

const (
	sampleEvery = time.Second
	keptSamples = 900 // 15 minutes
	keptEvents  = 2000
	keptNotable = sessions.Kept
	// lingerTime is how long the hub continues without viewers, so that a page that is loaded again has its history.
	lingerTime   = 30 * time.Second
	watcherQueue = 1024 // events that the hub has not read yet
	viewerQueue  = 256  // events of a session that its viewer has not sent yet
	maxViewers   = 16
)

// sample is the throughput of one second, in bytes.
type sample struct {
	At       int64 `json:"t"` // in seconds since 1970
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// snapshot is the state of the server at one moment. It does not change once viewers can see it.
type snapshot struct {
	sample
	rows     []*row // the newest session first
	byID     map[uint64]*row
	ports    dtp.PortsUsage
	draining bool
}

// viewer is one open page.
type viewer struct {
	session uint64        // the one whose ladder is shown; 0: none
	tick    chan struct{} // there is a new snapshot
	steps   chan sessions.Event
	lost    int // events of the session that had no place in steps; guarded by hub.mu
}

// hub samples the server and passes its events to the viewers. It exists while there are any.
type hub struct {
	c *Console

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	empty   time.Time // since when there are no viewers
	now     *snapshot
	samples []sample
	events  []sessions.Event // of all kinds, the oldest first
	notable []string         // lines, the oldest first
	total   int              // number of lines there have been
	begun   time.Time

	// The following are used by run only.
	counted map[uint64]moved // what the samples have counted, by session. While a transfer ends, a session may show less
	late    moved            // what sessions that have ended had moved after they were last counted
	last    time.Time        // when the last sample was taken
}

// moved is a number of bytes.
type moved struct{ sent, received int64 }

// join adds a viewer of a session, 0 for none, and starts the hub if it is the first one. It returns the events of the
// session so far; the viewer gets those that follow. v is nil if there are too many viewers.
func (c *Console) join(session uint64) (h *hub, v *viewer, samples []sample, past []sessions.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil, nil, nil, nil
	}
	if c.hub == nil {
		watcher, stop := c.src.Sessions.Watch(watcherQueue)
		h := c.newHub()
		c.hub = h
		c.hubs.Go(func() {
			defer stop()
			h.run(watcher)
		})
	}
	h = c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= maxViewers {
		return nil, nil, nil, nil
	}
	v = &viewer{session: session, tick: make(chan struct{}, 1), steps: make(chan sessions.Event, viewerQueue)}
	h.viewers[v] = struct{}{}
	samples, past = h.past(session)
	return h, v, samples, past
}

// newHub returns a hub that knows what is known of the past, with a first sample.
func (c *Console) newHub() *hub {
	h := &hub{c: c, viewers: map[*viewer]struct{}{}, begun: time.Now(), counted: map[uint64]moved{}}
	all := c.src.Sessions.Recent()
	for i := range all {
		h.events = append(h.events, all[i])
		h.note(&all[i])
	}
	h.sample(h.begun)
	return h
}

// past returns the samples, and the events of a session. hub.mu must be held.
func (h *hub) past(session uint64) (samples []sample, events []sessions.Event) {
	samples = append([]sample(nil), h.samples...)
	for i := range h.events {
		if session != 0 && h.events[i].Session == session {
			events = append(events, h.events[i])
		}
	}
	return samples, events[max(0, len(events)-mostSteps):]
}

// leave removes a viewer.
func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
	if len(h.viewers) == 0 {
		h.empty = time.Now()
	}
}

// run samples and passes events on until there have been no viewers for lingerTime.
func (h *hub) run(w *sessions.Watcher) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case e := <-w.C:
			h.pass(e)
		case <-tick.C:
			now := time.Now() // the tick may have waited
			if h.idle(now) {
				return
			}
			h.sample(now)
		case <-h.c.ctx.Done():
			return
		}
	}
}

// idle reports whether there have been no viewers for so long that the hub must end, and ends it.
func (h *hub) idle(now time.Time) bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) > 0 || now.Sub(h.empty) < lingerTime {
		return false
	}
	h.c.hub = nil
	return true
}

// note adds an event to the list of events if people want to know it.
func (h *hub) note(e *sessions.Event) {
	line := e.Line()
	if line == "" {
		return
	}
	if len(h.notable) == keptNotable {
		h.notable = slices.Delete(h.notable, 0, 1)
	}
	h.notable = append(h.notable, e.Time.Local().Format("15:04:05")+"  "+cut(line, maxLine))
	h.total++
}

// pass passes an event to the viewers of its session. A viewer that does not keep up loses events.
func (h *hub) pass(e sessions.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) >= keptEvents { // in steps, because each one moves what is kept
		h.events = slices.Delete(h.events, 0, keptEvents/10)
	}
	h.events = append(h.events, e)
	h.note(&e)
	for v := range h.viewers {
		if v.session == 0 || e.Session != v.session && e.Kind != sessions.Lost {
			continue
		}
		select {
		case v.steps <- e:
		default:
			v.lost++
		}
	}
	if e.Kind == sessions.Closed { // what it moved after the last sample
		was := h.counted[e.Session]
		h.late.sent, h.late.received = h.late.sent+max(0, e.Sent-was.sent), h.late.received+max(0, e.Received-was.received)
		delete(h.counted, e.Session)
	}
}

// sample looks at the server and wakes the viewers. The rates are what the sessions have moved since the last sample.
func (h *hub) sample(now time.Time) {
	src := &h.c.src
	infos := sessions.WithQuotas(src.Sessions.Infos(src.Name, src.Progress), src.Quotas())
	s := &snapshot{rows: make([]*row, 0, len(infos)), byID: make(map[uint64]*row, len(infos)), ports: src.Ports(), draining: src.Draining()}
	var before map[uint64]*row
	if h.now != nil {
		before = h.now.byID
	}
	took := now.Sub(h.last)
	h.last = now
	sum := h.late
	h.late = moved{}
	for i := len(infos) - 1; i >= 0; i-- {
		in := &infos[i]
		r := rowOf(in, before[in.ID], now, took)
		s.rows, s.byID[in.ID] = append(s.rows, r), r
		was := h.counted[in.ID]
		is := moved{max(was.sent, in.Sent), max(was.received, in.Received)}
		sum.sent, sum.received = sum.sent+is.sent-was.sent, sum.received+is.received-was.received
		h.counted[in.ID] = is
	}
	h.prune(s)
	s.At = now.Unix()
	if before != nil { // else it is all that was moved before
		s.Sent, s.Received = perSecond(sum.sent, took), perSecond(sum.received, took)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = s
	if len(h.samples) == keptSamples {
		h.samples = slices.Delete(h.samples, 0, 1)
	}
	h.samples = append(h.samples, s.sample)
	for v := range h.viewers {
		select {
		case v.tick <- struct{}{}:
		default: // it has not sent the last one yet
		}
	}
}

// prune forgets sessions that have ended. Usually pass does, but their events may have been lost.
func (h *hub) prune(s *snapshot) {
	if len(h.counted) <= len(s.rows)+watcherQueue {
		return
	}
	for id := range h.counted {
		if s.byID[id] == nil {
			delete(h.counted, id)
		}
	}
}

// perSecond returns a rate in bytes per second.
func perSecond(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took, time.Millisecond).Seconds())
}
