package callout

import (
	"io"
	"strings"
	"testing"
)

const limit = 100

// write writes each text to w, which must take all of it: a program that writes more must not fail.
func write(t *testing.T, w io.Writer, texts []string) {
	t.Helper()
	for _, text := range texts {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Error(n, err)
		}
	}
}

func TestHead(t *testing.T) {
	long := strings.Repeat("x", limit)
	for _, tt := range []struct {
		writes []string
		want   string
		cut    bool
	}{
		{nil, "", false},
		{[]string{"a", "b\n"}, "ab\n", false},
		{[]string{long}, long, false},
		{[]string{long, ""}, long, false},
		{[]string{long, "y"}, long, true},
		{[]string{"y", long, "z"}, "y" + long[1:], true},
		{[]string{long + "y"}, long, true},
	} {
		full := false
		h := &Head{Max: limit, Full: func() { full = true }}
		write(t, h, tt.writes)
		write(t, &Head{Max: limit}, tt.writes)
		if string(h.Bytes()) != tt.want || h.Cut() != tt.cut || full != tt.cut {
			t.Errorf("%q: %q, cut %v, full %v", tt.writes, h.Bytes(), h.Cut(), full)
		}
	}
}

func TestTail(t *testing.T) {
	long := strings.Repeat("x", limit)
	for _, tt := range []struct {
		writes []string
		want   string
	}{
		{nil, ""},
		{[]string{"a\nb\n\n"}, "b"},
		{[]string{"a\nb", "c"}, "bc"},
		{[]string{long + "\nlast"}, "last"},
		{[]string{long, "\nla", "st"}, "last"},
		{[]string{"secret" + long}, ""}, // its beginning is missing
		{[]string{"secret", long}, ""},
	} {
		b := &Tail{Max: limit}
		write(t, b, tt.writes)
		if got := b.LastLine(); got != tt.want || len(b.b) > limit {
			t.Errorf("%.30q: %.30q", tt.writes, got)
		}
	}
}

func TestFirstLine(t *testing.T) {
	for in, want := range map[string]string{
		" a\nb":                  "a",
		"\n\n a \nb":             "a",
		"a\rb\x1b[2J\x00":        "a?b?[2J?",
		"":                       "",
		"\xff":                   "?",
		strings.Repeat("é", 200): strings.Repeat("é", 100) + "…",
	} {
		if got := FirstLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Clean(" a\r\nb "); got != "a??b" {
		t.Errorf("%q", got)
	}
}
