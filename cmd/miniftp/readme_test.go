package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestReadme checks that the tables of README.md agree with the code.
func TestReadme(t *testing.T) {
	name := verbtest.InModule("README.md")
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := string(old)
	for mark, table := range map[string]string{"verbs": verbTable(), "exits": exitTable()} {
		want = verbtest.Between(t, want, mark, table)
	}
	if verbtest.Updating() {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(old) {
		t.Errorf("%s does not agree with the code: make golden rewrites its tables", name)
	}
}

func verbTable() string {
	var b strings.Builder
	b.WriteString("| verb | arguments | what it does |\n|---|---|---|\n")
	e := &verb.Env{Verbs: verbs, Stdio: verb.Stdio{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, Ctx: context.Background()}
	for _, c := range flags.NewApp(e).Commands {
		args := c.ArgsUsage
		if args != "" {
			args = "`" + strings.ReplaceAll(args, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, args, c.Usage)
	}
	return b.String()
}

func exitTable() string {
	var b strings.Builder
	b.WriteString("| exit | meaning |\n|---|---|\n")
	for _, e := range verb.ExitMeanings {
		fmt.Fprintf(&b, "| %d | %s |\n", e.Code, e.Meaning)
	}
	return b.String()
}

// fenced matches the fenced blocks of a document, each with the line above it.
var fenced = regexp.MustCompile("(?m)^(.*)\n```([a-z]*)\n((?s:.*?))^```$")

// TestDocQuotes: code quoted in documents exists in the file named by the line above it.
func TestDocQuotes(t *testing.T) {
	for doc, least := range map[string]int{"docs/active-passive.md": 6, "CONTRIBUTING.md": 1} {
		text, err := os.ReadFile(verbtest.InModule(doc))
		if err != nil {
			t.Fatal(err)
		}
		quotes, file := 0, ""
		for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
			if m[2] != "go" {
				continue
			}
			if name := strings.Trim(m[1], "`"); strings.HasSuffix(name, ".go") {
				file = name // several quotes may follow one name
			}
			code, err := os.ReadFile(verbtest.InModule(filepath.FromSlash(file)))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(code), m[3]) {
				t.Errorf("%s: this is no longer in %s:\n%s", doc, file, m[3])
			}
			quotes++
		}
		if quotes < least {
			t.Errorf("%s: only %d quotes were found", doc, quotes)
		}
	}
}

// link matches a relative link of a Markdown document.
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks checks that the targets of links between documents exist.
func TestLinks(t *testing.T) {
	found := 0
	err := filepath.WalkDir(verbtest.InModule("."), func(name string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".md" {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
		return nil
	})
	if err != nil || found < 50 {
		t.Errorf("%d links, %v", found, err)
	}
}
