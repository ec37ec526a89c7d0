package dtp

import (
	"crypto/tls"
	"testing"
)

// A server that lets old clients use TLS 1.0 does not use it itself when it is the TLS client (FXP).
func TestReversedIsNotOld(t *testing.T) {
	for least, want := range map[uint16]uint16{0: tls.VersionTLS12, tls.VersionTLS10: tls.VersionTLS12, tls.VersionTLS13: tls.VersionTLS13} {
		s := ServerSecurity(&tls.Config{MinVersion: least}, ReusePrefer)
		if got := s.Reversed(nil).data.MinVersion; got != want {
			t.Errorf("%s: %s", tls.VersionName(least), tls.VersionName(got))
		}
	}
}
