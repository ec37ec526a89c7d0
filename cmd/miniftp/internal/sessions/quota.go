package sessions

import (
	"fmt"
	"strings"

	"miniftp/cmd/miniftp/internal/term"
)

// Quota is what a user has used of a quota. A limit of 0 means no limit.
type Quota struct {
	User     string `json:"-"`
	Path     string `json:"path"` // "/", or that of a mount
	Bytes    int64  `json:"bytes"`
	MaxBytes int64  `json:"max-bytes,omitempty"`
	Files    int64  `json:"files"`
	MaxFiles int64  `json:"max-files,omitempty"`
}

// WithQuotas gives each session the quotas of its user.
func WithQuotas(all []Info, quotas []Quota) []Info {
	byUser := map[string][]Quota{}
	for _, q := range quotas {
		byUser[Clean(q.User)] = append(byUser[Clean(q.User)], q)
	}
	for i := range all {
		if all[i].User != "" {
			all[i].Quotas = byUser[all[i].User]
		}
	}
	return all
}

// percent returns how much of a quota is used, of the bytes or of the files, whichever is more.
func (q *Quota) percent() int64 {
	var most int64
	for _, part := range [][2]int64{{q.Bytes, q.MaxBytes}, {q.Files, q.MaxFiles}} {
		if used, limit := part[0], part[1]; limit > 0 {
			most = max(most, int64(100*float64(used)/float64(limit)))
		}
	}
	return most
}

// QuotaPercent returns how much of the fullest quota is used, as "87 %", or "" if there is none.
func (in *Info) QuotaPercent() string {
	if len(in.Quotas) == 0 {
		return ""
	}
	var most int64
	for i := range in.Quotas {
		most = max(most, in.Quotas[i].percent())
	}
	return fmt.Sprintf("%d %%", most)
}

// QuotaText says what is used of the quotas, as "/ 1.2 MB of 10 MB, /in 3 of 100 files", or "".
func (in *Info) QuotaText() string {
	var all []string
	for _, q := range in.Quotas {
		var parts []string
		if q.MaxBytes > 0 {
			parts = append(parts, term.Size(q.Bytes)+" of "+term.Size(q.MaxBytes))
		}
		if q.MaxFiles > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d files", q.Files, q.MaxFiles))
		}
		all = append(all, Clean(q.Path)+" "+strings.Join(parts, " and "))
	}
	return strings.Join(all, ", ")
}
