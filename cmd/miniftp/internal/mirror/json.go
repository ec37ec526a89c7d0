package mirror

import (
	"path"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/client"
)

// resultRow is one line of --json: an Action.
type resultRow struct {
	Action  string  `json:"action"`
	Path    string  `json:"path"`
	Raw     []byte  `json:"raw,omitempty"` // Path in base64, if it is not UTF-8
	Size    *int64  `json:"size,omitempty"`
	Why     string  `json:"why,omitempty"`
	Target  string  `json:"target,omitempty"`
	Bytes   *int64  `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	meter.Trouble
	Exit int `json:"exit,omitempty"`
}

func (s *display) row(a client.Action, err error) resultRow {
	row := resultRow{Action: s.word(a), Path: path.Join(a.Path, "."), Why: a.Why, Target: a.Target, Seconds: a.Result.Took.Seconds()}
	if !utf8.ValidString(a.Path) {
		row.Raw = []byte(a.Path)
	}
	if a.Kind == client.CopyFile && a.Size >= 0 {
		row.Size = &a.Size
		if !s.dry {
			row.Bytes = &a.Result.Bytes
		}
	}
	row.Trouble, row.Exit = meter.TroubleOf("mirror", err)
	return row
}

// summary is the last line of --json. Here failed counts what the mirror says failed.
func summary(s verb.Summary, r client.MirrorResult) any {
	return struct {
		Verb      string  `json:"verb"`
		Files     int64   `json:"files"`
		Bytes     int64   `json:"bytes"`
		Unchanged int64   `json:"unchanged"`
		Dirs      int64   `json:"directories"`
		Links     int64   `json:"links"`
		Changed   int64   `json:"changed"`
		Deleted   int64   `json:"deleted"`
		Skipped   int64   `json:"left_out"`
		Done      int     `json:"done"`
		Failed    int     `json:"failed"`
		Seconds   float64 `json:"seconds"`
		Exit      int     `json:"exit"`
	}{
		s.Verb, r.Files, r.Bytes, r.Unchanged, r.Dirs, r.Links, r.Changed, r.Deleted, r.Skipped, s.Done,
		max(s.Failed, int(r.Failed)), r.Took.Seconds(), s.Exit,
	}
}
