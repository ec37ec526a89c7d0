package ftp

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestListLines reads the lines of testdata/list-*.tsv, each file a table of kind,
// line, type, name, size and time. `\r\n` in a line stands for a line break, `\r` for
// a carriage return, "-" for what is unknown; the type "none" is no entry, "err" an
// unreadable line. It is 2026-11-28, and the server's clock is UTC.
func TestListLines(t *testing.T) {
	files, err := filepath.Glob("testdata/list-*.tsv")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, row := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
			if row == "" || row[0] == '#' {
				continue
			}
			f := strings.Split(row, "\t")
			if len(f) != 6 {
				t.Errorf("%s:%d: %d columns", file, n+1, len(f))
				continue
			}
			if got := lineAsRow(f[0], f[1]); !slices.Equal(got, f[2:]) {
				t.Errorf("%s:%d: %s\n got %q\nwant %q", file, n+1, f[1], got, f[2:])
			}
		}
	}
}

// lineAsRow reads a listing and returns the type, name, size and time of its first entry.
func lineAsRow(kind, text string) []string {
	lines := strings.Split(text, `\r\n`)
	var first *Entry
	if strings.HasPrefix(kind, "mls") {
		e, err := ParseMLSx(strings.ReplaceAll(text, `\r`, "\r"))
		if err != nil {
			return []string{"err", "-", "-", "-"}
		}
		first = &e
	} else {
		p := ListParser{Now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
		for e, err := range p.Entries(slices.Values(lines)) {
			if errors.As(err, new(*LineError)) {
				return []string{"err", "-", "-", "-"}
			}
			if first == nil {
				first = &e
			}
		}
	}
	if first == nil {
		return []string{"none", "-", "-", "-"}
	}
	size, at := "-", "-"
	if first.Size >= 0 {
		size = strconv.FormatInt(first.Size, 10)
	}
	if m := first.Modified; !m.IsZero() {
		at = strings.TrimSuffix(strings.TrimSuffix(m.Format("2006-01-02T15:04:05"), ":00"), "T00:00")
	}
	return []string{first.Type.String(), first.Name, size, at}
}
