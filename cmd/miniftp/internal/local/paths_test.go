package local

import (
	"os"
	"path/filepath"
	"testing"

	"miniftp/internal/testlink"
)

// TestJoinLink: what is above a link to a directory is the directory above its target.
func TestJoinLink(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(top, "other", "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(top, "link")
	testlink.Make(t, filepath.Join(top, "other", "dir"), link)
	for name, content := range map[string]string{"other/a": "right", "a": "wrong"} {
		if err := os.WriteFile(filepath.Join(top, filepath.FromSlash(name)), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	up := link + string(os.PathSeparator) + ".."
	for _, dir := range []string{up, up + string(os.PathSeparator)} {
		if b, err := os.ReadFile(Join(dir, "a")); string(b) != "right" {
			t.Errorf("%s: %q, %v", Join(dir, "a"), b, err)
		}
		for _, below := range []string{"", "missing", "missing/too"} {
			want := filepath.Join(top, "other", filepath.FromSlash(below))
			if abs, err := Abs(Join(dir, below)); abs != want {
				t.Errorf("%s: %s, %v; want %s", Join(dir, below), abs, err, want)
			}
		}
	}
	if got, want := Join(".", "a/b"), filepath.Join("a", "b"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := Join(up, ""); got != up {
		t.Error(got)
	}
}
