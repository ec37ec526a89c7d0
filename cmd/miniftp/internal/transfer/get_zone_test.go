package transfer

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestGetZone: if a server lists local times without seconds, and has daylight saving time, get -r
// asks for the time of one file per week.
func TestGetZone(t *testing.T) {
	exact := map[string]time.Time{}
	lines := ""
	for i := range 40 {
		name, at, zone := fmt.Sprintf("f%02d", i), time.Date(2026, 7, 8, 9, i, 30, 0, time.UTC), 2*time.Hour
		if i%2 == 1 {
			at, zone = time.Date(2026, 1, 14, 9, i, 30, 0, time.UTC), time.Hour
		}
		exact[name] = at
		lines += fmt.Sprintf("-rw-r--r-- 1 u u 7 %s %s\r\n", at.Add(zone).Format("2006-01-02 15:04"), name)
	}
	h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.Feat = " MDTM\r\n SIZE\r\n"
		h.List = func(_, dir string, w io.Writer) { _, _ = io.WriteString(w, lines) }
		h.On["MDTM"] = func(c *verbtest.Victim, arg string) { c.Say("213 %s", exact[path.Base(arg)].Format("20060102150405")) }
		h.On["CWD"] = func(c *verbtest.Victim, arg string) {
			if _, ok := exact[path.Base(arg)]; ok {
				c.Say("550 not a directory")
				return
			}
			c.Say("250 done")
		}
	})
	dir := t.TempDir()
	if code, _, errs := try(t, "get", "-r", "-j", "1", "ftp://"+h.Addr+"/d", dir+"/x"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	asked := 0
	for _, line := range h.Commands() {
		if strings.HasPrefix(line, "MDTM d/") {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("MDTM was sent %d times", asked)
	}
	for name, want := range exact {
		info, err := os.Stat(filepath.Join(dir, "x", name))
		if err != nil || info.ModTime().Sub(want).Abs() >= time.Minute {
			t.Errorf("%s: %v, want %v, %v", name, info, want, err)
		}
	}
}
