package serve

import "testing"

// TestEscapeAll: names in URLs are escaped, so that a shell does not interpret them.
func TestEscapeAll(t *testing.T) {
	for name, want := range map[string]string{"plain-1_a.txt~": "plain-1_a.txt~", "a b": "a%20b", "$(x)'\"": "%24%28x%29%27%22", "é#?;": "%C3%A9%23%3F%3B", "50%": "50%25"} {
		if got := escapeAll(name); got != want {
			t.Errorf("escapeAll(%q) = %q, want %q", name, got, want)
		}
	}
}
