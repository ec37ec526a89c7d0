package client_test

import (
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
)

// TestAgainstPeers does with the stock servers what TestAgainstOurServer does with ours.
func TestAgainstPeers(t *testing.T) {
	t.Parallel()
	for _, name := range peers.Names() {
		for _, ipv6 := range []bool{false, true} {
			for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
				if ipv6 == (mode == ftp.Passive) && !testutil.Soaking {
					continue // TestAgainstOurServer covers the rest
				}
				family := map[bool]string{false: "IPv4", true: "IPv6"}[ipv6]
				t.Run(name+"/"+family+"/"+mode.String(), func(t *testing.T) {
					t.Parallel()
					s := peers.Start(t, name, t.TempDir(), peers.Options{IPv6: ipv6})
					p := peer{addr: s.Addr, user: s.User, password: s.Password, mode: mode}
					p.odd = func(file string) bool { return !stumbles(name, file) }
					p.exercise(t)
				})
			}
		}
	}
}

// stumbles reports the names that a peer itself refuses or changes.
func stumbles(peer, file string) bool {
	switch peer {
	case "proftpd":
		return strings.Contains(file, "*")
	case "pure-ftpd":
		return strings.ContainsAny(file, "\\\t") || strings.HasSuffix(file, " ")
	}
	return false
}
