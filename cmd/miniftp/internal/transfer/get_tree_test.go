package transfer

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// TestGetHiddenByLIST: get -r fetches hidden names even if they need LIST -a.
func TestGetHiddenByLIST(t *testing.T) {
	s := ftptest.NewServer(t, nil)
	s.Fail("MLSD", ftptest.Refuse())
	for _, name := range []string{"/tree/.h", "/tree/.hd/x", "/tree/f"} {
		if err := afero.WriteFile(s.FS, name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if code, _, errs := try(t, "get", "-r", s.URL+"/tree", dir+"/copy"); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, name := range []string{".h", ".hd/x", "f"} {
		if b, err := os.ReadFile(filepath.Join(dir, "copy", name)); err != nil || string(b) != "/tree/"+name {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestGetPartialListing: if a listing is incomplete, the listed files are fetched, and the error is
// reported.
func TestGetPartialListing(t *testing.T) {
	for final, want := range map[string]string{
		"226 Output truncated to 1 matches":                 "truncated",
		"226 Transfer done (but failed to open directory).": "failed to open",
	} {
		h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
			h.On["MLSD"] = func(c *verbtest.Victim, _ string) {
				c.Say("150 yes")
				if d, err := c.Data.Accept(); err == nil {
					_, _ = io.WriteString(d, "type=file;size=7; a\r\n")
					_ = d.Close()
				}
				c.Say("%s", final)
			}
			h.On["MLST"] = func(c *verbtest.Victim, arg string) { c.Say("250-\r\n type=dir; %s\r\n250 End", arg) }
		})
		dir := t.TempDir()
		code, _, errs := try(t, "get", "-r", fmt.Sprintf("ftp://%s/tree", h.Addr), dir+"/copy")
		if code == 0 || !strings.Contains(errs, want) || !strings.Contains(errs, "/tree") {
			t.Errorf("%s: exit %d, %s", final, code, errs)
		}
	}
}
