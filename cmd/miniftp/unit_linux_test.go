package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// units is the directory of the units that are part of the documentation.
var units = verbtest.InModule("docs/systemd")

// unit returns the values of each setting of the unit, in their order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(units, name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && key[0] != '#' {
			all[key] = append(all[key], value)
		}
	}
	return all
}

// TestUnits: systemd accepts the units, with and without their drop-ins, and thinks them safe.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze := verbtest.StockProgram(t, "systemd-analyze")
	program := verbtest.Program(t)
	for _, dropIn := range []string{"", "before-253.conf", "sockets-only.conf"} {
		dir := t.TempDir()
		for _, name := range []string{"miniftp.service", "miniftp.socket", "miniftp-tls.socket", "miniftp-acme.socket", dropIn} {
			if name == "" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(units, name))
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(dir, name)
			if name == dropIn {
				to = filepath.Join(dir, "miniftp.service.d", name)
				if err := os.Mkdir(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			verbtest.WriteFile(t, to, strings.ReplaceAll(string(text), "/usr/local/bin/miniftp", program)) // which must exist
		}
		verify := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "./miniftp.service", "./miniftp.socket", "./miniftp-tls.socket", "./miniftp-acme.socket")
		verify.Dir = dir
		out, err := verify.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// The systemd of the test may be older than 253; then before-253.conf is for it.
			if !strings.Contains(line, dir) && !strings.Contains(line, "miniftp") || strings.Contains(line, "Failed to parse service type, ignoring: notify-reload") {
				continue
			}
			t.Errorf("%q: %s", dropIn, line)
		}
		if err != nil {
			t.Errorf("%q: %v", dropIn, err)
		}
		security := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold=20", "./miniftp.service")
		security.Dir = dir
		if out, err := security.CombinedOutput(); err != nil {
			t.Errorf("%q: exposed by more than 2.0: %v\n%s", dropIn, err, out)
		}
	}
}

// TestUnitWords: the units agree with each other and with the program.
func TestUnitWords(t *testing.T) {
	service, plain, secure := unit(t, "miniftp.service"), unit(t, "miniftp.socket"), unit(t, "miniftp-tls.socket")
	for _, c := range []struct {
		in   map[string][]string
		key  string
		want string
	}{
		{service, "Type", "notify-reload"},
		{service, "RuntimeDirectory", "miniftp"},
		{service, "NoNewPrivileges", "yes"},
		{service, "ProtectSystem", "strict"},
		{plain, "FileDescriptorName", "ftp"},
		{secure, "FileDescriptorName", "ftps"},
		{secure, "Service", "miniftp.service"},
		{unit(t, "miniftp-acme.socket"), "FileDescriptorName", "acme-http"},
		{unit(t, "miniftp-acme.socket"), "Service", "miniftp.service"},
	} {
		if !slices.Equal(c.in[c.key], []string{c.want}) {
			t.Errorf("%s=%v, want %s", c.key, c.in[c.key], c.want)
		}
	}
	if service["ExecReload"] != nil {
		t.Error("with Type=notify-reload, systemd sends SIGHUP itself")
	}
}
