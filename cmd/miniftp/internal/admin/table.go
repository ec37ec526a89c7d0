package admin

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
)

// Widths of the terminal from which on the table has more columns.
const (
	forOrigin = 60  // from, since
	forBytes  = 110 // sent, received; the ports of the clients
	forTLS    = 140 // TLS; the modes of transfers; the fullest quota, if there are any
)

// forDoing is the least number of columns for what a session does. Other columns are left out for it.
const forDoing = 16

// column is a column of the table.
type column struct {
	head  string
	least int // the width of the terminal from which on it is shown
	most  int // its own width
	right bool
	text  func(in *sessions.Info) string
}

// table returns the lines of a table of sessions that is at most width columns wide, the heading first. several is set if
// they are sessions of several servers.
func table(all []sessions.Info, width int, several bool, now time.Time) []string {
	cols := []column{
		{"ID", 0, max(10, width/4), !several, func(in *sessions.Info) string { return name(in, several) }},
		{"USER", 0, max(8, width/8), false, user},
		{"FROM", forOrigin, max(15, width/5), false, func(in *sessions.Info) string { return from(in, width >= forBytes) }},
		{"SINCE", forOrigin, 6, false, func(in *sessions.Info) string { return since(in.Since, now) }},
		{"SENT", forBytes, 8, true, func(in *sessions.Info) string { return term.Size(in.Sent) }},
		{"RECEIVED", forBytes, 8, true, func(in *sessions.Info) string { return term.Size(in.Received) }},
		{"QUOTA", forTLS, 6, true, (*sessions.Info).QuotaPercent},
		{"TLS", forTLS, 7, false, func(in *sessions.Info) string { return strings.TrimPrefix(in.TLS, "TLS ") }},
	}
	quotas := slices.ContainsFunc(all, func(in sessions.Info) bool { return len(in.Quotas) > 0 })
	cols = slices.DeleteFunc(cols, func(c column) bool { return width < c.least || c.head == "QUOTA" && !quotas })
	cells := make([][]string, len(cols))
	widths := make([]int, len(cols))
	left := width
	for n, c := range cols {
		cells[n] = append(cells[n], c.head)
		for i := range all {
			cells[n] = append(cells[n], term.Fit(ftp.Printable(c.text(&all[i])), c.most))
		}
		for _, cell := range cells[n] {
			widths[n] = max(widths[n], term.Cells(cell))
		}
		left -= widths[n] + 2
	}
	for n := len(cols) - 1; n > 1 && left < max(forDoing, width/3); n-- { // long names leave too little room
		left += widths[n] + 2
		cols = cols[:n]
	}
	lines := make([]string, len(all)+1)
	for i := range lines {
		for n, c := range cols {
			if c.right {
				lines[i] += term.PadLeft(cells[n][i], widths[n]) + "  "
			} else {
				lines[i] += term.Pad(cells[n][i], widths[n]) + "  "
			}
		}
	}
	lines[0] += "DOING"
	for i := range all {
		lines[i+1] += doing(&all[i], max(left, 8), width >= forTLS)
	}
	for i := range lines {
		lines[i] = term.Truncate(strings.TrimRight(lines[i], " "), width, "")
	}
	return lines
}

// user returns the name of a session's user.
func user(in *sessions.Info) string {
	if in.User == "" {
		return "-"
	}
	return in.User
}

// from returns where a client is, with its port if there is room.
func from(in *sessions.Info, port bool) string {
	a, err := netip.ParseAddrPort(in.From)
	switch {
	case err != nil:
		return in.From
	case port:
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
	}
	return a.Addr().Unmap().String()
}

// since returns when a session began: a time, or a date if that is longer ago than a day.
func since(t, now time.Time) string {
	if now.Sub(t) > 24*time.Hour {
		return t.Local().Format("Jan _2")
	}
	return t.Local().Format("15:04")
}

// doing describes in at most n columns what a session does.
func doing(in *sessions.Info, n int, mode bool) string {
	d := in.Doing
	if d == nil {
		idle := "idle " + term.Clock(int64(in.Idle))
		if in.User == "" {
			idle = "no login, " + idle
		}
		if in.Last != "" {
			if longer := idle + " after "; term.Cells(longer)+8 <= n {
				return longer + term.Fit(ftp.Printable(in.Last), n-term.Cells(longer))
			}
		}
		return term.Truncate(idle, n, "")
	}
	what := ftp.Printable(strings.TrimSpace(d.Verb + " " + d.Path))
	if d.Verb == "PASS" {
		what = "logging in"
	}
	for _, facts := range progress(d, mode) {
		// A name may be shortened to 16 columns to make room for the facts.
		if room := n - term.Cells(facts) - 2; facts != "" && room >= min(term.Cells(what), 16) {
			return term.Fit(what, room) + "  " + facts
		}
	}
	return term.Fit(what, n)
}

// progress returns what there is to say about the progress of a command, the longest first.
func progress(d *sessions.Doing, mode bool) (all []string) {
	if d.Mode == "" {
		if d.Seconds >= 2 {
			all = append(all, term.Clock(int64(d.Seconds)))
		}
		return all
	}
	rate := term.Size(d.Rate) + "/s"
	facts := []string{term.Size(d.Moved), rate}
	if d.Total > 0 {
		percent := strconv.FormatInt(min(100, int64(100*float64(d.Moved)/float64(d.Total))), 10) + " %"
		facts = []string{percent + " of " + term.Size(d.Total), rate}
		if d.Rate > 0 && d.Moved < d.Total {
			facts = append(facts, term.Clock((d.Total-d.Moved)/d.Rate)+" left")
		}
		all = []string{percent + "  " + rate, percent}
	} else {
		all = []string{rate}
	}
	all = append([]string{strings.Join(facts, "  ")}, all...)
	if mode {
		all = append([]string{all[0] + fmt.Sprintf("  (%s, the server %s)", d.Mode, d.Stance)}, all...)
	}
	return all
}
