package doctor

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// examined runs doctor --json and returns its report, its exit code and its standard error.
func examined(t *testing.T, args ...string) (j jsonReport, exit int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = flags.Run(t.Context(), verbs, append([]string{"miniftp", "doctor", "--json"}, args...), verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
	if err := json.Unmarshal(out.Bytes(), &j); err != nil {
		t.Fatalf("exit %d: %v\n%s%s", exit, err, out.String(), errs.String())
	}
	if exit != j.Exit {
		t.Errorf("exit %d, but the JSON has exit %d", exit, j.Exit)
	}
	return j, exit, errs.String()
}

// page returns what doctor prints for people.
func page(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	flags.Run(t.Context(), verbs, append([]string{"miniftp", "doctor"}, args...), verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
	return out.String()
}

func (j *jsonReport) codes() []string {
	codes := []string{}
	for _, f := range j.Findings {
		codes = append(codes, f.Code)
	}
	return codes
}

// states returns the states of a row: EPSV, PASV, EPRT, PORT.
func (r *jsonRow) states() string {
	var all []string
	for _, way := range ways {
		all = append(all, r.Ways[way].State)
	}
	return strings.Join(all, " ")
}

// readable returns a filesystem with files to read, and their modification time, an hour ago.
func readable(t *testing.T) (afero.Fs, time.Time) {
	t.Helper()
	fsys := afero.NewMemMapFs()
	when := time.Now().Add(-time.Hour).UTC().Truncate(time.Minute)
	for name, text := range map[string]string{"/a.txt": "the quick brown fox jumps over the lazy dog", "/big.bin": strings.Repeat("0123456789", 10_000)} {
		if err := afero.WriteFile(fsys, name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Chtimes(name, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return fsys, when
}

const allWork = "works works works works"

// TestDoctorFaults: each fault gives its finding and no other.
func TestDoctorFaults(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	_, when := readable(t)
	byTime := func(d time.Duration) ftptest.Fault { return ftptest.Reply(213, ftp.FormatTime(when.Add(d))) }
	nat := netip.MustParseAddr("10.0.0.5")
	type fail struct {
		verb  string
		fault ftptest.Fault
	}
	for _, tt := range []struct {
		name    string
		faults  []fail
		options []ftptest.Option
		states  string // of the row without TLS
		codes   []string
		says    string // a part of the findings
		use     string // a part of the command
		exit    int
	}{
		{name: "healthy", states: allWork, use: "get ftp://"},
		{
			name: "NAT", faults: []fail{{"PASV", ftptest.Announce(nat)}}, states: allWork, codes: []string{"passive-address-private"},
			says: "PASV announces 10.0.0.5, a private address behind NAT. The server's admin should set its public address (miniftp: --public-ip). miniftp works around it",
		},
		{
			name: "names itself", faults: []fail{{"PASV", ftptest.Announce(netip.MustParseAddr("127.0.0.9"))}}, states: allWork,
			codes: []string{"passive-address-loopback"}, says: "PASV announces 127.0.0.9",
		},
		{
			name: "another host", faults: []fail{{"PASV", ftptest.Announce(netip.MustParseAddr("192.0.2.7"))}}, states: allWork,
			codes: []string{"passive-address-other"}, says: "PASV announces 192.0.2.7, which is not the host of the control connection",
		},
		{
			name: "data ports time out", faults: []fail{{"PASV", ftptest.SwallowCalls()}, {"EPSV", ftptest.SwallowCalls()}}, states: "fails fails works works",
			codes: []string{"data-port-timeout"}, says: "time out: a firewall in front of the server drops the connections. The server's admin should open the passive ports", use: "--active",
		},
		{
			name: "data ports refuse", faults: []fail{{"PASV", ftptest.Lie(ftptest.ClosedPort(t))}, {"EPSV", ftptest.Lie(ftptest.ClosedPort(t))}}, states: "fails fails works works",
			codes: []string{"data-port-refused"}, says: "refuse the connection", use: "--active",
		},
		{
			name: "EPSV dead", faults: []fail{{"EPSV", ftptest.SwallowCalls()}}, states: "fails works works works", codes: []string{"epsv-dead"},
			says: "--passive=classic uses PASV at once",
		},
		{
			name: "no call, 425", faults: []fail{{"EPRT", ftptest.NoCall(time.Millisecond)}, {"PORT", ftptest.NoCall(time.Millisecond)}}, states: "works works fails fails",
			codes: []string{"active-no-call"}, says: "the server's data connection does not arrive",
		},
		{
			name: "no call, silence", faults: []fail{{"EPRT", ftptest.NoCall(0)}, {"PORT", ftptest.NoCall(0)}}, states: "works works fails fails",
			codes: []string{"active-no-call"}, says: "use passive mode",
		},
		{name: "no EPSV", faults: []fail{{"EPSV", ftptest.Refuse()}}, states: "absent works works works", codes: []string{"no-epsv"}, says: "FEAT lists EPSV"},
		{
			name: "no active mode", faults: []fail{{"EPRT", ftptest.Reply(550, "No.")}, {"PORT", ftptest.Reply(550, "No.")}}, states: "works works absent absent",
			codes: []string{"active-refused"}, says: "refuses active mode: 550 No.",
		},
		{name: "REST ignored", faults: []fail{{"REST", ftptest.IgnoreREST()}}, states: allWork, codes: []string{"restart-ignored"}, says: "from its start"},
		{name: "REST refused", faults: []fail{{"REST", ftptest.Refuse()}}, states: allWork, codes: []string{"restart-refused"}, says: "can't be resumed: the server answers REST with 502"},
		{name: "SIZE lies", faults: []fail{{"SIZE", ftptest.Reply(213, "999")}}, states: allWork, codes: []string{"size-wrong"}, says: "SIZE says that a.txt has 999 bytes, but 43 bytes arrive"},
		{name: "no SIZE", faults: []fail{{"SIZE", ftptest.Refuse()}}, states: allWork},
		{name: "MLSD refused", faults: []fail{{"MLSD", ftptest.Refuse()}}, states: allWork, codes: []string{"mlsd-refused"}},
		{name: "no FEAT", faults: []fail{{"FEAT", ftptest.Refuse()}, {"MLSD", ftptest.Refuse()}}, states: allWork},
		{name: "LIST ahead", faults: []fail{{"MDTM", byTime(-2 * time.Hour)}}, states: allWork, codes: []string{"list-zone"}, says: "2 h ahead of UTC"},
		{name: "LIST behind", faults: []fail{{"MDTM", byTime(5*time.Hour + 30*time.Minute)}}, states: allWork, codes: []string{"list-zone"}, says: "5 h 30 min behind UTC"},
		{
			name: "one connection", options: []ftptest.Option{ftptest.WithOptions(func(o *server.Options) { o.MaxSessionsPerIP = 1 })}, states: allWork,
			codes: []string{"one-connection"}, says: "it answers a second one with 421",
		},
		{name: "turned away", faults: []fail{{"USER", ftptest.Reply(421, "Too many.")}}, states: "untried untried untried untried", codes: []string{"turned-away"}, says: "421 Too many.", exit: verb.ExitConnect},
		{name: "login refused", faults: []fail{{"PASS", ftptest.Reply(530, "No.")}, {"USER", ftptest.Reply(331, "Who?")}}, codes: []string{"login-refused"}, says: "530 No.", exit: verb.ExitLogin},
		{name: "hung up", faults: []fail{{"LIST", ftptest.HangUp()}, {"MLSD", ftptest.HangUp()}}, states: "fails fails fails fails", codes: []string{"other", "other", "other", "other"}, exit: verb.ExitConnect},
		{name: "reuse required", options: []ftptest.Option{ftptest.WithTLS(), ftptest.WithOptions(func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })}, states: allWork, codes: []string{"certificate-untrusted", "tls-session-reuse"}, says: "The server refuses TLS data connections without session reuse", use: "--pin sha256:"},
		{name: "AUTH broken", options: []ftptest.Option{ftptest.WithTLS()}, faults: []fail{{"AUTH", ftptest.Reply(431, "No certificate.")}}, states: allWork},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys, _ := readable(t)
			srv := ftptest.NewServer(t, fsys, tt.options...)
			for _, f := range tt.faults {
				srv.Fail(f.verb, f.fault)
			}
			j, exit, stderr := examined(t, "--timeout", "800ms", srv.URL+"/")
			if exit != tt.exit || (stderr == "") != (exit == verb.ExitOK) || strings.Count(stderr, "\n") > 1 || j.Works != (exit == verb.ExitOK) {
				t.Errorf("exit %d, want %d: %q", exit, tt.exit, stderr)
			}
			if got := j.codes(); !slices.Equal(got, append([]string{}, tt.codes...)) {
				t.Errorf("found %q, want %q\n%s", got, tt.codes, page(t, "--timeout", "800ms", srv.URL+"/"))
			}
			said := ""
			for _, f := range j.Findings {
				said += f.What + " " + f.Do + "\n"
				if f.Who == "" || f.What == "" || f.Do == "" {
					t.Errorf("a finding lacks who, what or do: %+v", f)
				}
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("the findings are %q, want %q in them", said, tt.says)
			}
			if got := j.Grid[0].states(); tt.states != "" && got != tt.states {
				t.Errorf("the first row has the states %q, want %q", got, tt.states)
			}
			if !strings.Contains(j.Use, tt.use) {
				t.Errorf("use %q, want %q in it", j.Use, tt.use)
			}
		})
	}
}

// TestDoctorCommand: the command that doctor prints works when it is typed.
func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	fsys, _ := readable(t)
	for _, tt := range []struct {
		name   string
		opts   []ftptest.Option
		path   string
		passiv bool
		want   string
	}{
		{name: "clear", want: "ftp://127"},
		{name: "TLS", opts: []ftptest.Option{ftptest.WithTLS()}, want: "ftpes://127"},
		{name: "a directory", path: "sub", want: "/sub/b.txt"},
		{name: "a directory with a slash", path: "sub/", want: "/sub/b.txt"},
		{name: "a file", path: "sub/b.txt", want: "/sub/b.txt"},
		{name: "an absolute path", path: "%2Fsub/", want: "/%2Fsub/b.txt"},
		{name: "active only", opts: nil, passiv: true, want: "get --active ftp://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := afero.WriteFile(fsys, "/sub/b.txt", []byte("in a directory of its own"), 0o644); err != nil {
				t.Fatal(err)
			}
			srv := ftptest.NewServer(t, fsys, tt.opts...)
			if tt.passiv {
				srv.Fail("EPSV", ftptest.Refuse())
				srv.Fail("PASV", ftptest.Refuse())
			}
			j, exit, _ := examined(t, srv.URL+"/"+tt.path)
			if exit != verb.ExitOK || !strings.Contains(j.Use, tt.want) {
				t.Fatalf("exit %d, use %q, want %q in it", exit, j.Use, tt.want)
			}
			typed(t, j.Use)
		})
	}
}

// typed runs a command that doctor printed, with a directory as the destination.
func typed(t *testing.T, command string) {
	t.Helper()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	words := append(strings.Fields(command), dir)
	if exit := flags.Run(t.Context(), verbs, words, verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs}); exit != verb.ExitOK {
		t.Errorf("%s: exit %d: %s", strings.Join(words, " "), exit, errs.String())
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%s wrote the files %v (%v), want one", command, files, err)
	}
}
