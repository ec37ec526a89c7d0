package serve

import "testing"

func TestEscapeAll(t *testing.T) {
	for name, want := range map[string]string{"plain-1_a.txt~": "plain-1_a.txt~", "a b": "a%20b", "$(x)'\"": "%24%28x%29%27%22", "é#?;": "%C3%A9%23%3F%3B", "50%": "50%25"} {
		if got := escapeAll(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
