package settings

import "testing"

// TestLinesInOneGo: lineCounter reads the text only once, so that the time to check a file is
// proportional to its length.
func TestLinesInOneGo(t *testing.T) {
	text := []byte("a = 1\n\nb = 2\n[c]\nd = 3")
	l := lineCounter{text: text, line: 1}
	for _, tt := range []struct{ offset, line int }{{0, 1}, {7, 3}, {14, 4}, {17, 5}} {
		if got := l.at(tt.offset); got != tt.line || l.offset != tt.offset {
			t.Errorf("offset %d: line %d, read to %d", tt.offset, got, l.offset)
		}
	}
}
