package serve

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/server"
)

// problemsOf returns the problems of a configuration file, without the directory of the file.
func problemsOf(t *testing.T, text string) []string {
	t.Helper()
	name := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), text)
	cf := &config{Config: settings.FromFile(name)}
	roots := newRoots(t.Context())
	defer roots.end()
	cf.prepare(roots)
	var all []string
	for _, err := range cf.Sorted() {
		if code := verb.ExitCode(err); code != verb.ExitUsage && code != verb.ExitLocal {
			t.Errorf("%v: exit %d", err, code)
		}
		all = append(all, strings.ReplaceAll(err.Error(), filepath.Dir(name)+string(filepath.Separator), ""))
	}
	return all
}

// TestConfigMistakes: each mistake is reported with its line and what to write instead.
func TestConfigMistakes(t *testing.T) {
	const user = "[users.a]\npassword = \"p\"\n"
	for _, tt := range []struct {
		text string
		want []string // of the problems, in order
	}{
		{"", nil},
		{user, nil},
		{"listen = \"127.0.0.1:0\"", nil},
		{"rate = 5", []string{"m.toml:1: rate: unknown setting: did you mean rate, in [limits]?"}},
		{"[limits]\nrate = 5\nmax_sessions = 1", []string{"m.toml:3: limits.max_sessions: unknown setting: did you mean max-sessions, in [limits]?"}},
		{"tls-cert = \"x\"", []string{"m.toml:1: tls-cert: unknown setting: did you mean cert, in [tls]?"}},
		{"[tls]\nlisten = \"x\"", []string{"m.toml:2: tls.listen: unknown setting: did you mean listen, at the top, before the first [table]?"}},
		{"gretting = \"x\"", []string{"m.toml:1: gretting: unknown setting: did you mean greeting?"}},
		{"zzzzzzzzz = 1\n[q]", []string{"m.toml:1: zzzzzzzzz: unknown setting; docs/configuration.md", "m.toml:2: q: unknown setting"}},
		{"[q.r]\ns = 1", []string{"m.toml:2: q.r.s: unknown setting"}},
		{"[listen]", []string{"m.toml:1: listen: this is a setting, not a table: write  listen = …"}},
		{"listen = { a = 1 }", []string{"m.toml:1: listen: this is a setting, not a table", "m.toml:1: listen.a: unknown setting"}},
		{"a = \n", []string{"m.toml:1: not valid TOML: "}},
		{"[tls]\nmode = \"off\"\n[tls]", []string{"m.toml:3: not valid TOML: "}},
		{"grace = true\ngreeting = 1.5\nupload-in-place = \"yes\"\nlisten = [1]", []string{
			"m.toml:1: grace: must be a number of seconds, or a duration in quotes", "m.toml:2: greeting: must be a text", "m.toml:3: upload-in-place: must be true or false", "m.toml:4: listen: must be a list of texts",
		}},
		{"[limits]\nmax-sessions = -1\nidle-timeout = \"0s\"\nmax-waiting = 99999999999\nfailure-delay = \"-1s\"", []string{
			"m.toml:2: limits.max-sessions -1: must not be negative", "m.toml:3: limits.idle-timeout 0s: must be greater than 0",
			"m.toml:4: limits.max-waiting: must be a whole number", "m.toml:5: limits.failure-delay -1s: must not be negative",
		}},
		{"public-ip = \"::1\"\npassive-ports = \"9-1\"\nhost = \"a,,b\"\ngreeting = \"a\\r\\nb\"", []string{
			"m.toml:1: public-ip \"::1\": must be an IPv4 address", `m.toml:2: passive-ports "9-1": a range is written`, `m.toml:3: host "a,,b": a name is missing`, `m.toml:4: greeting "a\r\nb": must be a single line`,
		}},
		{"[limits]\nallow = [\"10.0.0.0/8\", \"10.0.0.1/8\"]\ndeny = \"everybody\"", []string{
			`m.toml:2: limits.allow "10.0.0.1/8" has bits set after its prefix: did you mean the network 10.0.0.0/8 or the address 10.0.0.1?`, `m.toml:3: limits.deny "everybody" is not a network`,
		}},
		{"root = \"none\"", []string{"m.toml:1: none: no such file"}},
		{"root = \"gopher://x\"", []string{"m.toml:1: unknown storage"}},
		{"[users.a]\nroot = \"none\"\npassword = \"p\"\nhome = \"/h\"", nil}, // a warning only: TestOneUsersProblem
		{"[users.a]\nroot = \"gopher://x\"\npassword = \"p\"", []string{"m.toml:2: unknown storage"}},
		{"public-ip = \"ftp.example.org\"", nil}, // it is looked up when the server runs
		{"public-ip = \"2001:db8::7\"", []string{`m.toml:1: public-ip "2001:db8::7": must be an IPv4 address`}},
		{"public-ip = \"999.1.1.1\"", []string{`m.toml:1: public-ip "999.1.1.1": must be an IPv4 address`}},
		{"public-ip = \"ftp.example.org:21\"", []string{`m.toml:1: public-ip "ftp.example.org:21": must be`}},
		{"public-ip = \"two names\"", []string{`m.toml:1: public-ip "two names": must be`}},
		{"root = \"\"", []string{"m.toml:1: root is empty"}},
		{"users-file = \"\"", []string{"m.toml:1: users-file is empty"}},
		{"[users.a]", []string{"m.toml:1: user a: no password"}},
		{"[users.a]\npassword = \"\"", []string{"m.toml:2: users.a.password: must be a text"}},
		{"[users.a]\npassword = 5", []string{"m.toml:2: users.a.password: must be a text"}},
		{"[users.a]\npassword = \"$6$abc\"", []string{"m.toml:2: user a: the password is a hash of an unsupported kind"}},
		{"[users.a]\npassword = \"$2b$10$short\"", []string{"m.toml:2: user a: the password looks like a bcrypt hash but is not valid"}},
		{user + "perm = \"all\"", []string{`m.toml:3: users.a.perm: all: must be "ro", "rw", "drop" or a list of read, list`}},
		{user + "perm = []", []string{`m.toml:3: users.a.perm: empty list: must be "ro", "rw"`}},
		{user + "perm = [\"read\", \"wright\"]", []string{"m.toml:3: users.a.perm: wright: must be"}},
		{user + "rate-up = \"fast\"\nmax-sessions = -1\nnetworks = [\"x\"]\nhome = 3\nsessions = 3\nx.y = 1", []string{
			"m.toml:3: users.a.rate-up: must be a number of bytes per second", "m.toml:4: users.a.max-sessions: must be a whole number", `m.toml:5: users.a.networks: "x" is not a network`,
			"m.toml:6: users.a.home: must be a text", "m.toml:7: users.a.sessions: unknown setting of a user: did you mean max-sessions?", "m.toml:8: users.a.x.y: unknown setting of a user",
		}},
		{"users = 3", []string{"m.toml:1: users: a user is a table: [users.NAME] with password"}},
		{"user = \"a:b\"", []string{"m.toml:1: user: unknown setting: a user is a table [users.NAME]"}},
		{"[users.ftp]\npassword = \"p\"\n[users.anonymous]", []string{"m.toml:1: user ftp: clients use this name for anonymous"}},
		{"anonymous = \"ro\"\n[users.FTP]\npassword = \"p\"", []string{"m.toml:2: user FTP: clients use this name for anonymous"}},
		{"[users.ftp]\npassword = \"p\"", nil},
		{"[users]\na = \"p\"", []string{"m.toml:2: users.a: a user is a table: [users.a] with password"}},
		{"[[users]]\nname = \"a\"", []string{"m.toml:1: [[users]]: write tables in single brackets"}},
		{"[users.\"a\\nb\"]\npassword = \"p\"", []string{"m.toml:1: users.a?b: nobody can log in with this name", "m.toml:2: users.a?b.password: nobody can log in with this name"}},
		{"anonymous = \"maybe\"", []string{`m.toml:1: anonymous "maybe": must be off, ro or rw`}},
		{"anonymous = \"off\"", []string{"m.toml:1: anonymous off, and there is no user: nobody could log in"}},
		{"anonymous = \"ro\"\n[users.anonymous]\nperm = \"rw\"", []string{"m.toml:1: anonymous and perm of [users.anonymous] are both set"}},
		{"anonymous = \"ro\"\n[users.anonymous]\npassword = \"rw\"", []string{"m.toml:1: anonymous ro contradicts the password of user anonymous"}},
		{"[tls]\nmode = \"on\"", []string{`m.toml:2: tls.mode "on": must be off, optional, required or implicit`}},
		{"[tls]\nmode = \"required\"", []string{`m.toml:2: tls.mode required needs a certificate: write  cert = "FILE",  acme = ["HOST"]  or  self-signed = true  in [tls]`}},
		{"[tls]\ncert = \"none.pem\"\nkey = [\"a\", \"b\"]", []string{"m.toml:3: tls.key has 2 keys for 1 of m.toml:2: tls.cert: there must be"}},
		{"[tls]\nself-signed = true\nkey = \"a\"", []string{"m.toml:3: tls.key can't be used together with m.toml:2: tls.self-signed"}},
		{"[tls]\nmode = \"off\"\nsession-reuse = \"maybe\"", []string{`m.toml:3: tls.session-reuse "maybe": must be off, prefer or require`}},
		{"listen = [\"127.0.0.1:2121\", \"127.0.0.1:2121\"]", []string{"m.toml:1: listen 127.0.0.1:2121: duplicate address"}},
		{"listen = [\"[::1]:21\", \"[0:0::1]:ftp\"]", []string{"m.toml:1: listen [0:0::1]:ftp: duplicate address"}},
		{"listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"127.0.0.2:21\", \"127.0.0.1:21\"]", nil},
		{"\ufefflisten = \"127.0.0.1:0\"", nil},
		{"[tls]\ncert = \"none.pem\"", []string{"m.toml:2: none.pem: no such file"}},
		{"[tls]\ncert = \"m.toml\"\nself-signed = true", []string{"m.toml:3: tls.self-signed can't be used together with m.toml:2: tls.cert"}},
		{"listen-tls = \":0\"\n[tls]\nmode = \"off\"", []string{"m.toml:1: listen-tls has no effect without TLS"}},
		{"[tls]\nccc = true\nmode = \"off\"", nil},
		{"[tls]\nccc = true", []string{"m.toml:2: tls.ccc has no effect without TLS"}},
		{"[log]\nlevel = \"loud\"\nformat = \"xml\"", []string{`m.toml:2: log.level "loud": must be debug`, `m.toml:3: log.format "xml": must be console, text or json`}},
		{"users-file = \"m.toml\"", []string{"m.toml:1: a line is NAME:PASSWORD"}},
		{"users-file = \"none\"", []string{"m.toml:1: none: no such file"}},
	} {
		got := problemsOf(t, tt.text)
		ok := len(got) == len(tt.want)
		for i := 0; ok && i < len(got); i++ {
			ok = strings.HasPrefix(got[i], tt.want[i])
		}
		if !ok {
			t.Errorf("%s\n got %s\nwant %s", tt.text, strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
		}
	}
}

// FuzzConfig: no content of a file makes reading it panic or puts control characters in an error.
func FuzzConfig(f *testing.F) {
	f.Add("[users.a]\npassword = \"p\"\nperm = [\"read\"]\n[limits]\nrate = \"2M\"")
	f.Add("a.b.c = { d = [1, {e = 2}] }\n[[x]]")
	f.Add("\"\" = 1\n[\"\"]\nusers = {\"\" = {}}")
	f.Fuzz(func(t *testing.T, text string) {
		name := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), text)
		cf := &config{Config: settings.FromFile(name)}
		if cf.Unreadable() {
			if len(cf.Problems) == 0 {
				t.Fatal("the file is unreadable, but no problem is recorded")
			}
			return
		}
		cf.options()
		for _, err := range cf.Sorted() {
			if s := err.Error(); regexp.MustCompile(`[\x00-\x1f\x7f]`).MatchString(s) {
				t.Fatalf("%q", s)
			}
		}
	})
}

