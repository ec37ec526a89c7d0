package sessions

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"miniftp/ftp"
)

// Info describes a session, for people and programs. docs/operating.md documents its form in JSON.
type Info struct {
	ID        uint64    `json:"id"`
	Server    string    `json:"server"`
	User      string    `json:"user"` // "" before the login
	From      string    `json:"from"` // the address of the client
	To        string    `json:"to"`   // the address of the server
	TLS       string    `json:"tls"`  // the version, or "clear"
	Since     time.Time `json:"since"`
	Idle      float64   `json:"idle"`           // seconds since the last command ended; 0 while one is running
	Last      string    `json:"last,omitempty"` // the last command; "" while one is running
	Doing     *Doing    `json:"doing,omitempty"`
	Commands  uint32    `json:"commands"`
	Transfers uint32    `json:"transfers"` // that have ended
	Sent      int64     `json:"sent"`      // bytes, those of the running transfer included
	Received  int64     `json:"received"`
	Quotas    []Quota   `json:"quotas,omitempty"` // see WithQuotas
}

// Doing describes a running command.
type Doing struct {
	Verb    string  `json:"verb"`
	Path    string  `json:"path,omitempty"` // the argument, as the client gave it
	Seconds float64 `json:"seconds"`        // since the transfer or, if there is none, the command began

	// Of a transfer.
	Moved  int64  `json:"moved,omitempty"`  // bytes
	Total  int64  `json:"total,omitempty"`  // 0: unknown
	Rate   int64  `json:"rate,omitempty"`   // bytes per second, on average
	Mode   string `json:"mode,omitempty"`   // passive or active
	Stance string `json:"stance,omitempty"` // of the server: listens or dials
}

// Uploads reports whether a command receives a file.
func Uploads(verb string) bool { return verb == "STOR" || verb == "APPE" || verb == "STOU" }

// Infos describes the sessions, in the order in which they began. progress returns how much the running transfer of
// a session has moved, and of how many bytes. It is called only for sessions with a transfer.
func (l *List) Infos(server string, progress func(id uint64) (moved, total int64, ok bool)) []Info {
	l.mu.Lock()
	all := make([]Session, 0, len(l.open))
	for _, s := range l.open {
		all = append(all, *s)
	}
	l.mu.Unlock()
	slices.SortFunc(all, func(a, b Session) int { return cmp.Compare(a.Control.ID, b.Control.ID) })
	infos := make([]Info, len(all))
	now := time.Since(l.epoch)
	for i := range all {
		s := &all[i]
		infos[i] = s.info(now, progress)
		infos[i].Server, infos[i].Since = server, l.epoch.Add(s.since).Round(time.Millisecond)
	}
	return infos
}

func (s *Session) info(now time.Duration, progress func(id uint64) (moved, total int64, ok bool)) Info {
	in := Info{
		ID: s.Control.ID, User: Clean(s.User), From: s.Control.Remote.String(), To: s.Control.Local.String(), TLS: s.TLS,
		Commands: s.Commands, Transfers: s.Transfers, Sent: s.Sent, Received: s.Received,
	}
	arg := Clean(s.arg)
	if !s.busy {
		in.Idle = seconds(max(0, now-s.active))
		in.Last = strings.TrimSpace(Clean(s.verb) + " " + arg)
		return in
	}
	d := &Doing{Verb: Clean(s.verb), Path: arg, Seconds: seconds(max(0, now-s.active))}
	in.Doing = d
	if s.begun == 0 {
		return in
	}
	took := max(now-s.begun, time.Millisecond)
	d.Seconds = seconds(took)
	d.Mode, d.Stance = ftp.DataMode(s.mode).String(), ftp.Stance(s.stance).String()
	if moved, total, ok := progress(in.ID); ok {
		d.Moved, d.Total, d.Rate = moved, total, int64(float64(moved)/took.Seconds())
		if Uploads(s.verb) {
			in.Received += moved
		} else {
			in.Sent += moved
		}
	}
	return in
}

// Len returns the number of sessions.
func (l *List) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}
