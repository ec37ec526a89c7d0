package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestCheckWritesNothing: config check creates neither a certificate nor a log, but reports those that
// serve could not create, with the line.
func TestCheckWritesNothing(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	verbtest.WriteFile(t, filepath.Join(dir, "plain"), "")
	for _, tt := range []struct{ state, text, want string }{
		{state, "[tls]\nself-signed = true\n[log]\nfile = \"log\"\nxferlog = \"plain\"", ""},
		{state, "[log]\nfile = \"none/log\"", "m.toml:2: DIR/none/log: no such file or directory"},
		{state, "[log]\nxferlog = \".\"", "m.toml:2: DIR: is a directory"},
		{state, "[log]\nfile = \"plain/log\"", "m.toml:2: DIR/plain/log: not a directory"},
		{filepath.Join(dir, "plain", "x"), "[tls]\nself-signed = true", "m.toml:2: DIR/plain/x/miniftp/self-signed.pem: not a directory"},
	} {
		t.Setenv("XDG_STATE_HOME", tt.state)
		name := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), tt.text)
		code, _, errs := try(t, "config", "check", name)
		if tt.want == "" && (code != verb.ExitOK || errs != "") {
			t.Errorf("%s: exit %d: %s", tt.text, code, errs)
		}
		if tt.want != "" && (code != verb.ExitLocal || filepath.Separator == '/' && !strings.Contains(errs, strings.ReplaceAll(tt.want, "DIR", dir))) {
			t.Errorf("%s: exit %d: %s", tt.text, code, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
			t.Errorf("%s: there are now %v", tt.text, left)
		}
	}

	// An existing certificate is checked, and an expired one is not replaced.
	t.Setenv("XDG_STATE_HOME", state)
	file, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	if err := local.SavePEM(file, verbtest.MakeCert(t, "old", time.Now().Add(-time.Minute), nil)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(file)
	name := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "[tls]\nself-signed = true")
	if code, _, errs := try(t, "config", "check", name); code != verb.ExitOK {
		t.Errorf("exit %d: %s", code, errs)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the certificate was changed: %v", err)
	}
	verbtest.WriteFile(t, file, "nonsense")
	if code, _, errs := try(t, "config", "check", name); code != verb.ExitLocal || !strings.Contains(errs, "remove the file") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestShowFindsBadWords: config show refuses the values that serve refuses.
func TestShowFindsBadWords(t *testing.T) {
	for _, args := range [][]string{{"--tls", "bogus"}, {"--tls-session-reuse", "x"}, {"--log-level", "x"}, {"--log-format", "x"}} {
		if code, out, errs := try(t, append([]string{"config", "show"}, args...)...); code != verb.ExitUsage || out != "" || !strings.Contains(errs, args[0]+" ") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// TestPasswdKeepsBadFile: passwd does not change a users file with a malformed line, unless that is the
// line of the user whom it changes.
func TestPasswdKeepsBadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	for _, tt := range []struct {
		text string
		args []string
		want string // of the error; "" is none
	}{
		{"a:b\nbad line\n", []string{"bob"}, file + ":2: a line is NAME:PASSWORD"},
		{"a:b\nbad line\n", []string{"--delete", "a"}, file + ":2: a line is NAME:PASSWORD"},
		{"a:b\na:c\n", []string{"bob"}, file + ":2: duplicate user a; nothing was changed"},
		{"a:b\na:c\nd:e\n", []string{"a"}, ""},
		{"a:b\nbob\n", []string{"bob"}, ""},
		{"a:b\nbob\n", []string{"--delete", "bob"}, ""},
		{"\ufeffa:b\n", []string{"--delete", "a"}, ""},
	} {
		verbtest.WriteFile(t, file, tt.text)
		code, _, errs := try(t, append([]string{"passwd", "--file", file}, tt.args...)...)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if tt.want != "" {
			if code != verb.ExitUsage || !strings.Contains(errs, tt.want) || string(text) != tt.text {
				t.Errorf("%q %v: exit %d: %s%s", tt.text, tt.args, code, errs, text)
			}
			continue
		}
		lines, _, err := users.Read(file)
		if code != verb.ExitOK || err != nil || users.OthersAreFine(file, lines, "") != nil {
			t.Errorf("%q %v: exit %d: %s%s", tt.text, tt.args, code, errs, text)
		}
	}
}

// TestEndlessFiles: files longer than any that a person would write are refused.
func TestEndlessFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	verbtest.WriteFile(t, file, "")
	if err := os.Truncate(file, local.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	for name, err := range everyReader(file) {
		if err == nil || !strings.Contains(err.Error(), "the file is larger than") || verb.ExitCode(err) != verb.ExitLocal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// everyReader reads a file with each function that reads files of serve, and returns their errors.
func everyReader(file string) map[string]error {
	errs := map[string]error{}
	errs["configuration"] = settings.FromFile(file).Problems[0]
	_, _, errs["users"] = users.Read(file)
	_, errs["authorities"] = local.Authorities(file)
	_, errs["certificate"] = local.KeyPair(file, file)
	_, errs["certificates"] = loadCertificates([]string{file}, nil)
	return errs
}

// TestInvalidListen: an address that can't be listened on, and an empty list, are mistakes.
func TestInvalidListen(t *testing.T) {
	for text, want := range map[string]string{
		`listen = ["999.1.1.1:21"]`:                    "m.toml:1: listen \"999.1.1.1:21\": not an address to listen on",
		`listen = []`:                                  "m.toml:1: listen is empty",
		"listen = [\"127.0.0.1:2121\"]":                "",
		"listen = [\"localhost:2121\"]":                "",
		"[unknown]\nx = 1\n[unknown.below]\n[other]\n": "m.toml:2: unknown.x: unknown setting",
		"listen = [\"1.1:2121\"]":                      "m.toml:1: listen \"1.1:2121\"",
	} {
		name := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), text)
		code, _, errs := try(t, "config", "check", name)
		if want == "" && code != verb.ExitOK || want != "" && (code != verb.ExitUsage || !strings.Contains(errs, want)) {
			t.Errorf("%s: exit %d: %s", text, code, errs)
		}
	}
}
