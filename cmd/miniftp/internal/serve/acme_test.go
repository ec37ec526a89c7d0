package serve

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestCertificatesOfACMEAndFiles: names of --tls-acme get the certificates of the authority, other names those of files, and
// clients that ask for none get the first of the authority. A file that fits takes the place of a missing one.
func TestCertificatesOfACMEAndFiles(t *testing.T) {
	dir := t.TempDir()
	verbtest.CertFile(t, filepath.Join(dir, "file.pem"), "file.example")
	verbtest.CertFile(t, filepath.Join(dir, "late.pem"), "late.example")
	cs, err := loadCertificates([]string{filepath.Join(dir, "file.pem"), filepath.Join(dir, "late.pem")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cs.log = slog.New(slog.NewTextHandler(&log, nil))
	cs.authority = acmecert.Config{Directory: "https://127.0.0.1:1/dir", Dir: dir}
	cs.hosts = []string{"one.example", "two.example", "late.example", "missing.example"}
	files := cs.authority.Files(cs.hosts)[1:]
	if err := os.MkdirAll(filepath.Dir(files[0]), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := local.SavePEM(files[i], verbtest.MakeCert(t, cs.hosts[i], time.Now().Add(90*24*time.Hour), nil)); err != nil {
			t.Fatal(err)
		}
	}
	cs.acme = acmecert.New(cs.authority, cs.log, func() {})
	cs.acme.Use(cs.hosts, false)
	for name, want := range map[string]string{
		"": "one.example", "one.example": "one.example", "TWO.example": "two.example", "file.example": "file.example",
		"late.example": "late.example", "other.example": "one.example",
	} {
		if got := certificateFor(t, cs, name).Subject.CommonName; got != want {
			t.Errorf("a client that asks for %q gets the certificate of %s, want that of %s", name, got, want)
		}
	}
	for range 3 {
		if cert, err := cs.get(&tls.ClientHelloInfo{ServerName: "missing.example", SupportedVersions: []uint16{tls.VersionTLS13}}); err == nil {
			t.Errorf("missing.example gets the certificate of %v", cert.Leaf.Subject)
		}
	}
	if text := log.String(); strings.Count(text, "a TLS handshake was refused, because there is no certificate yet\" host=missing.example") != 1 {
		t.Errorf("the log says %s", text)
	}
	if all := cs.list(); len(all) != 6 || all[0].Names[0] != "one.example" || !all[2].NotAfter.IsZero() || all[4].File == "" {
		t.Errorf("%+v", all)
	}
}

// TestACMEMistakes: mistakes in the settings of --tls-acme are found by config check, which asks no authority.
func TestACMEMistakes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	for text, want := range map[string]string{
		`acme = ["ftp.example.org"]`:                             "",
		"acme = [\"ftp.example.org\"]\ncert = \"c.pem\"":         "",
		`acme = ["*.example.org"]`:                               "m.toml:2: tls.acme \"*.example.org\": a wildcard can't be had this way: name each host",
		`acme = ["192.0.2.1"]`:                                   "is an address: name the host",
		`acme = ["a b"]`:                                         "is not the name of a host",
		`acme = ["../x"]`:                                        "is not the name of a host",
		`acme = ["bücher.example"]`:                              "xn--",
		`acme = [""]`:                                            "a name is missing",
		"acme = [\"a.example\"]\nself-signed = true":             "can't be used together",
		"acme = [\"a.example\"]\nacme-directory = \"http://x/\"": "must be a URL that begins with https://",
		"acme = [\"a.example\"]\nacme-ca = \"none.pem\"":         "none.pem",
		"acme = [\"a.example\"]\nacme-email = \"admin\"":         "not an address such as admin@example.org",
		"acme = [\"a.example\"]\nacme-http = \"nonsense\"":       "write :80, 127.0.0.1:8080 or off",
		"acme = [\"a.example\"]\nacme-alpn = \"443\"":            "write :80, 127.0.0.1:8080 or off",
		"acme-http = \":8080\"":                                  "has no effect without TLS",
		"cert = \"c.pem\"\nacme-http = \":8080\"":                "m.toml:3: tls.acme-http has no effect without --tls-acme",
		"acme = [\"" + strings.Join(strings.Fields(strings.Repeat("a ", 3)), "\",\"") + "\"]": "",
	} {
		verbtest.CertFile(t, filepath.Join(dir, "c.pem"), "c.example")
		file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "[tls]\n"+text+"\n")
		code, out, errs := try(t, "config", "check", file)
		if want == "" && (code != verb.ExitOK || !strings.Contains(out, "TLS is optional")) || want != "" && (code == verb.ExitOK || strings.Count(errs, want) != 1) {
			t.Errorf("%s: exit %d: %s%s, want %q", text, code, out, errs, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "miniftp")); err == nil {
		t.Error("config check has made the directory of the keys")
	}
}

// TestACMENeedsListener: without a listener for the authority, or if its address is in use, the server does not start, and
// says why. A reload can't add the first host.
func TestACMENeedsListener(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"--tls-acme-http", "off"}, "--tls-acme needs --tls-acme-http or --tls-acme-alpn"},
		{[]string{"--tls-acme-http", used.Addr().String()}, "--tls-acme-http: can't listen on " + used.Addr().String() + " for the authority of --tls-acme: address already in use"},
		{[]string{"--tls-acme-http", "off", "--tls-acme-alpn", used.Addr().String()}, "--tls-acme-alpn: can't listen on "},
	} {
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--control", "off", "--tls-acme", "a.example"}, tt.args...)
		if code, _, errs := try(t, append(args, "mem://")...); code == verb.ExitOK || !strings.Contains(errs, tt.says) {
			t.Errorf("%v: exit %d: %s", tt.args, code, errs)
		}
	}
}
