package ftp

import (
	"maps"
	"slices"
	"strings"
)

// Features holds the extensions that a server announces in its reply to FEAT:
// verbs in upper case, with their parameters (RFC 2389 §3.2).
type Features map[string]string

// FeatureMiniftp is the feature that identifies our server. A client that sees it may send several
// commands in one write, which are answered in order, and need not upload to a temporary name.
const FeatureMiniftp = "X-MINIFTP"

// ParseFeatures parses the reply to FEAT. If the server refused FEAT, the result
// is empty. If a verb is on several lines, its parameters are joined by ';'.
func ParseFeatures(r Reply) Features {
	f := Features{}
	if r.Code.Class() != Completion || len(r.Lines) < 3 {
		return f
	}
	for _, line := range r.Lines[1 : len(r.Lines)-1] {
		if len(line) > 4 && line[3] == '-' && isDigit(line[0]) {
			line = line[4:] // "211-MDTM", as some servers write
		}
		verb, params, _ := strings.Cut(strings.Trim(line, " \t"), " ")
		if verb == "" {
			continue
		}
		verb = strings.ToUpper(verb)
		if before := f[verb]; before != "" && params != "" {
			params = before + ";" + params
		} else if params == "" {
			params = before
		}
		f[verb] = params
	}
	return f
}

// Has reports whether the server announced verb, which must be in upper case.
func (f Features) Has(verb string) bool {
	_, ok := f[verb]
	return ok
}

// FormatReply returns the reply to FEAT. The verbs are in alphabetical order,
// each on a line that begins with one blank (RFC 2389 §3.2).
func (f Features) FormatReply() Reply {
	if len(f) == 0 {
		return NewReply(211, "No features")
	}
	lines := make([]string, 0, len(f)+2)
	lines = append(lines, "Features:")
	for _, verb := range slices.Sorted(maps.Keys(f)) {
		lines = append(lines, strings.TrimRight(" "+verb+" "+f[verb], " "))
	}
	return NewReply(211, append(lines, "End")...)
}
