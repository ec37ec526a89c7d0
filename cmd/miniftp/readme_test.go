package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestReadme keeps the tables of README.md the same as the code.
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
		t.Errorf("%s is not what the code says: make golden writes its tables anew", name)
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
