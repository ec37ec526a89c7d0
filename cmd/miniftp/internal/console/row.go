package console

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
)

const (
	mostRows   = 100 // sessions that a page shows; it counts the others
	mostMoving = 50  // transfers
	maxName    = 64  // characters of a user name
	maxText    = 200 // characters of a path or a command
	maxLine    = 500 // characters of an event
	maxFilter  = 100 // bytes
)

// row is a session as the page shows it. It does not change once viewers can see it.
type row struct {
	ID        uint64 `json:"id"`
	User      string `json:"user"`
	From      string `json:"from"`
	TLS       string `json:"tls"`
	Since     int64  `json:"since"`               // like all times in milliseconds since 1970
	IdleSince int64  `json:"idleSince,omitempty"` // 0 while a command is running
	Last      string `json:"last,omitempty"`
	Verb      string `json:"verb,omitempty"` // of the running command
	Path      string `json:"path,omitempty"`
	Began     int64  `json:"began,omitempty"` // when it began

	// Of a running transfer.
	Upload bool   `json:"upload,omitempty"`
	Moved  int64  `json:"moved,omitempty"`
	Total  int64  `json:"total,omitempty"` // 0: unknown
	Rate   int64  `json:"rate,omitempty"`  // since the last sample
	Mode   string `json:"mode,omitempty"`
	Stance string `json:"stance,omitempty"` // of the server

	Commands  uint32 `json:"commands"`
	Transfers uint32 `json:"transfers"`
	Sent      int64  `json:"sent"`
	Received  int64  `json:"received"`
	Quota     string `json:"quota,omitempty"`
}

// rowOf returns the row of a session. If it is the same as before, which may be nil, it returns before.
func rowOf(in *sessions.Info, before *row, now time.Time, took time.Duration) *row {
	r := &row{
		ID: in.ID, User: cut(in.User, maxName), From: in.From, TLS: in.TLS, Since: in.Since.UnixMilli(), Last: cut(in.Last, maxText),
		Commands: in.Commands, Transfers: in.Transfers, Sent: in.Sent, Received: in.Received, Quota: cut(in.QuotaText(), maxText),
	}
	if before == nil {
		before = &row{}
	}
	if d := in.Doing; d != nil {
		r.Verb, r.Path = cut(d.Verb, maxName), cut(d.Path, maxText)
		r.Began = near(now.Add(-span(d.Seconds)).UnixMilli(), before.Began)
		r.Mode, r.Stance = d.Mode, d.Stance
		if d.Mode != "" {
			r.Upload, r.Moved, r.Total, r.Rate = sessions.Uploads(d.Verb), d.Moved, d.Total, d.Rate
			if before.Began == r.Began && before.Mode != "" && d.Moved >= before.Moved {
				r.Rate = perSecond(d.Moved-before.Moved, took)
			}
		}
	} else {
		r.IdleSince = near(now.Add(-span(in.Idle)).UnixMilli(), before.IdleSince)
	}
	if *r == *before {
		return before
	}
	return r
}

func span(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// near returns before if t is the same time, computed from a clock and an age that are read one after the other.
func near(t, before int64) int64 {
	if d := t - before; d > -500 && d < 500 {
		return before
	}
	return t
}

// cut returns s with at most n characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if all := []rune(s); len(all) > n {
		return string(all[:n-1]) + "…"
	}
	return s
}

// matches reports whether a session is one of those that filter, in lower case, looks for.
func (r *row) matches(filter string) bool {
	if filter == "" {
		return true
	}
	for _, text := range []string{r.User, r.From, r.Last, r.Verb, r.Path, r.TLS} {
		if strings.Contains(strings.ToLower(text), filter) {
			return true
		}
	}
	return strconv.FormatUint(r.ID, 10) == filter
}

// ports is how the passive ports are used.
type ports struct {
	Size    int `json:"size"`
	InUse   int `json:"inUse"`
	Leases  int `json:"leases"`
	Waiting int `json:"waiting"`
}

// refusal is how often something was refused for one reason.
type refusal struct {
	Reason  string `json:"reason"`
	Setting string `json:"setting,omitempty"`
	Count   int64  `json:"count"`
}

// state is what a viewer is sent each second: the numbers, and of the rest what has changed.
type state struct {
	sample
	Sessions int   `json:"sessions"`
	Matched  int   `json:"matched"`
	Moving   int   `json:"moving"`
	Draining bool  `json:"draining"`
	Ports    ports `json:"ports"`

	Rows     []*row    `json:"rows,omitempty"` // that have changed
	Shown    *[]uint64 `json:"shown,omitempty"`
	Transfer *[]uint64 `json:"transfers,omitempty"`
	Ended    bool      `json:"ended,omitempty"` // the opened session is not there
	Refusals []refusal `json:"refusals,omitempty"`
	Events   []string  `json:"events,omitempty"` // new ones
	Missed   int       `json:"missed,omitempty"` // new ones that are left out
}

// differ makes states for one viewer: it knows what the viewer was sent before.
type differ struct {
	filter  string // in lower case
	session uint64 // the opened one, whose row is always sent; 0: none
	rows    map[uint64]*row
	shown   []uint64
	moving  []uint64
	first   bool
	refused [reasons]int64
}

func newDiffer(filter string, session uint64) *differ {
	return &differ{filter: strings.ToLower(filter), session: session, rows: map[uint64]*row{}, first: true}
}

// next returns what the viewer must be sent so that it shows s.
func (d *differ) next(s *snapshot) *state {
	st := &state{sample: s.sample, Sessions: len(s.rows), Draining: s.draining, Ports: ports(s.ports)}
	var shown, moving []uint64
	rows := map[uint64]*row{}
	for _, r := range s.rows {
		if r.Mode != "" {
			st.Moving++
		}
		if !r.matches(d.filter) {
			continue
		}
		st.Matched++
		if len(shown) < mostRows {
			shown = append(shown, r.ID)
			rows[r.ID] = r
		}
		if r.Mode != "" && len(moving) < mostMoving {
			moving = append(moving, r.ID)
			rows[r.ID] = r
		}
	}
	if d.session != 0 {
		if r := s.byID[d.session]; r != nil {
			rows[r.ID] = r
		} else {
			st.Ended = true
		}
	}
	slices.Reverse(moving) // the oldest first, so that they stay where they are
	for id, r := range rows {
		if d.rows[id] != r {
			st.Rows = append(st.Rows, r)
		}
	}
	if d.first || !slices.Equal(shown, d.shown) {
		st.Shown = &shown
	}
	if d.first || !slices.Equal(moving, d.moving) {
		st.Transfer = &moving
	}
	d.rows, d.shown, d.moving, d.first = rows, shown, moving, false
	return st
}

// refusals returns the refusals by reason, the most frequent first, or nil if there are no new ones.
func (d *differ) refusals(c *Console) (all []refusal) {
	var now [reasons]int64
	for i := range now {
		now[i] = c.refused[i].Load()
	}
	if now == d.refused {
		return nil
	}
	d.refused = now
	for i, n := range now {
		if n > 0 {
			all = append(all, c.refusal(i, n))
		}
	}
	slices.SortStableFunc(all, func(a, b refusal) int { return int(b.Count - a.Count) })
	return all
}
