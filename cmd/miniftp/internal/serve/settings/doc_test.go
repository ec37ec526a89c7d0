package settings

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

var (
	referenceFile = verbtest.InModule("docs/configuration.md")
	exampleFile   = verbtest.InModule("docs/miniftp.toml")
)

// sameAs compares a file with what the code says; make golden writes it anew.
func sameAs(t *testing.T, name, want string) {
	t.Helper()
	if verbtest.Updating() {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old, err := os.ReadFile(name); err != nil || string(old) != want {
		t.Errorf("%s is not what the code says (%v): make golden writes it anew", name, err)
	}
}

// TestConfigReference keeps the tables of docs/configuration.md the same as the code.
func TestConfigReference(t *testing.T) {
	old, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	want := verbtest.Between(t, string(old), "settings", settingsTable())
	want = verbtest.Between(t, want, "users", usersTable())
	sameAs(t, referenceFile, want)
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// literal is the default of a setting as TOML, "" if it has none.
func literal(r *row) string {
	r.is.reset()
	switch v := r.is.shown().(type) {
	case string:
		if v != "" {
			return strconv.Quote(v)
		}
	case int:
		if v != 0 {
			return strconv.Itoa(v)
		}
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// byGroup calls each for the settings of a group, before them.
func byGroup(each func(g group, rows []*row)) {
	all := table(&Settings{})
	for i, r := range all {
		if i == 0 || r.group != all[i-1].group {
			each(r.group, slices.DeleteFunc(slices.Clone(all), func(other *row) bool { return other.group != r.group }))
		}
	}
}

func settingsTable() string {
	var b strings.Builder
	byGroup(func(g group, rows []*row) {
		title := g.about
		if g.table != "" {
			title += ": `[" + g.table + "]`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n| key | flag, variable | default | what it does |\n|---|---|---|---|\n", title)
		for _, r := range rows {
			said := fmt.Sprintf("`--%s`, `%s`", r.name, flags.EnvName(r.name))
			if r.argument {
				said = "the argument `ROOT`"
			}
			otherwise := cmp.Or(r.otherwise, strings.Trim(literal(r), `"`))
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.TrimPrefix(r.key(), g.table+"."), said, cell(otherwise), cell(r.usage()))
		}
	})
	b.WriteString("\n")
	return b.String()
}

func usersTable() string {
	var b strings.Builder
	b.WriteString("| key | default | what it is |\n|---|---|---|\n")
	for _, k := range userKeys(&Account{}) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.name, k.otherwise, cell(k.doc))
	}
	return b.String()
}

const exampleHead = `# miniftp.toml: what "miniftp serve --config miniftp.toml" reads.
#
# As it stands it says what serve does without it: each setting that has a default is
# here with it. What stands behind a single # is off; take the # away to use it.
# A flag or a variable MINIFTP_… beats this file. "miniftp config check miniftp.toml"
# finds mistakes, "miniftp config show --config miniftp.toml" prints what holds, and
# a SIGHUP makes a server read it again. Names of files are relative to this one's place.
# Made from the code by make golden; docs/configuration.md says more.
`

const exampleUsers = `
## Users

# The hash comes from "miniftp passwd alice". What is left out is as the comment says.
#[users.alice]
#password = "$2a$10$gX40eykx7SRp0tJv5bKqKedUjTb6cteyYkjfgoc2IHFBIvgUI/4jO"
# ro, rw, drop (upload only), or a list out of read, list, store, overwrite, delete,
# rename, mkdir and change; rw.
#perm = ["read", "list", "store", "mkdir"]
# What she sees as "/"; the root of all. mem:// is a memory that forgets at the end.
#root = "mem://"
# The directory that a session begins in; "/".
#home = "/"
# Bytes per second of one session; no limit.
#rate-down = "5M"
#rate-up = "1M"
# Sessions at once; no limit.
#max-sessions = 4
# From where she may log in; everywhere.
#networks = ["127.0.0.0/8", "::1"]
# Copies from server to server, as --fxp allows them; false.
#fxp = true
# Uploads of devices that always end them in such a way; those of accept-upload above.
#accept-upload = ["hang-up", "no-close-notify"]

# Anyone, with any password. This takes the place of "anonymous" above.
#[users.anonymous]
#perm = "drop"
#root = "mem://"
`

// example is docs/miniftp.toml.
func example() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	byGroup(func(g group, rows []*row) {
		fmt.Fprintf(&b, "\n## %s\n", g.about)
		if g.table != "" {
			fmt.Fprintf(&b, "\n[%s]\n", g.table)
		}
		for _, r := range rows {
			usage, value, off := strings.ReplaceAll(r.usage(), "`", ""), literal(r), ""
			if r.otherwise != "" {
				usage += "; default: " + r.otherwise
				value, off = r.example, "#"
			}
			if r.name == "listen" {
				off = ""
			}
			b.WriteString("\n")
			for _, line := range term.Wrap(usage, 84) {
				b.WriteString("# " + line + "\n")
			}
			fmt.Fprintf(&b, "%s%s = %s\n", off, strings.TrimPrefix(r.key(), g.table+"."), value)
		}
	})
	b.WriteString(exampleUsers)
	return b.String()
}

// TestConfigExample: docs/miniftp.toml is what serve does by default; with all that is
// commented out it loads, too, and has every setting there is.
func TestConfigExample(t *testing.T) {
	sameAs(t, exampleFile, example())
	got, want := FromFile(exampleFile), FromFile("")
	for _, err := range got.Problems {
		t.Error(err)
	}
	for i, w := range want.all {
		if g := got.all[i]; !reflect.DeepEqual(g.is.shown(), w.is.shown()) {
			t.Errorf("%s: %v, and by default %v", w.key(), g.is.shown(), w.is.shown())
		}
	}
	if len(got.Users) != 1 || got.Users[0].May() != want.Users[0].May() {
		t.Errorf("users: %v", got.Users)
	}
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all := regexp.MustCompile(`(?m)^#([a-z[])`).ReplaceAllString(string(text), "$1")
	all = strings.Replace(all, "anonymous = \"off\"\n", "", 1) // [users.anonymous] takes its place
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "bob:pw:ro\n")
	cf := FromFile(verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), all))
	for _, err := range cf.Problems {
		t.Error(err)
	}
	for _, s := range cf.all {
		if s.by != ByFile && s.name != "anonymous" {
			t.Errorf("%s is not in the example", s.key())
		}
	}
	alice := cf.User("alice")
	for _, k := range userKeys(alice) {
		if !slices.ContainsFunc(cf.Show(), func(s Shown) bool { return s.Key == "users.alice."+k.name }) {
			t.Errorf("config show leaves out %s of alice", k.name)
		}
	}
	if len(cf.Users) != 3 || len(alice.lines) != len(userKeys(alice))+1 {
		t.Errorf("%d users; alice has %v", len(cf.Users), alice)
	}
}
