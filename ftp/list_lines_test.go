package ftp

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestListLines parses the lines of testdata/list-*.tsv, which are tables of kind, line, type,
// name, size and time. In a line, `\r\n` stands for a line break and `\r` for a carriage return.
// "-" means unknown. The type is "none" if the line is not an entry, and "err" if it is
// unreadable. The date is 2026-11-28, and the server's clock is UTC.
func TestListLines(t *testing.T) {
	for _, row := range listRows(t) {
		if got := lineAsRow(row[0], row[1]); !slices.Equal(got, row[2:]) {
			t.Errorf("%s: %s\n got %q\nwant %q", row[0], row[1], got, row[2:])
		}
	}
}

// listRows reads the tables.
func listRows(t testing.TB) (rows [][]string) {
	t.Helper()
	for _, file := range []string{"testdata/list-lines.tsv", "testdata/list-more.tsv"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
			row := strings.Split(line, "\t")
			switch {
			case strings.HasPrefix(line, "#"):
			case len(row) != 6:
				t.Fatalf("%s:%d: %d columns", file, n+1, len(row))
			default:
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// lineAsRow parses a listing and returns the type, name, size and time of its first entry.
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
