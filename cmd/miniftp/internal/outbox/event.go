package outbox

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp/server"
)

// Event is what a receiver gets, as JSON. docs/hooks.md documents its fields. Fields that are empty, 0 or false are left
// out, except for the first six.
type Event struct {
	Version int       `json:"v"`
	ID      string    `json:"id"` // the same for each delivery of an event
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Server  string    `json:"server"`
	User    string    `json:"user"`

	Session uint64 `json:"session,omitempty"`
	From    string `json:"from,omitempty"`
	Verb    string `json:"verb,omitempty"`
	Path    string `json:"path,omitempty"` // virtual and absolute
	To      string `json:"to,omitempty"`
	// PathBytes and ToBytes are the paths if they are not UTF-8. JSON can't hold such texts, so Path and To have a
	// replacement character for each wrong byte.
	PathBytes []byte `json:"path_bytes,omitempty"`
	ToBytes   []byte `json:"to_bytes,omitempty"`
	Offset    int64  `json:"offset,omitempty"`
	Bytes     int64  `json:"bytes,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	Recovered bool   `json:"recovered,omitempty"`
}

// kindOf maps the verbs of server.Change to the kinds of events.
var kindOf = map[string]string{
	"STOR": "upload", "STOU": "upload", "APPE": "upload", "RETR": "download", "DELE": "delete", "RNTO": "rename",
	"MKD": "mkdir", "RMD": "rmdir", "USER": "login",
}

// Kinds holds the kinds of events, in the order of the documentation.
var Kinds = []string{"upload", "download", "delete", "rename", "mkdir", "rmdir", "login"}

// afterwards reports whether a Change of a kind is reported when it is done.
func afterwards(kind string) bool { return kind == "download" || kind == "login" }

// newEvent returns the event of a change.
func newEvent(c server.Change, name string) Event {
	var id [16]byte
	_, _ = rand.Read(id[:])
	e := Event{
		Version: sessions.Version, ID: hex.EncodeToString(id[:]), Time: time.Now().UTC(), Kind: kindOf[c.Verb], Server: name, User: c.User,
		Verb: c.Verb, Path: c.Path, To: c.To, Offset: c.Offset, Bytes: c.Bytes, SHA256: c.SHA256,
	}
	if c.Verb == "USER" {
		e.Verb = ""
	}
	if c.Control != nil {
		e.Session, e.From = c.Control.ID, c.Control.Remote.String()
	}
	if !utf8.ValidString(c.Path) {
		e.PathBytes = []byte(c.Path)
	}
	if !utf8.ValidString(c.To) {
		e.ToBytes = []byte(c.To)
	}
	return e
}

// path and to return the exact paths.
func (e *Event) path() string { return exact(e.Path, e.PathBytes) }
func (e *Event) to() string   { return exact(e.To, e.ToBytes) }

func exact(text string, raw []byte) string {
	if len(raw) > 0 {
		return string(raw)
	}
	return text
}

// change returns the change that an event is about, to find out whether it was made.
func (e *Event) change(before server.FileState) server.Change {
	c := server.Change{User: e.User, Verb: e.Verb, Path: e.path(), To: e.to(), Before: before}
	if e.Kind == "login" {
		c.Verb = "USER"
	}
	return c
}

// isTree reports whether an event may concern all files below its paths.
func (e *Event) isTree() bool { return slices.Contains([]string{"rename", "mkdir", "rmdir"}, e.Kind) }
