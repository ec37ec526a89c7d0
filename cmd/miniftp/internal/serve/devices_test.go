package serve

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

// TestCompat: the compat of a user overrides that of the group, and that --compat.
func TestCompat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.toml")
	for _, tt := range []struct {
		text string
		args []string
		want map[string]server.Compat
	}{
		{"[users.a]\npassword = \"p\"", nil, map[string]server.Compat{"a": 0}},
		{"compat = \"device\"\n[users.a]\npassword = \"p\"\n[users.b]\npassword = \"p\"\ncompat = \"none\"", nil, map[string]server.Compat{"a": server.CompatDevice, "b": 0}},
		{"[groups.cams]\ncompat = \"device\"\n[users.a]\npassword = \"p\"\ngroup = \"cams\"\n[users.b]\npassword = \"p\"\ngroup = \"cams\"\ncompat = \"none\"", nil, map[string]server.Compat{"a": server.CompatDevice, "b": 0}},
		{"[users.a]\npassword = \"p\"\ncompat = \"device\"", []string{"--user", "b:p"}, map[string]server.Compat{"a": server.CompatDevice, "b": 0}},
		{"[users.a]\npassword = \"p\"\ncompat = \"none\"", []string{"--user", "b:p:drop", "--compat", "device"}, map[string]server.Compat{"a": 0, "b": server.CompatDevice}},
	} {
		verbtest.WriteFile(t, file, tt.text)
		cf := parsed(t, append([]string{"--listen", ":0", "--config", file}, tt.args...)...)
		roots := newRoots(t.Context())
		users := cf.static(roots, map[string]bool{})
		roots.end()
		for _, err := range cf.Problems {
			t.Error(err)
		}
		for name, want := range tt.want {
			if got := users[name].Account.Compat; got != want {
				t.Errorf("%s\n%v: %s has %d, want %d", tt.text, tt.args, name, got, want)
			}
		}
	}
	for _, word := range []string{"camera", "", "devices"} {
		if all := parsed(t, "--compat", word); len(all.Problems) == 0 {
			t.Errorf("--compat %q is accepted", word)
		}
		one := problemsOf(t, "[users.a]\npassword = \"p\"\ncompat = \""+word+"\"")
		if len(one) != 1 || !strings.Contains(one[0], "must be none or device") {
			t.Errorf("compat = %q: %v", word, one)
		}
	}
}

// TestTLSOldFor: --tls-old-for is passed on, and warned of. It needs TLS, and a certificate that old clients understand.
func TestTLSOldFor(t *testing.T) {
	rsa := filepath.Join(t.TempDir(), "rsa.pem")
	rsaCertificate(t, rsa)
	const danger, other = "may use TLS 1.0", "certificate with an RSA key"
	for _, tt := range []struct {
		args     []string
		networks []netip.Prefix
		warned   []string
		mistake  string
	}{
		{[]string{"--tls-cert", rsa}, nil, nil, ""},
		{[]string{"--tls-cert", rsa, "--tls-old-for", "192.168.7.0/24,10.0.0.5"}, []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("10.0.0.5/32")}, []string{danger}, ""},
		{[]string{"--tls-self-signed", "--tls-old-for", "192.168.7.0/24"}, []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}, []string{danger, other}, ""},
		{[]string{"--tls-old-for", "192.168.7.0/24"}, nil, nil, "--tls-old-for has no effect without TLS"},
		{[]string{"--tls-cert", rsa, "--tls-old-for", "192.168.7.1/24"}, nil, nil, "has bits set after its prefix"},
	} {
		roots := newRoots(t.Context())
		cf := parsed(t, append([]string{"--listen", ":0"}, tt.args...)...)
		cf.trial = true
		opts, _ := cf.prepare(roots)
		roots.end()
		if !slices.Equal(opts.OldTLS, tt.networks) {
			t.Errorf("%v: %v", tt.args, opts.OldTLS)
		}
		for _, text := range []string{danger, other} {
			warned := slices.ContainsFunc(cf.Warnings, func(w string) bool { return strings.Contains(w, text) })
			if warned != slices.Contains(tt.warned, text) {
				t.Errorf("%v: warnings %q", tt.args, cf.Warnings)
			}
		}
		failed := slices.ContainsFunc(cf.Problems, func(err error) bool { return tt.mistake != "" && strings.Contains(err.Error(), tt.mistake) })
		if failed != (tt.mistake != "") || tt.mistake == "" && len(cf.Problems) > 0 {
			t.Errorf("%v: problems %v", tt.args, cf.Problems)
		}
	}
}
