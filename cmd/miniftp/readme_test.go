package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestReadme keeps the tables of README.md the same as the code.
func TestReadme(t *testing.T) {
	name := inModule("README.md")
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := string(old)
	for mark, table := range map[string]string{"verbs": verbTable(), "exits": exitTable()} {
		want = between(t, want, mark, table)
	}
	if updating() {
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
	e := &env{verbs: verbs, stdio: stdio{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}}, ctx: context.Background()}
	for _, c := range newApp(e).Commands {
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
	for _, e := range exitMeanings {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.meaning)
	}
	return b.String()
}
