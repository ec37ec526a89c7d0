package server

import (
	"crypto/tls"
	"strings"

	"miniftp/ftp/dtp"
)

// forOldClients returns c for the clients of Options.OldTLS: TLS from version 1.0 on, with all cipher suites of package tls but
// those with RC4, which can be broken by listening. 3DES is among them, because scanners with the TLS of Windows XP have
// nothing better. The suites must be named: package tls leaves out those with the RSA key exchange and 3DES otherwise.
func forOldClients(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MinVersion, c.CipherSuites = tls.VersionTLS10, nil
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !strings.Contains(suite.Name, "_RC4_") {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
	return c
}

// security returns the TLS of a new session, if Options.TLS is set.
func (s *session) security() *dtp.Security {
	if len(s.set.OldTLS) == 0 || !in(s.set.OldTLS, s.control.Remote.Addr()) {
		return dtp.ServerSecurity(s.set.tls, s.set.SessionReuse)
	}
	reuse := s.set.SessionReuse
	if reuse == dtp.ReuseRequire { // old clients can't
		reuse = dtp.ReusePrefer
	}
	return dtp.ServerSecurity(s.set.oldTLS, reuse)
}
