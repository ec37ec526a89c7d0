package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// defaultRow is a row of the table of defaults in docs/security.md.
type defaultRow struct{ setting, with, is string }

// tableOf returns the cells of a table's rows, without the heading.
func tableOf(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			cells = append(cells, strings.Trim(strings.TrimSpace(cell), "`"))
		}
		rows = append(rows, cells)
	}
	return rows[min(2, len(rows)):]
}

// settingsWith returns the settings that config show prints for args, or nil if it refuses them.
func settingsWith(t *testing.T, args string) map[string]string {
	t.Helper()
	code, out, errs := try(t, append([]string{"config", "show", "--json"}, strings.Fields(args)...)...)
	if code != verb.ExitOK {
		if strings.Contains(errs, "panic") {
			t.Error(errs)
		}
		return nil
	}
	var all []settings.Shown
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	byFlag := map[string]string{}
	for _, s := range all {
		if strings.HasPrefix(s.Key, "users.") {
			continue // users have no defaults
		}
		is := fmt.Sprint(s.Value)
		if list, ok := s.Value.([]any); ok {
			is = strings.Trim(fmt.Sprint(list), "[]")
		}
		byFlag[flagOfKey(s.Key)] = is
	}
	return byFlag
}

// flagOfKey returns the flag for a key of the file.
func flagOfKey(key string) string {
	table, name, ok := strings.Cut(key, ".")
	switch {
	case !ok:
		return key
	case name == "mode":
		return table
	}
	for _, f := range settings.Flags() {
		if f.Names()[0] == name {
			return name
		}
	}
	return table + "-" + name
}

// worlds arranges surroundings that a server may start in. No default depends on them.
var worlds = map[string]func(t *testing.T){
	"nothing": func(*testing.T) {},
	"files in the directory": func(t *testing.T) {
		for _, name := range []string{"a", ".netrc", "miniftp.toml", "b.pem"} {
			verbtest.WriteFile(t, name, "x")
		}
	},
	"a certificate that is kept": func(t *testing.T) {
		if _, err := selfSigned(); err != nil {
			t.Fatal(err)
		}
	},
	"more users, all of them read-only": func(t *testing.T) { verbtest.WriteFile(t, "users", "a:b:ro\nc:d:ro\nanonymous:x:ro\n") },
	"one user, named ftp":               func(t *testing.T) { verbtest.WriteFile(t, "users", "ftp:x:drop\n") },
	"a users file of blanks":            func(t *testing.T) { verbtest.WriteFile(t, "empty", "\n# a:b\n\n") },
	"it runs as root":                   func(*testing.T) { local.Geteuid = func() int { return 0 } },
}

// TestDefaultsDependOnConfigurationOnly checks the table of defaults in docs/security.md: in all
// surroundings each setting has the value in its row, and no setting changes the default of another one
// unless a row says so.
func TestDefaultsDependOnConfigurationOnly(t *testing.T) {
	verbtest.Long(t)
	doc, err := os.ReadFile(verbtest.InModule("docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "<!-- defaults: begin -->\n")
	table, rest, ok2 := strings.Cut(rest, "<!-- defaults: end -->")
	if !ok || !ok2 {
		t.Fatal("the table of defaults is not between its marks")
	}
	rows := map[string][]defaultRow{} // by the arguments of serve
	for _, c := range tableOf(table) {
		if len(c) != 4 {
			t.Fatalf("%d cells: %v", len(c), c)
		}
		rows[c[1]] = append(rows[c[1]], defaultRow{c[0], c[1], c[2]})
	}
	// Each flag that opens more than the default has a row with the default.
	loosen, _, _ := strings.Cut(rest, "These have no default limit")
	for _, flag := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(loosen, -1) {
		if strings.Contains("user|tls-fxp-ca", flag[1]) {
			continue // user is not a setting; tls-fxp-ca is described with fxp
		}
		if !slices.ContainsFunc(rows[""], func(r defaultRow) bool { return r.setting == flag[1] }) {
			t.Errorf("--%s opens something, and its default has no row", flag[1])
		}
	}
	uid := local.Geteuid
	defer func() { local.Geteuid = uid }()
	for name, arrange := range worlds {
		t.Run(name, func(t *testing.T) {
			local.Geteuid = uid
			t.Chdir(t.TempDir())
			for _, v := range []string{"HOME", "XDG_STATE_HOME"} {
				dir, _ := filepath.Abs(v)
				t.Setenv(v, dir)
			}
			verbtest.WriteFile(t, "users", "a:b\n")
			verbtest.WriteFile(t, "empty", "# nobody\n")
			verbtest.WriteFile(t, "some.toml", "[users.a]\npassword = \"b\"\n")
			verbtest.WriteFile(t, "none.toml", "[users]\n")
			certPEM(t, "cert.pem", time.Now().Add(time.Hour))
			arrange(t)
			bare := settingsWith(t, "")
			for _, with := range slices.Sorted(maps.Keys(rows)) {
				walkDefaults(t, with, rows[with], bare)
			}
		})
	}
}

// walkDefaults compares the settings of one command line with their rows.
func walkDefaults(t *testing.T, with string, rows []defaultRow, bare map[string]string) {
	t.Helper()
	got := settingsWith(t, with)
	said := map[string]bool{}
	for _, r := range rows {
		said[r.setting] = true
		if is, ok := got[r.setting]; (r.is == "refused") != (got == nil) || got != nil && (!ok || is != r.is) {
			t.Errorf("serve %s: %s is %q, want %q", with, r.setting, is, r.is)
		}
	}
	for name, is := range got {
		if is != bare[name] && !said[name] && !strings.Contains(with, "--"+name+" ") && !strings.HasSuffix(with, "--"+name) {
			t.Errorf("serve %s: %s is %q; without arguments it is %q, and no row says so", with, name, is, bare[name])
		}
	}
}
