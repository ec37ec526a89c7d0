package metrics

import (
	"bytes"
	"strings"
)

// described returns lines in the text format of Prometheus with the type and help of each family before its first
// line. Lines of families that are not in the table are left out.
func described(lines []byte) []byte {
	var out bytes.Buffer
	var last *family
	for line := range bytes.Lines(lines) {
		f := familyOf(line)
		if f == nil {
			continue
		}
		if f != last {
			out.WriteString("# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + f.kind + "\n")
			last = f
		}
		out.Write(line)
	}
	return out.Bytes()
}

// familyOf returns the family of a line, or nil.
func familyOf(line []byte) *family {
	end := bytes.IndexAny(line, "{ ")
	if end < 0 {
		return nil
	}
	name := string(line[:end])
	if f := familyNamed[name]; f != nil {
		return f
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if whole, ok := strings.CutSuffix(name, part); ok {
			if f := familyNamed[whole]; f != nil && (f.kind == histogram || f.kind == summary) {
				return f
			}
		}
	}
	return nil
}