// parsed returns the configuration that serve makes of a command line.
func parsed(t *testing.T, args ...string) *config {
	t.Helper()
	var cf *config
	app := flags.NewApp(&verb.Env{Verbs: verbs, Stdio: verb.Stdio{Out: os.Stdout, Err: os.Stderr}, Ctx: t.Context()})
	app.Command("serve").Action = func(c *cli.Context) error {
		cf = &config{Config: settings.New(c)}
		return nil
	}
	if err := app.RunContext(t.Context(), append([]string{"miniftp", "serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return cf
}

// TestPrecedence: for settings of every kind, flags override the environment, which overrides the file,
// which overrides the defaults.
func TestPrecedence(t *testing.T) {
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), `
root = "mem://"
upload-in-place = true
grace = "3s"
host = ["f1", "f2"]
greeting = "file"
anonymous = "rw"
[limits]
max-waiting = 3
`)
	type of map[string]any
	check := func(cf *config, want of) {
		t.Helper()
		for _, err := range cf.Problems {
			t.Error(err)
		}
		got := of{}
		for _, s := range cf.Show() {
			if want[s.Key] != nil {
				got[s.Key] = []any{s.Value, strings.TrimPrefix(s.From, file)}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	check(parsed(t), of{
		"root": []any{".", "default"}, "upload-in-place": []any{false, "default"}, "grace": []any{"10s", "default"},
		"host": []any{[]string{}, "default"}, "greeting": []any{"", "default"}, "limits.max-waiting": []any{1000, "default"}, "anonymous": []any{"ro", "default"},
	})
	check(parsed(t, "--config", file), of{
		"root": []any{"mem://", ":2"}, "upload-in-place": []any{true, ":3"}, "grace": []any{"3s", ":4"},
		"host": []any{[]string{"f1", "f2"}, ":5"}, "greeting": []any{"file", ":6"}, "limits.max-waiting": []any{3, ":9"}, "anonymous": []any{"rw", ":7"},
	})
	for name, v := range map[string]string{"CONFIG": file, "UPLOAD_IN_PLACE": "false", "GRACE": "4s", "HOST": "e1", "GREETING": "env", "MAX_WAITING": "4", "ANONYMOUS": "ro"} {
		t.Setenv("MINIFTP_"+name, v)
	}
	check(parsed(t), of{
		"root": []any{"mem://", ":2"}, "upload-in-place": []any{false, "MINIFTP_UPLOAD_IN_PLACE"}, "grace": []any{"4s", "MINIFTP_GRACE"},
		"host": []any{[]string{"e1"}, "MINIFTP_HOST"}, "greeting": []any{"env", "MINIFTP_GREETING"}, "limits.max-waiting": []any{4, "MINIFTP_MAX_WAITING"}, "anonymous": []any{"ro", "MINIFTP_ANONYMOUS"},
	})
	check(parsed(t, "--upload-in-place", "--grace", "5s", "--host", "a", "--host", "b", "--greeting", "flag", "--max-waiting", "5", "--anonymous", "rw", "."), of{
		"root": []any{".", "ROOT"}, "upload-in-place": []any{true, "--upload-in-place"}, "grace": []any{"5s", "--grace"},
		"host": []any{[]string{"a", "b"}, "--host"}, "greeting": []any{"flag", "--greeting"}, "limits.max-waiting": []any{5, "--max-waiting"}, "anonymous": []any{"rw", "--anonymous"},
	})
}

// TestUsersTogether: users from the configuration file, the users file and --user are merged.
func TestUsersTogether(t *testing.T) {
	dir := t.TempDir()
	hash, err := server.HashPassword("from-users")
	if err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "# users\n\nalice:"+hash+"\ndora:x:y:drop\n")
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), `
users-file = "users"
[users.alice]
perm = ["list", "read"]
max-sessions = 2
networks = ["127.0.0.1", "fd00::/8"]
rate-down = 10
[users.bob]
password = "b"
perm = ["read", "store"]
rate-up = "1k"
[users.anonymous]
root = "mem://"
perm = "drop"
`)
	cf := parsed(t, "--config", file, "--user", "bob:new", "--user", "eve:e:v:e:ro", ".")
	roots := newRoots(context.Background())
	defer roots.end()
	opts, _ := cf.prepare(roots)
	if len(cf.Problems) > 0 {
		t.Fatal(cf.Problems)
	}
	got, _ := opts.Auth.(server.Static)
	for name, want := range map[string]struct {
		password string
		perm     server.Perm
		anyone   bool
	}{
		"alice":     {hash, server.ReadOnly, false},
		"bob":       {"new", server.PermRead | server.PermStore, false},
		"dora":      {"x:y", server.DropBox, false},
		"eve":       {"e:v:e", server.ReadOnly, false},
		"anonymous": {"", server.DropBox, true},
	} {
		if u := got[name]; u.Password != want.password || u.Account.Perm != want.perm || u.Anyone != want.anyone || u.Account.Open == nil {
			t.Errorf("%s: %+v", name, u)
		}
	}
	a, b := got["alice"].Account, got["bob"].Account
	if len(got) != 5 || a.MaxSessions != 2 || a.RateDown != 10 || len(a.Networks) != 2 || b.RateUp != 1000 {
		t.Errorf("%d users; alice is %+v, bob is %+v", len(got), a, b)
	}
	if len(roots.trees) != 2 {
		t.Errorf("%d roots are open", len(roots.trees))
	}
	if cf = parsed(t, "--config", file, "--anonymous", "off"); cf.User("anonymous") != nil || len(cf.Users) != 3 {
		t.Errorf("--anonymous off: %d users", len(cf.Users))
	}
	if cf = parsed(t, "--config", file, "--anonymous", "ro"); cf.User("anonymous").May() != "ro" || cf.User("anonymous").Root != "mem://" {
		t.Errorf("--anonymous ro: %+v", cf.User("anonymous"))
	}
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "bob:x\nalice:"+hash+":ro\nalice:y\nnonsense\na b:c\n x:y\n")
	cf = parsed(t, "--config", file)
	for i, want := range []string{
		"users:1: user bob also has a password in ", "users:2: user alice also has a permission in ", "users:3: duplicate user alice",
		"users:4: a line is NAME:PASSWORD", "users:6: invalid name: it begins or ends with a blank",
	} {
		if i >= len(cf.Problems) || !strings.Contains(cf.Problems[i].Error(), want) {
			t.Fatalf("problem %d is not %q: %v", i, want, cf.Problems)
		}
	}
}

