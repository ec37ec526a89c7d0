package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestTrustHints: the advice in an error about a certificate works.
func TestTrustHints(t *testing.T) {
	dir := t.TempDir()
	cert, other := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "other.pem")
	verbtest.CertFile(t, cert, "localhost")
	verbtest.CertFile(t, other, "somebody")
	p := serveHere(t, "--tls", "required", "--tls-cert", cert, "mem://")
	_, addr, _ := strings.Cut(p.Log.String(), "ftpes://")
	addr, _, _ = strings.Cut(addr, "/")
	_, port, _ := strings.Cut(addr, ":")
	for _, tt := range []struct{ host, ca, why, do string }{
		{"localhost", "", "it is not signed by a known authority", "accepts only this certificate)"},
		{"127.0.0.1", "", "it is for localhost, not for 127.0.0.1", " accepts it)"},
		{"127.0.0.1", cert, "it is for localhost, not for 127.0.0.1", " instead of --ca-cert accepts it)"},
		{"localhost", other, "it is not signed by an authority in the file of --ca-cert", " instead of --ca-cert accepts it)"},
	} {
		list := func(flags ...string) (int, string) {
			code, _, errs := try(t, append(append([]string{"ls", "--retries", "0"}, flags...), "ftpes://"+tt.host+":"+port+"/")...)
			return code, errs
		}
		var flags []string
		if tt.ca != "" {
			flags = []string{"--ca-cert", tt.ca}
		}
		code, errs := list(flags...)
		if code != verb.ExitTLS || !strings.Contains(errs, tt.why) || !strings.Contains(errs, tt.do) {
			t.Errorf("%v: exit %d: %s", flags, code, errs)
		}
		pin := regexp.MustCompile(`--pin (sha256:[0-9a-f]{64})`).FindStringSubmatch(errs)
		if pin == nil {
			t.Errorf("%v: no pin in %s", flags, errs)
			continue
		}
		if code, errs := list("--pin", pin[1]); code != verb.ExitOK {
			t.Errorf("with the pin: exit %d: %s", code, errs)
		}
		if tt.ca == "" {
			continue
		}
		// With --ca-cert and --pin both must match. The error says so.
		if code, errs := list("--ca-cert", tt.ca, "--pin", pin[1]); code != verb.ExitTLS || !strings.Contains(errs, tt.do) {
			t.Errorf("with %s and the pin: exit %d: %s", tt.ca, code, errs)
		}
	}
}
