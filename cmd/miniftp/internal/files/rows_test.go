package files

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

func entryOf(name string) listed {
	return listed{name, ftp.Entry{Name: name, Type: ftp.FileEntry, Size: 1}}
}

// TestRowsStream: --json prints each entry at once, and a retried listing prints no name twice.
func TestRowsStream(t *testing.T) {
	var out bytes.Buffer
	p := &rows{e: &verb.Env{Stdio: verb.Stdio{Out: &out, Err: &out}}, key: sortKeys["name"], text: jsonText, json: true, stream: true}
	p.begin()
	before := p.n
	p.add(entryOf("b"))
	p.add(entryOf("a\xff"))
	if got := out.String(); !strings.Contains(got, `"name": "b"`) || !strings.Contains(got, `"raw": "Yf8="`) {
		t.Errorf("so far: %q", got)
	}
	if err := p.rewind(before); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"c", "b", "a\xff"} {
		p.add(entryOf(name))
	}
	p.begin() // another directory may have the same names
	p.add(entryOf("b"))
	p.end()
	var all []struct{ Name string }
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, e := range all {
		names += e.Name + " "
	}
	if names != "b a\ufffd c b " || strings.Count(out.String(), "\n") != 6 {
		t.Errorf("%q in\n%s", names, out.String())
	}
}
