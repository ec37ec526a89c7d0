package callout

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestSecret: which secrets are accepted.
func TestSecret(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"0123456789abcdef", "0123456789abcdef"},
		{" \t0123456789 abcdef\r\n\n", "0123456789 abcdef"},
		{"0123456789abcde\n", "the secret has 15 bytes, but must have at least 16"},
		{"", "the secret has 0 bytes, but must have at least 16"},
		{"whsec_MDEyMzQ1Njc4OWFiY2RlZg==\n", "0123456789abcdef"},
		{"whsec_MDEyMzQ1Njc4OWFiY2Rl\n", "the secret has 15 bytes, but must have at least 16"},
		{"whsec_0123456789-abcdef", "what follows whsec_ is not base64"},
		{"WHSEC_MDEyMzQ1Njc4OWFiY2Rl", "WHSEC_MDEyMzQ1Njc4OWFiY2Rl"},
	} {
		got, err := ParseSecret([]byte(tt.text))
		if err != nil && got != nil || err == nil && string(got) != tt.want || err != nil && err.Error() != tt.want {
			t.Errorf("%q: %q, %v", tt.text, got, err)
		}
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := ReadSecret(file)
		if string(read) != string(got) || err != nil && err.Error() != fmt.Sprintf("%s: %s", file, tt.want) {
			t.Errorf("%q in a file: %q, %v", tt.text, read, err)
		}
	}
}
