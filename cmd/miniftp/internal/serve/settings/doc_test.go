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

// sameAs compares a file with the text made from the code. With -update (make golden) it writes the file.
func sameAs(t *testing.T, name, want string) {
	t.Helper()
	if verbtest.Updating() {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old, err := os.ReadFile(name); err != nil || string(old) != want {
		t.Errorf("%s differs from what the code generates (%v): run make golden", name, err)
	}
}

// TestConfigReference: the tables in docs/configuration.md are those made from the code.
func TestConfigReference(t *testing.T) {
	old, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	want := verbtest.Between(t, string(old), "settings", settingsTable())
	want = verbtest.Between(t, want, "users", keysTable(userKeys(&Account{})))
	want = verbtest.Between(t, want, "mounts", keysTable(mountKeys(&Mount{})))
	sameAs(t, referenceFile, want)
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// literal returns the default of a setting as TOML, or "" if it has none.
func literal(r *row) string {
	r.value.reset()
	switch v := r.value.shown().(type) {
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

// byGroup calls each once per group, with the rows of the group.
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
			names := fmt.Sprintf("`--%s`, `%s`", r.name, flags.EnvName(r.name))
			if r.argument {
				names = "the argument `ROOT`"
			}
			otherwise := cmp.Or(r.otherwise, strings.Trim(literal(r), `"`))
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.TrimPrefix(r.key(), g.table+"."), names, cell(otherwise), cell(r.usage()))
		}
	})
	b.WriteString("\n")
	return b.String()
}

func keysTable(keys []userKey) string {
	var b strings.Builder
	b.WriteString("| key | default | what it is |\n|---|---|---|\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.name, k.otherwise, cell(k.doc))
	}
	return b.String()
}

const exampleHead = `# miniftp.toml: the settings of "miniftp serve --config miniftp.toml".
#
# As it is, this file changes nothing: it sets each setting to its default. Lines that
# begin with # and no space are examples; remove the # to use them.
# Flags and environment variables (MINIFTP_…) override this file.
# "miniftp config check miniftp.toml" finds mistakes, "miniftp config show --config
# miniftp.toml" prints the resulting settings, and SIGHUP makes a running server read
# the file again. File names are relative to the directory of this file.
# Comments name settings by their flags: --tls-cert is cert in [tls].
# docs/configuration.md explains the file.
`

const exampleUsers = `
## Users

# The keys of a group are the defaults for the keys of its users. It can have all keys
# of a user except password and group.
#[groups.team]
#rate-down = "20M"

# "miniftp passwd alice" makes the hash. All other keys may be left out; the comments
# name their defaults.
#[users.alice]
#password = "$2a$10$gX40eykx7SRp0tJv5bKqKedUjTb6cteyYkjfgoc2IHFBIvgUI/4jO"
# The group of the user. Default: none.
#group = "team"
# ro, rw, drop (upload only), or a list of read, list, store, overwrite, delete, rename,
# mkdir and change. Default: rw.
#perm = ["read", "list", "store", "mkdir"]
# What the user sees as "/"; mem:// keeps files in memory until the server stops.
# Default: the root of the server.
#root = "mem://"
# The directory in which a session begins. Default: "/".
#home = "/"
# Bytes per second of one session, to and from the client. Default: no limit.
#rate-down = "5M"
#rate-up = "1M"
# Sessions of the user at once. Default: no limit.
#max-sessions = 4
# How many bytes and files may be below root. Default: no limit.
#quota = "10G"
#quota-files = 100000
# The only networks from which the user may log in. Default: any.
#networks = ["127.0.0.0/8", "::1"]
# The last day on which the user can log in, or a time. Default: never.
#expires = 2999-12-31
# Permission bits that new files and directories lose. Default: none besides those of
# the umask of the server.
#umask = "027"
# Whether the user may copy files from server to server, as with --fxp. Default: false.
#fxp = true
# Ends of an upload after which the file counts as complete, in addition to
# accept-upload above. Default: none.
#accept-upload = ["hang-up", "no-close-notify"]
# The kind of client to adapt to: device (cameras, scanners and the like) or none.
# Default: that of compat above.
#compat = "device"
# Other storages at directories of the user: "ROOT:PERM", or a table with root, perm,
# quota and quota-files (docs/mounts.md). This table is the last one of the user.
#[users.alice.mounts]
#"/pub" = "mem://:ro"
#"/in" = { root = "mem://", perm = "drop", quota = "1G" }

# Anyone may log in as anonymous with any password. Use this or "anonymous" above.
#[users.anonymous]
#perm = "drop"
#root = "mem://"
`

// example returns the text of docs/miniftp.toml.
func example() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	byGroup(func(g group, rows []*row) {
		fmt.Fprintf(&b, "\n## %s\n", g.about)
		if g.table != "" {
			fmt.Fprintf(&b, "\n[%s]\n", g.table)
		}
		for _, r := range rows {
			usage, value, off := strings.NewReplacer("`", "", "; repeatable, or separated by commas", "", "; repeatable", "").Replace(r.usage()), literal(r), ""
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

// TestConfigExample: docs/miniftp.toml gives each setting its default. With all examples uncommented it
// loads without mistakes and has every setting.
func TestConfigExample(t *testing.T) {
	sameAs(t, exampleFile, example())
	got, want := FromFile(exampleFile), FromFile("")
	for _, err := range got.Problems {
		t.Error(err)
	}
	for i, w := range want.all {
		if g := got.all[i]; !reflect.DeepEqual(g.value.shown(), w.value.shown()) {
			t.Errorf("%s: the example has %v, the default is %v", w.key(), g.value.shown(), w.value.shown())
		}
	}
	if len(got.Users) != 1 || got.Users[0].May() != want.Users[0].May() {
		t.Errorf("the example has the users %v", got.Users)
	}
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all := regexp.MustCompile(`(?m)^#([a-z["])`).ReplaceAllString(string(text), "$1")
	all = strings.Replace(all, "anonymous = \"off\"\n", "", 1) // [users.anonymous] replaces it
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
		if !slices.ContainsFunc(cf.Show(), func(s Shown) bool {
			return s.Key == "users.alice."+k.name || k.name == mountsKey && strings.HasPrefix(s.Key, "users.alice.mounts.")
		}) {
			t.Errorf("config show leaves out %s of alice", k.name)
		}
		if k.name != mountsKey && alice.lines[k.field] == 0 {
			t.Errorf("%s is not in the example", k.name)
		}
	}
	if len(cf.Users) != 3 || len(alice.Mounts) != 2 {
		t.Errorf("the example has %d users; alice is %v", len(cf.Users), alice)
	}
}

// TestAnswerKeys: docs/auth.md lists the keys that an answer of a source may have.
func TestAnswerKeys(t *testing.T) {
	text, err := os.ReadFile(verbtest.InModule("docs/auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "with the same values:\n")
	list, _, _ = strings.Cut(list, "\n")
	var got, want []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		got = append(got, m[1])
	}
	for _, k := range userKeys(&Account{}) {
		if !slices.Contains(notInAnswers, k.name) {
			want = append(want, k.name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/auth.md lists %q, want %q", got, want)
	}
}
