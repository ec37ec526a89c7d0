package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/serve/settings"
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

func settingsTable() string {
	var b strings.Builder
	for _, g := range settings.ServeGroups() {
		title := g.About
		if g.Table != "" {
			title += ": `[" + g.Table + "]`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n| key | flag, variable | default | what it does |\n|---|---|---|---|\n", title)
		if g.Table == "" {
			b.WriteString("| `root` | the argument `ROOT` | `.` | what is served: a directory, or `mem://`, a memory of its own |\n")
		}
		for _, f := range g.Flags {
			d, _ := f.(cli.DocGenerationFlag)
			name := f.Names()[0]
			otherwise := strings.Trim(d.GetDefaultText(), `"`)
			if d, ok := f.(*flags.DurationFlag); ok {
				otherwise = flags.DurationText(d.Value)
			}
			_, key, ok := strings.Cut(g.Key(name), ".")
			if !ok {
				key = g.Key(name)
			}
			fmt.Fprintf(&b, "| `%s` | `--%s`, `%s` | %s | %s |\n", key, name, flags.EnvName(name), cell(otherwise), cell(d.GetUsage()))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func usersTable() string {
	var b strings.Builder
	b.WriteString("| key | default | what it is |\n|---|---|---|\n")
	for _, u := range settings.UserKeys {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", u.Name, u.Otherwise, cell(u.Usage))
	}
	return b.String()
}

// samples stand in the example for what has no default.
var samples = map[string]string{
	"listen-tls": `[":990"]`, "anonymous": `"off"`, "users-file": `"users"`, "greeting": `"ftp.example.org: no uploads, please"`,
	"host": `["ftp.example.org"]`, "passive-ports": `"40000-40100"`, "fxp": `["alice"]`, "accept-upload": `["hang-up"]`, "public-ip": `"203.0.113.7"`,
	"max-sessions": "200", "max-sessions-per-ip": "10", "allow": `["192.168.0.0/16", "fd00::/8"]`, "deny": `["192.168.66.0/24"]`,
	"rate": `"20M"`, "command-rate": "20", "max-hashes": "2", "hash-rate": `"100M"`,
	"tls": `"required"`, "tls-cert": `["/etc/miniftp/cert.pem"]`, "tls-key": `["/etc/miniftp/key.pem"]`, "tls-client-ca": `"/etc/miniftp/clients.pem"`, "tls-fxp-ca": `"/etc/miniftp/servers.pem"`,
	"log-format": `"json"`, "log-file": `"/var/log/miniftp/log"`, "xferlog": `"/var/log/miniftp/xferlog"`,
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
	for _, g := range settings.ServeGroups() {
		fmt.Fprintf(&b, "\n## %s\n", g.About)
		if g.Table == "" {
			b.WriteString("\n# what is served: a directory, mem://, or another server's tree (ftp://, ftpes://,\n# ftps://); where serve is started\n#root = \"/srv/ftp\"\n")
		} else {
			fmt.Fprintf(&b, "\n[%s]\n", g.Table)
		}
		for _, f := range g.Flags {
			d, _ := f.(cli.DocGenerationFlag)
			name := f.Names()[0]
			key := strings.TrimPrefix(g.Key(name), g.Table+".")
			usage := strings.ReplaceAll(d.GetUsage(), "`", "")
			value, off := literal(f), ""
			if value == "" {
				value, off = samples[name], "#"
				if name == "listen" {
					value, off = `["127.0.0.1:2121"]`, ""
				}
				usage += "; default: " + d.GetDefaultText()
			}
			b.WriteString("\n")
			for _, line := range term.Wrap(usage, 84) {
				b.WriteString("# " + line + "\n")
			}
			fmt.Fprintf(&b, "%s%s = %s\n", off, key, value)
		}
	}
	b.WriteString(exampleUsers)
	return b.String()
}

// literal is a flag's default as TOML, "" if it has none.
func literal(f cli.Flag) string {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return fmt.Sprint(f.Value)
	case *cli.IntFlag:
		if f.Value != 0 {
			return fmt.Sprint(f.Value)
		}
	case *flags.DurationFlag:
		return fmt.Sprintf("%q", flags.DurationText(f.Value))
	case *cli.StringFlag:
		if f.Value != "" {
			return fmt.Sprintf("%q", f.Value)
		}
	}
	return ""
}

// TestConfigExample: docs/miniftp.toml is what serve does by default; with all that is
// commented out it loads, too, and has every setting there is.
func TestConfigExample(t *testing.T) {
	sameAs(t, exampleFile, example())
	got, want := settings.New(nil, exampleFile), settings.New(nil, "")
	for _, err := range got.Problems {
		t.Error(err)
	}
	for name, w := range want.Values {
		g := got.Values[name]
		if !reflect.DeepEqual(g.Is, w.Is) {
			t.Errorf("%s: %v, and by default %v", name, g.Is, w.Is)
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
	cf := settings.New(nil, verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), all))
	options(cf)
	for _, err := range cf.Problems {
		t.Error(err)
	}
	for name, v := range cf.Values {
		if v.By != settings.ByFile && name != "anonymous" {
			t.Errorf("%s is not in the example", name)
		}
	}
	alice := cf.User("alice")
	if len(cf.Users) != 3 || len(alice.Lines) != len(settings.UserKeys)+1 {
		t.Errorf("%d users; alice has %v", len(cf.Users), alice)
	}
}