// TestEveryOption: for each field of server.Options there is a flag that sets it.
func TestEveryOption(t *testing.T) {
	cf := parsed(t, "--listen", ":0", "--greeting", "g", "--host", "h", "--passive-ports", "1-2=3-4", "--public-ip", "1.2.3.4", "--public-ip-always", "--public-ip-for", "10.0.0.0/8=10.1.2.3", "--proxy-protocol", "10.0.0.5",
		"--data-any-host", "--upload-in-place", "--log-sha256", "--sync", "file", "--mode-z", "--max-sessions", "1", "--max-sessions-per-ip", "1", "--command-rate", "1", "--rate", "1", "--max-hashes", "1", "--hash-timeout", "1s", "--hash-rate", "1",
		"--allow", "10.0.0.0/8,127.0.0.1", "--deny", "::1", "--tls", "required", "--tls-self-signed", "--tls-session-reuse", "require", "--tls-ccc", "--tls-old-for", "127.0.0.0/8",
		"--listen-tls", ":0")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	roots := newRoots(t.Context())
	defer roots.end()
	opts, _ := cf.prepare(roots)
	for _, err := range cf.Problems {
		t.Error(err)
	}
	v := reflect.ValueOf(opts)
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Name; name {
		case "Gate", "GateTimeout", "MaxChecks": // exclude --upload-in-place, see below
		case "Observer", "Log", "CertUser", "FXPTLS", "Dial", "State", "Journal": // set by the log, --hook, --tls-client-user, --tls-fxp-ca, which needs a file, and --shared-state, which needs a bucket; Dial has no flag
		default:
			if v.Field(i).IsZero() {
				t.Errorf("no flag sets %s", name)
			}
		}
	}
	opts, _ = parsed(t, "--gate", "clamd:/run/clamd.ctl", "--gate-timeout", "2s", "--gate-parallel", "3").prepare(roots)
	if opts.Gate == nil || opts.GateTimeout != 2*time.Second || opts.MaxChecks != 3 {
		t.Errorf("--gate: %v, %v, %d", opts.Gate, opts.GateTimeout, opts.MaxChecks)
	}
	opts, _ = cf.prepare(roots)
	if len(opts.Allow) != 2 {
		t.Errorf("--allow: %v", opts.Allow)
	}
}

