package ftp

import (
	"maps"
	"slices"
	"strings"
)

// Features is what a server says it can do beyond RFC 959: verbs in upper case
// with their parameters (RFC 2389 §3.2).
type Features map[string]string

// FeatureMiniftp is the feature that identifies our server. A client that sees it may send several
// commands in one write, which are answered in order, and need not upload to a temporary name.
const FeatureMiniftp = "X-MINIFTP"

// ParseFeatures reads the answer to FEAT. A refusal has no features. Verbs that
// stand on several lines have their parameters joined by ';'.
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

// Has reports whether the server named verb, in upper case.
func (f Features) Has(verb string) bool {
	_, ok := f[verb]
	return ok
}

// FormatReply is the answer to FEAT, the verbs in order of the alphabet, each
// on a line with one blank before it (RFC 2389 §3.2).
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
