package ftp_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms says who may import whom among the rooms of this module, and which
// outside packages are kept out of which. docs/architecture.md explains it.
var rooms = map[string]struct {
	may   []string // rooms of this module
	never []string // prefixes of other packages
}{
	"miniftp/ftp":                   {never: []string{"net", "os", "crypto/tls", "github.com/"}},
	"miniftp/ftp/dtp":               {may: []string{"miniftp/ftp"}, never: []string{"github.com/"}},
	"miniftp/ftp/server":            {may: []string{"miniftp/ftp", "miniftp/ftp/dtp"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/client":            {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/internal/osfile"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/ftptest":           {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/ftp/server", "miniftp/ftp/client", "miniftp/fsroot", "miniftp/ftp/internal/testutil"}, never: []string{"github.com/urfave"}},
	"miniftp/fsroot":                {may: []string{"miniftp/internal/osfile"}, never: []string{"github.com/urfave"}},
	"miniftp/cmd/miniftp":           {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/ftp/server", "miniftp/ftp/client", "miniftp/fsroot"}},
	"miniftp/internal/osfile":       {never: []string{"github.com/"}},
	"miniftp/ftp/internal/testutil": {},
	"miniftp/ftp/internal/peers":    {may: []string{"miniftp/ftp/internal/testutil"}},
	"miniftp/ftp/internal/bench":    {},
}

// netValues are the parts of net that are values only.
var netValues = []string{"net/netip", "net/url"}

func TestRooms(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "miniftp/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		room, ok := rooms[f[0]]
		if !ok {
			t.Errorf("%s is a room that nobody has placed: add it to this test and to docs/architecture.md", f[0])
			continue
		}
		seen++
		for _, imported := range f[1:] {
			if strings.HasPrefix(imported, "miniftp/") {
				if !slices.Contains(room.may, imported) {
					t.Errorf("%s imports %s: arrows go downward only", f[0], imported)
				}
				continue
			}
			for _, never := range room.never {
				if (imported == never || strings.HasPrefix(imported, strings.TrimSuffix(never, "/")+"/")) && !slices.Contains(netValues, imported) {
					t.Errorf("%s imports %s, which is not for that room", f[0], imported)
				}
			}
		}
	}
	if seen != len(rooms) {
		t.Errorf("%d of %d rooms were found", seen, len(rooms))
	}
}
