package term

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFit: names are cut to the width, and keep their extensions.
func TestFit(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, name := range []string{"short", "a-name-that-is-much-too-long-for-its-column.tar.gz", "漢字漢字漢字漢字漢字漢字漢字漢字漢字.bin", "😀😀😀😀😀😀😀😀😀😀😀.bin"} {
		for n := 8; n <= 32; n++ {
			got := Fit(name, n)
			if Cells(got) > n || Cells(name) <= n && got != name {
				t.Errorf("%q in %d columns: %q has %d", name, n, got, Cells(got))
			}
			if ext := filepath.Ext(name); ext != "" && n >= 12 && !strings.HasSuffix(got, ext[len(ext)-3:]) {
				t.Errorf("%q in %d columns: %q lost its end", name, n, got)
			}
		}
	}
}
