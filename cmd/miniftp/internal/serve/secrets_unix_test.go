//go:build unix

package serve

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestSecrets: the secrets for web services follow the same rules, whatever they are for.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	const runAs = "run-as = \"12345:12346\"\n"
	for _, tt := range []struct {
		text string
		mode os.FileMode
		also string // in the configuration
		exit int
		want string // FILE is the path
	}{
		{"0123456789abcdef\n", 0o600, "", verb.ExitOK, ""},
		{"0123456789abcdef\n", 0o640, "", verb.ExitOK, ".secret-file: FILE can be read by others: chmod 600 it"},
		{"0123456789abcdef\n", 0o604, "", verb.ExitOK, ".secret-file: FILE can be read by others: chmod 600 it"},
		{"0123456789abcdef\n", 0o640, runAs, verb.ExitOK, ""},
		{"0123456789abcdef\n", 0o644, runAs, verb.ExitOK, ".secret-file: FILE can be read by others: chmod 640 it"},
		{"whsec_MDEyMzQ1Njc4OWFiY2RlZg==", 0o600, "", verb.ExitOK, ""},
		{"0123456789abcde\n", 0o600, "", verb.ExitUsage, ".secret-file FILE: the secret has 15 bytes, but must have at least 16"},
		{"whsec_0123456789-abcdef", 0o600, "", verb.ExitUsage, ".secret-file FILE: what follows whsec_ is not base64"},
	} {
		file := verbtest.WriteFile(t, filepath.Join(dir, "secret"), tt.text)
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"[auth]\nsources", "[gate]\ncheckers", "[hooks]\noutbox = \"outbox\"\nhook"} {
			conf := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"mem://\"\n"+tt.also+table+" = \"https://host/\"\nsecret-file = \"secret\"\n")
			code, out, errs := try(t, "config", "check", conf)
			if want := strings.ReplaceAll(tt.want, "FILE", file); code != tt.exit || !strings.Contains(out+errs, want) || want == "" && strings.Contains(out+errs, "secret-file") {
				t.Errorf("%s, %q, mode %v: exit %d: %s%s", table, tt.text, tt.mode, code, out, errs)
			}
		}
	}
}

// TestGateSecretInBase64: the secret of --gate may be in base64, as that of the other web services.
func TestGateSecretInBase64(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
		for _, name := range []string{"Timestamp", "Sha256", "Size", "User", "Path", "From", "Verb"} {
			fmt.Fprintln(mac, r.Header.Get("Miniftp-"+name))
		}
		fmt.Fprintf(w, `{"allow":%v}`, r.Header.Get("Miniftp-Signature") == "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}))
	defer s.Close()
	secret := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "secret"), "whsec_MDEyMzQ1Njc4OWFiY2RlZg==\n")
	p := verbtest.Serve(t, verbs, "--user", "rw:x", "--gate", s.URL, "--gate-secret-file", secret, "mem://")
	if said, ok := curlPut(t, p.Addr, "a", "content"); !ok {
		t.Errorf("curl says:\n%s", said)
	}
}