// TestShowMasks: config show prints no password in any form.
func TestShowMasks(t *testing.T) {
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), "[users.a]\npassword = \"s3cret\"\n[users.\"b c\"]\npassword = \"s3cret\"\n")
	for _, form := range []string{"--json=true", "--json=false"} {
		code, out, errs := try(t, "config", "show", "--config", file, "--user", "d:s3cret:ro", form, "mem://")
		if code != 0 || strings.Contains(out+errs, "s3cret") || !strings.Contains(out, "****") || !strings.Contains(out, "users.") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		if strings.Contains(strings.ToLower(out), `"otherwise"`) {
			t.Errorf("an internal field is in the output: %s", out)
		}
		var all []settings.Shown
		if form == "--json=true" && json.Unmarshal([]byte(out), &all) != nil || len(all) == 0 == strings.HasPrefix(out, "[") {
			t.Errorf("read %d settings from %s", len(all), out)
		}
	}
}

// TestSharedPassword: there is a warning about passwords in clear text if all users of the machine can read
// the file.
func TestSharedPassword(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		mode os.FileMode
		text string
		warn bool
	}{
		{0o600, "[users.a]\npassword = \"p\"", false},
		{0o640, "[users.a]\npassword = \"p\"", false},
		{0o644, "[users.a]\npassword = \"p\"", true},
		{0o644, "root = \"mem://\"", false},
		{0o644, "[users.a]\npassword = \"$2b$10$" + strings.Repeat("a", 53) + "\"", false},
	} {
		name := filepath.Join(dir, "m.toml")
		verbtest.WriteFile(t, name, tt.text)
		if err := os.Chmod(name, tt.mode); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != tt.mode {
			t.Skip("this system has no such modes")
		}
		cf := settings.FromFile(name)
		if got := slices.ContainsFunc(cf.Warnings, func(w string) bool { return strings.Contains(w, "clear text") }); got != tt.warn {
			t.Errorf("%v %s: %v", tt.mode, tt.text, cf.Warnings)
		}
	}
}
