package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
)

const (
	writeTime = 10 * time.Second // for writing a message
	stepPause = 100 * time.Millisecond
	mostSteps = 200 // steps in a message, and of the past of a session
)

// hello is the first message of a stream.
type hello struct {
	Boot    int64    `json:"boot"` // tells this server from another one at the same address
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Now     int64    `json:"now"` // the server's clock, in milliseconds since 1970
	Samples []sample `json:"samples"`
}

// steps is a message about the ladder of the opened session.
type steps struct {
	Steps []step `json:"steps"`
	Lost  int    `json:"lost,omitempty"` // steps that are missing before these
}

func (c *Console) boot() int64 { return c.since.UnixMilli() }

func (c *Console) refusal(i int, n int64) refusal {
	reason := ftp.Reason(i)
	return refusal{reason.String(), c.setting(reason), n}
}

// client is the connection to one viewer.
type client struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	from int // number of the next line of the list of events
}

// send writes a message of server-sent events.
func (cl *client) send(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_ = cl.rc.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := fmt.Fprintf(cl.w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return err
	}
	return cl.rc.Flush()
}

// stream answers with server-sent events until the viewer leaves. The query has the filter of the list of sessions, and
// the session whose ladder is shown.
func (c *Console) stream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	filter, session := q.Get("filter"), uint64(0)
	if text := q.Get("session"); text != "" {
		var err error
		if session, err = strconv.ParseUint(text, 10, 64); err != nil {
			http.Error(w, "session: not a number", http.StatusBadRequest)
			return
		}
	}
	if len(filter) > maxFilter {
		http.Error(w, "filter: too long", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for nginx, which would collect the answer
	cl := &client{w: w, rc: http.NewResponseController(w)}
	_ = cl.rc.SetReadDeadline(time.Time{}) // the stream lasts longer than other requests
	h, v, samples, past := c.join(session)
	if v == nil {
		_ = cl.send("full", struct {
			Most int `json:"most"`
		}{maxViewers})
		return
	}
	defer h.leave(v)
	d, l := newDiffer(filter, session), ladderOf(c.find(session))
	err := cl.send("hello", hello{c.boot(), c.src.Name, c.src.Version, time.Now().UnixMilli(), samples})
	if err == nil {
		err = cl.send("state", h.state(cl, d))
	}
	if err == nil && session != 0 {
		err = cl.send("steps", c.begin(h, l, session, past))
	}
	if err == nil {
		follow(r.Context(), cl, h, v, d, l)
	}
}

// follow writes what happens to a viewer, until it leaves.
func follow(ctx context.Context, cl *client, h *hub, v *viewer, d *differ, l *ladder) {
	for err := error(nil); err == nil; {
		select {
		case <-ctx.Done():
			return
		case <-v.tick:
			err = cl.send("state", h.state(cl, d))
		case e := <-v.steps:
			select { // what follows soon is sent with it
			case <-ctx.Done():
				return
			case <-time.After(stepPause):
			}
			err = cl.send("steps", h.steps(l, v, e))
		}
	}
}

// find returns a description of the session, or nil if it has ended.
func (c *Console) find(id uint64) *sessions.Info {
	if id == 0 {
		return nil
	}
	for _, in := range c.src.Sessions.Infos(c.src.Name, func(uint64) (moved, total int64, ok bool) { return 0, 0, false }) {
		if in.ID == id {
			return &in
		}
	}
	return nil
}

// begin returns the beginning of the ladder of a session.
func (c *Console) begin(h *hub, l *ladder, session uint64, past []sessions.Event) steps {
	all := steps{Steps: []step{}}
	if len(past) == 0 || past[0].Kind != sessions.Opened {
		if in := c.find(session); in != nil {
			all.Steps = append(all.Steps, l.control(in.Since))
		}
		all.Steps = append(all.Steps, step{Time: h.begun.UnixMilli(), Note: "of what was before, only logins, transfers and refusals are known"})
	}
	for i := range past {
		if s, ok := l.add(&past[i]); ok {
			all.Steps = append(all.Steps, s)
		}
	}
	return all
}

// steps returns the steps for e and for the events that have followed it.
func (h *hub) steps(l *ladder, v *viewer, e sessions.Event) steps {
	h.mu.Lock()
	all := steps{Steps: []step{}, Lost: v.lost}
	v.lost = 0
	h.mu.Unlock()
	for range mostSteps {
		if s, ok := l.add(&e); ok {
			all.Steps = append(all.Steps, s)
		}
		select {
		case e = <-v.steps:
			continue
		default:
		}
		break
	}
	return all
}

// state returns what a viewer must be sent now.
func (h *hub) state(cl *client, d *differ) *state {
	h.mu.Lock()
	now := h.now
	first := h.total - len(h.notable) // number of the oldest line
	missed := max(0, first-cl.from)
	if cl.from == 0 {
		missed = 0 // they are older than the page
	}
	lines := append([]string(nil), h.notable[max(0, cl.from-first):]...)
	cl.from = h.total
	h.mu.Unlock()
	st := d.next(now)
	st.Refusals, st.Events, st.Missed = d.refusals(h.c), lines, missed
	return st
}

// kick ends a session.
func (c *Console) kick(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Boot int64  `json:"boot"`
		ID   uint64 `json:"id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		http.Error(w, "not an order in JSON", http.StatusBadRequest)
		return
	}
	switch {
	case order.Boot != c.boot():
		http.Error(w, "The server was started again: this is not the session that you saw.", http.StatusConflict)
	case !c.src.Kick(order.ID):
		http.Error(w, "There is no such session any more.", http.StatusNotFound)
	default:
		c.src.Log.Info("session ended from the live page", "session", order.ID, "by", r.RemoteAddr)
		w.WriteHeader(http.StatusNoContent)
	}
}
