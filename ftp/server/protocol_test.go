package server_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"miniftp/ftp/server"
)

var update = flag.Bool("update", false, "write docs/protocol.md anew")

// TestProtocolDoc keeps docs/protocol.md the same as the command table.
func TestProtocolDoc(t *testing.T) {
	const name = "../../docs/protocol.md"
	want := protocolDoc()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the table says: make golden writes it anew", name)
	}
}

func protocolDoc() []byte {
	var b bytes.Buffer
	b.WriteString(`# The commands of the server

Made from the command table in ftp/server by ` + "`make golden`" + `; a test keeps it current.

A command is judged in this order: is it known (500)? is the user logged in (530)? does its argument parse (501)? may
the account do it (550)? Then its row runs, and says itself what is out of sequence (503).

- *before login*: works before USER and PASS.
- *at once*: is answered while a transfer runs. All others wait for its end, in order; ABOR stops it.
- *needs*: what the account must be allowed (` + "`server.Perm`" + `).

| command | argument | what it does | before login | at once | needs | RFC |
|---|---|---|---|---|---|---|
`)
	for _, v := range server.Verbs() {
		name := v.Name
		for _, a := range v.Aliases {
			name += ", " + a
		}
		cell := func(yes bool) string {
			if yes {
				return "yes"
			}
			return ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, code(v.Syntax), v.Help, cell(v.Before), cell(v.Now), v.Perm, v.RFC)
	}
	return b.Bytes()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}
