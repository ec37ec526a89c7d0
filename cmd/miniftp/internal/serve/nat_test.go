package serve

import (
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

// TestPassivePortsMapped: the ports to announce may differ from those to listen on, and may be in a file.
func TestPassivePortsMapped(t *testing.T) {
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "ports"), "50000-50009\n")
	for value, want := range map[string]string{
		"40000-40009":             "40000-40009 ",
		"40000-40009=50000-50009": "40000-40009 50000-50009",
		"40000-40009=@" + file:    "40000-40009 50000-50009",
		"40000-40009=50000-50008": "as many",
		"40000-40009=x":           "a range is written as",
		"=50000-50009":            "as many",
		"40000-40009=@/nowhere":   "/nowhere",
	} {
		cf := parsed(t, "--passive-ports", value)
		o := cf.options()
		got := ""
		for _, err := range cf.Problems {
			got += err.Error()
		}
		if got == "" {
			got = o.PassivePorts.String() + " "
			if !o.AnnouncedPorts.IsZero() {
				got += o.AnnouncedPorts.String()
			}
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// TestPublicIPFor: rules by network are checked, and kept in order.
func TestPublicIPFor(t *testing.T) {
	cf := parsed(t, "--public-ip-for", "10.0.0.0/8=192.0.2.1", "--public-ip-for", "192.168.1.5=as-dialed", "--public-ip-for", "fd00::/8=ftp.example.org", "--proxy-protocol", "10.0.0.5,fd00::/8")
	o := cf.options()
	if len(cf.Problems) > 0 || len(o.PublicIPFor) != 3 || o.PublicIPFor[0].Host != "192.0.2.1" || o.PublicIPFor[1].Host != server.AsDialed || len(o.ProxyProtocol) != 2 {
		t.Errorf("%+v, %v; %v", o.PublicIPFor, o.ProxyProtocol, cf.Problems)
	}
	for _, bad := range []string{"10.0.0.0/8", "x=192.0.2.1", "10.0.0.0/8=", "10.0.0.0/8=2001:db8::1", "10.0.0.0/8=two words"} {
		cf := parsed(t, "--public-ip-for", bad)
		if cf.options(); len(cf.Problems) != 1 || !strings.Contains(cf.Problems[0].Error(), "NETWORK=ADDRESS") {
			t.Errorf("%s: %v", bad, cf.Problems)
		}
	}
}

// TestQuotaKeys: quotas are read with units.
func TestQuotaKeys(t *testing.T) {
	for text, want := range map[string]server.Quota{
		`quota = "10G"`:                     {Bytes: 10_000_000_000},
		`quota = "1MiB"`:                    {Bytes: 1 << 20},
		`quota = 500` + "\nquota-files = 7": {Bytes: 500, Files: 7},
	} {
		file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), "root = \"mem://\"\n[users.a]\npassword = \"a\"\n"+text+"\n")
		cf := parsed(t, "--config", file)
		roots := newRoots(t.Context())
		opts, _ := cf.prepare(roots)
		roots.end()
		users, _ := opts.Auth.(server.Static)
		if got := users["a"].Account.Quota; len(cf.Problems) > 0 || got != want {
			t.Errorf("%s: %+v, want %+v; %v", text, got, want, cf.Problems)
		}
	}
	for _, bad := range []string{`quota = -1`, `quota = "x"`, `quota-files = "7"`, `quota-files = -1`} {
		file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), "[users.a]\npassword = \"a\"\n"+bad+"\n")
		if cf := parsed(t, "--config", file); len(cf.Problems) != 1 || !strings.Contains(cf.Problems[0].Error(), "m.toml:3") {
			t.Errorf("%s: %v", bad, cf.Problems)
		}
	}
	cf := parsed(t, "--shared-state", "/srv/state")
	roots := newRoots(t.Context())
	defer roots.end()
	if cf.prepare(roots); len(cf.Problems) != 1 || !strings.Contains(cf.Problems[0].Error(), "only in a bucket") {
		t.Errorf("a directory as shared state: %v", cf.Problems)
	}
}
