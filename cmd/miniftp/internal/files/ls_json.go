package files

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// jsonEntry is one object of ls --json and stat --json.
type jsonEntry struct {
	Name     string `json:"name"`
	Raw      []byte `json:"raw,omitempty"` // the name in base64, if it is not UTF-8
	Type     string `json:"type"`          // file, dir, link, or other
	Size     *int64 `json:"size,omitempty"`
	Modified string `json:"modified,omitempty"` // RFC 3339
	Mode     string `json:"mode,omitempty"`     // octal
	Perm     string `json:"perm,omitempty"`     // the MLSx fact
	Owner    string `json:"owner,omitempty"`
	Group    string `json:"group,omitempty"`
	Target   string `json:"target,omitempty"`
	Unique   string `json:"unique,omitempty"`
}

func toJSON(it listed) jsonEntry {
	j := jsonEntry{
		Name: it.name, Type: it.Type.String(), Perm: it.Perm, Owner: it.Owner, Group: it.Group, Target: it.Target, Unique: it.Unique,
	}
	if !utf8.ValidString(it.name) {
		j.Raw = []byte(it.name)
	}
	if it.IsDir() {
		j.Type = "dir"
	}
	if it.Size >= 0 {
		j.Size = &it.Size
	}
	if !it.Modified.IsZero() {
		j.Modified = it.Modified.UTC().Format(time.RFC3339)
	}
	if it.HasMode {
		j.Mode = fmt.Sprintf("%04o", it.Mode.Perm())
	}
	return j
}
