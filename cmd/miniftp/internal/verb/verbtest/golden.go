package verbtest

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Long skips a test that takes more than a moment where the tests run with -short.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: it takes more than a moment")
	}
}

// StockProgram finds a program that .ci/peers installs.
func StockProgram(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("MINIFTP_PEERS")
	if dir == "" {
		dir = "/opt/miniftp-peers"
	}
	for _, path := range []string{filepath.Join(dir, "usr/bin", name), name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("MINIFTP_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is missing; .ci/peers installs it", name)
	}
	t.Skipf("%s is missing; .ci/peers installs it", name)
	return ""
}

func Updating() bool { return flag.Lookup("update").Value.String() == "true" }

// Golden compares got with a file of testdata.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if Updating() {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	drawn, old, play := strings.Split(got, "\n"), strings.Split(string(want), "\n"), ""
	for i := range min(len(drawn), len(old)) {
		if strings.HasPrefix(old[i], "== ") {
			play = old[i]
		}
		if drawn[i] != old[i] {
			t.Fatalf("%s line %d, %s\n got %q\nwant %q", name, i+1, play, drawn[i], old[i])
		}
	}
	t.Fatalf("%s has %d lines, %d are drawn", name, len(old), len(drawn))
}

func init() {
	if flag.Lookup("update") == nil { // another test file of this package may have it
		flag.Bool("update", false, "write the golden files anew")
	}
}
