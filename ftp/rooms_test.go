package ftp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rooms holds the packages of this module. For each it lists the packages of this module that it
// may import, and other packages that it must not import. docs/architecture.md explains why.
var rooms = map[string]struct {
	may   []string // packages of this module
	never []string // prefixes of other packages
}{
	"miniftp/ftp":                       {never: []string{"net", "os", "crypto/tls", "github.com/"}},
	"miniftp/ftp/dtp":                   {may: []string{"miniftp/ftp"}, never: []string{"github.com/"}},
	"miniftp/ftp/server":                {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/ftp/server/internal/guard", "miniftp/internal/calm"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/pi":                    {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/internal/calm"}, never: []string{"github.com/"}},
	"miniftp/ftp/client":                {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/ftp/pi", "miniftp/ftp/internal/kept", "miniftp/internal/osfile"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/ftpfs":                 {may: []string{"miniftp/ftp", "miniftp/ftp/pi", "miniftp/ftp/client"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/mirror":                {may: []string{"miniftp/ftp", "miniftp/ftp/pi", "miniftp/ftp/client", "miniftp/ftp/internal/kept"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/fxp":                   {may: []string{"miniftp/ftp", "miniftp/ftp/pi", "miniftp/ftp/client"}, never: []string{"github.com/"}},
	"miniftp/ftp/ftptest":               {may: []string{"miniftp/ftp", "miniftp/ftp/dtp", "miniftp/ftp/server", "miniftp/ftp/client", "miniftp/fsroot", "miniftp/ftp/internal/testutil"}, never: []string{"github.com/urfave"}},
	"miniftp/ftp/server/internal/guard": {never: []string{"os", "github.com/"}},
	"miniftp/fsroot":                    {may: []string{"miniftp/internal/osfile"}, never: []string{"github.com/urfave"}},
	"miniftp/fsroot/fstest":             {may: []string{"miniftp/fsroot"}, never: []string{"testing", "github.com/urfave"}},
	"miniftp/fsroot/mountfs":            {never: []string{"github.com/urfave"}},
	"miniftp/fsroot/s3fs":               {never: []string{"github.com/urfave"}},
	"miniftp/internal/calm":             {never: []string{"github.com/"}},
	"miniftp/internal/osfile":           {never: []string{"github.com/"}},
	"miniftp/internal/dist":             {never: []string{"github.com/"}},
	"miniftp/internal/freeport":         {never: []string{"testing", "github.com/"}},
	"miniftp/internal/testlink":         {never: []string{"github.com/"}},
	"miniftp/internal/s3peer":           {may: []string{"miniftp/internal/freeport", "miniftp/internal/procgroup"}, never: []string{"github.com/"}},
	"miniftp/internal/procgroup":        {never: []string{"github.com/"}},
	"miniftp/internal/soak":             {}, // tests only
	"miniftp/ftp/internal/kept":         {may: []string{"miniftp/ftp", "miniftp/ftp/dtp"}, never: []string{"github.com/"}},
	"miniftp/ftp/internal/testutil":     {may: []string{"miniftp/internal/freeport"}},
	"miniftp/ftp/internal/fakeserver":   {may: []string{"miniftp/ftp"}, never: []string{"github.com/"}},
	"miniftp/ftp/internal/transfertest": {may: []string{"miniftp/ftp/client", "miniftp/ftp/internal/fakeserver", "miniftp/ftp/internal/testutil"}},
	"miniftp/ftp/internal/peers":        {may: []string{"miniftp/ftp/internal/testutil", "miniftp/internal/procgroup"}},
	"miniftp/ftp/internal/party":        {may: []string{"miniftp/ftp/dtp", "miniftp/ftp/server", "miniftp/ftp/client", "miniftp/ftp/fxp", "miniftp/fsroot"}},
	"miniftp/ftp/internal/bench":        {},
}

// cmdRooms holds the packages below cmd/miniftp/internal, from the lowest to the highest, and the packages
// that each may import. A name that begins with a slash is outside that directory, such as /ftp/client.
var cmdRooms = []struct {
	name, may string
	isVerb    bool // only main imports it
}{
	{name: "term"},
	{name: "product"},
	{name: "resident"},
	{name: "systemd"},
	{name: "runas"},
	{name: "verb", may: "term /ftp /ftp/dtp /ftp/client"},
	{name: "verb/flags", may: "term resident verb /ftp /ftp/dtp"},
	{name: "local", may: "verb /ftp/client"},
	{name: "storage", may: "verb local /fsroot /fsroot/s3fs"},
	{name: "target", may: "verb storage /ftp"},
	{name: "users", may: "verb local storage /ftp"},
	{name: "web"},
	{name: "acmecert", may: "verb local /ftp"},
	{name: "sessions", may: "term /ftp /ftp/dtp"},
	{name: "metrics", may: "sessions /ftp /ftp/dtp"},
	{name: "console", may: "term web sessions /ftp /ftp/dtp"},
	{name: "callout", may: "local /ftp"},
	{name: "authn", may: "callout /ftp /ftp/server"},
	{name: "outbox", may: "callout verb local sessions /ftp /ftp/server"},
	{name: "control", may: "term verb local sessions /ftp /ftp/server"},
	{name: "gate", may: "callout /ftp /ftp/server"},
	{name: "record", may: "verb /ftp"},
	{name: "explain", may: "term verb /ftp /ftp/dtp /ftp/client"},
	{name: "meter", may: "term verb target /ftp /ftp/client"},
	{name: "watch", may: "term verb record explain /ftp"},
	{name: "bridge", may: "verb storage /ftp /ftp/server"},
	{name: "connect", may: "term resident verb verb/flags local target explain watch storage bridge /ftp /ftp/client /ftp/ftpfs /internal/calm"},

	{name: "transfer", isVerb: true, may: "term verb verb/flags local target meter connect /ftp /ftp/client"},
	{name: "files", isVerb: true, may: "term verb verb/flags target connect /ftp /ftp/client"},
	{name: "mirror", isVerb: true, may: "term verb verb/flags local target meter connect /ftp /ftp/client /ftp/mirror /fsroot"},
	{name: "copy", isVerb: true, may: "term verb verb/flags product target explain meter watch connect /ftp /ftp/client /ftp/fxp"},
	{name: "doctor", isVerb: true, may: "control term verb verb/flags local product target explain storage connect /ftp /ftp/dtp /ftp/pi /ftp/client /fsroot /fsroot/fstest"},
	{name: "bench", isVerb: true, may: "term verb verb/flags target connect /ftp /ftp/dtp /ftp/pi /ftp/client /internal/calm"},
	{name: "demo", isVerb: true, may: "term verb verb/flags explain watch /ftp /ftp/client /ftp/server /fsroot"},
	{name: "docs", isVerb: true, may: "term verb verb/flags connect"},
	{name: "passwd", isVerb: true, may: "term verb verb/flags local users /ftp /ftp/server"},
	{name: "admin", isVerb: true, may: "term verb verb/flags storage sessions control /ftp"},
	{name: "serve/settings", may: "acmecert outbox verb verb/flags local storage users /ftp /fsroot/mountfs"},
	{name: "serve", isVerb: true, may: "term resident verb verb/flags local target users web acmecert sessions metrics console outbox authn callout control gate explain watch connect storage systemd runas serve/settings /ftp /ftp/dtp /ftp/server /fsroot /fsroot/mountfs"},
	{name: "shell", isVerb: true, may: "term verb verb/flags local target record explain meter watch connect /ftp /ftp/client"},

	{name: "verb/verbtest", may: "verb verb/flags local /ftp /ftp/client /ftp/ftptest /ftp/internal/testutil"},
}

func init() {
	const in = "miniftp/cmd/miniftp/internal/"
	main := rooms["miniftp/cmd/miniftp"]
	main.may = append(main.may, in+"verb", in+"verb/flags", in+"resident", "miniftp/internal/calm")
	for _, room := range cmdRooms {
		r := rooms[in+room.name]
		for _, name := range strings.Fields(room.may) {
			if outside, ok := strings.CutPrefix(name, "/"); ok {
				r.may = append(r.may, "miniftp/"+outside)
			} else {
				r.may = append(r.may, in+name)
			}
		}
		rooms[in+room.name] = r
		if room.isVerb {
			main.may = append(main.may, in+room.name)
		}
	}
	rooms["miniftp/cmd/miniftp"] = main
}

// TestVerbsApart checks that cmdRooms allows no package to import a verb or a higher package.
func TestVerbsApart(t *testing.T) {
	below := map[string]bool{}
	verbs := map[string]bool{}
	for _, room := range cmdRooms {
		for _, name := range strings.Fields(room.may) {
			if strings.HasPrefix(name, "/") {
				continue
			}
			if verbs[name] || !below[name] {
				t.Errorf("%s may not import %s, which is a verb or a higher package", room.name, name)
			}
		}
		below[room.name] = true
		verbs[room.name] = room.isVerb
	}
}

// netValues holds the packages below net that open no connections.
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
			t.Errorf("%s is a new package: add it to this test and to docs/architecture.md", f[0])
			continue
		}
		seen++
		for _, imported := range f[1:] {
			if strings.HasPrefix(imported, "miniftp/") {
				if !slices.Contains(room.may, imported) {
					t.Errorf("%s imports %s, which this test does not allow", f[0], imported)
				}
				continue
			}
			for _, never := range room.never {
				if (imported == never || strings.HasPrefix(imported, strings.TrimSuffix(never, "/")+"/")) && !slices.Contains(netValues, imported) {
					t.Errorf("%s imports %s, which this test forbids", f[0], imported)
				}
			}
		}
	}
	if seen != len(rooms) {
		t.Errorf("found %d of %d packages", seen, len(rooms))
	}
}

// mostExported limits the number of exported names. A verb needs only a few, and package verb, which all
// verbs use, should stay small enough to remember.
var mostExported = []struct {
	room string // "" means each verb
	most int
}{
	{"", 8},
	{"verb", 59},
}

// TestExportedNames checks the limits of mostExported. Methods and fields do not count.
func TestExportedNames(t *testing.T) {
	for _, bound := range mostExported {
		for _, room := range cmdRooms {
			if room.name != bound.room && !(bound.room == "" && room.isVerb) {
				continue
			}
			names := exportedNames(t, "../cmd/miniftp/internal/"+room.name)
			if len(names) == 0 || len(names) > bound.most {
				t.Errorf("%s has %d exported names, want at most %d: %s", room.name, len(names), bound.most, strings.Join(names, " "))
			}
		}
	}
}

// exportedNames returns the exported names that a package declares.
func exportedNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(name *ast.Ident) {
		if name.IsExported() && !slices.Contains(names, name.Name) {
			names = append(names, name.Name)
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						add(s.Name)
					case *ast.ValueSpec:
						for _, n := range s.Names {
							add(n)
						}
					}
				}
			}
		}
	}
	return names
}
