//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// cursorUp moves the cursor up to the first line of the bars, to draw them again.
var cursorUp = regexp.MustCompile("\x1b\\[([0-9]+)A")

// TestBarsAtATerminal: in a transfer of many files, only files being transferred have a bar, and
// one line shows the total.
func TestBarsAtATerminal(t *testing.T) {
	t.Parallel()
	const files, connections = 40, 4
	verbtest.Program(t)
	var runs sync.WaitGroup
	defer runs.Wait()
	for _, args := range []string{"get -r URL/tree got", "put -r tree URL/put", "mirror URL/tree down", "mirror tree URL/up"} {
		for _, size := range []int{30_000, 300_000} { // as a chain, and one by one
			runs.Go(func() {
				t.Run(fmt.Sprintf("%s %d", strings.ReplaceAll(args, "/", " "), size), func(t *testing.T) {
					srv, dir := verbtest.WithFile(t, nil), t.TempDir()
					if err := os.Mkdir(filepath.Join(dir, "tree"), 0o700); err != nil {
						t.Fatal(err)
					}
					for i := range files {
						name := fmt.Sprintf("tree/f%02d", i)
						err := os.WriteFile(filepath.Join(dir, name), verbtest.Pattern(size), 0o600)
						if err == nil {
							err = afero.WriteFile(srv.FS, "/"+name, verbtest.Pattern(size), 0o644)
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					name, rest, _ := strings.Cut(args, " ")
					words := []string{name, "-j", strconv.Itoa(connections), "--rate", "40k"}
					s := pty{columns: 100}.start(t, dir, append(words, strings.Fields(strings.ReplaceAll(rest, "URL", srv.URL))...)...)
					shown := ""
					for frames := 0; frames < 6; frames += strings.Count(shown[max(0, len(shown)-400):], "%") {
						shown += s.await(" of 40 files") // the first frames have no bars
					}
					s.press(ctrlC)
					s.leaves(verb.ExitInterrupted)
					most := 0
					for _, up := range cursorUp.FindAllStringSubmatch(shown, -1) {
						n, _ := strconv.Atoi(up[1])
						most = max(most, n)
					}
					if most > connections+1 || most < 2 {
						t.Errorf("%d lines are drawn: %q", most, shown[max(0, len(shown)-2000):])
					}
				})
			})
		}
	}
}

// TestTotalAtATerminal: at a terminal, a transfer of a tree prints one line at the end; with -v it
// prints one for each file.
func TestTotalAtATerminal(t *testing.T) {
	srv, dir := verbtest.WithFile(t, verbtest.Pattern(1000)), t.TempDir()
	verbtest.WriteFile(t, filepath.Join(dir, "one"), "1")
	for _, tt := range []struct{ args, want, not string }{
		{"get -r URL got", "\n1 file fetched, 1.0 kB in ", "whole: "},
		{"get -r -v URL got2", "whole: ", "\x00"},
		{"get URL/a.bin got3", "whole: ", " fetched, "},
		{"put -r . URL/put/", " files sent, ", "whole: "},
		{"mirror URL down", " copied, ", "whole: "},
	} {
		s := pty{}.start(t, dir, strings.Fields(strings.ReplaceAll(tt.args, "URL", srv.URL))...)
		if rest := "\n" + s.leaves(verb.ExitOK); !strings.Contains(rest, tt.want) || strings.Contains(rest, tt.not) {
			t.Errorf("%s: %q", tt.args, rest)
		}
	}
}
