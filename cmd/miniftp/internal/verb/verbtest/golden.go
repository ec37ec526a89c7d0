package verbtest

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/afero"
)

// Long skips a slow test if the tests run with -short.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("slow: not run with -short")
	}
}

// StockProgram returns the path of a program that .ci/peers installs. If the program is missing,
// the test is skipped, or fails if MINIFTP_REQUIRE_PEERS is set.
func StockProgram(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("MINIFTP_PEERS")
	if dir == "" {
		dir = "/opt/miniftp-peers"
	}
	for _, path := range []string{filepath.Join(dir, "usr/bin", name), filepath.Join(dir, "usr/sbin", name), name} {
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

// Updating reports whether golden files are to be rewritten (-update).
func Updating() bool { return flag.Lookup("update").Value.String() == "true" }

// Golden compares got with a file of testdata. With -update it writes the file.
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
	t.Fatalf("%s has %d lines, got %d", name, len(old), len(drawn))
}

func init() {
	if flag.Lookup("update") == nil { // the tested package may define it
		flag.Bool("update", false, "rewrite the golden files")
	}
}

// Masked returns a drawing with ports and times masked, because they differ from run to run. It
// keeps the columns.
func Masked(s string) string {
	s = regexp.MustCompile(`\bin [0-9.]+ m?s, .*/s`).ReplaceAllString(s, "in TIME")
	return regexp.MustCompile(`\b[0-9]{4,5}\b`).ReplaceAllStringFunc(s, func(p string) string { return strings.Repeat("N", len(p)) })
}

// AllNames returns the paths of all files and directories of a server.
func AllNames(t *testing.T, fsys afero.Fs) (all []string) {
	t.Helper()
	err := afero.Walk(fsys, "/", func(path string, _ os.FileInfo, err error) error {
		if path != "/" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Between returns text with the part between the markers named mark replaced by table.
func Between(t *testing.T, text, mark, table string) string {
	t.Helper()
	begin, end := "<!-- "+mark+": begin -->\n", "<!-- "+mark+": end -->"
	head, rest, ok := strings.Cut(text, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no markers for %s", mark)
	}
	return head + begin + table + end + tail
}

// Words returns the texts of an SVG. The test fails unless the SVG is well-formed and contains
// nothing that runs or loads anything.
func Words(t *testing.T, svg string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	var all strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if name := token.Name.Local; !strings.Contains(" svg title style text line rect path ", " "+name+" ") {
				t.Errorf("there is a <%s>", name)
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || strings.Contains(a.Name.Local, "href") {
					t.Errorf("there is an attribute %s", a.Name.Local)
				}
			}
		case xml.CharData:
			all.WriteString(string(token) + "\n")
		}
	}
}

// InModule returns the path of a file of the module, relative to the directory of the tested
// package.
func InModule(name string) string {
	for dir := "."; ; dir = filepath.Join("..", dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, name)
		}
		if abs, err := filepath.Abs(dir); err != nil || abs == filepath.Dir(abs) {
			return name
		}
	}
}
