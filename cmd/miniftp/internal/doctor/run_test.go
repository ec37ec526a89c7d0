package doctor

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// TestDoctorFamilies: a host name with an IPv4 and an IPv6 address gets rows for both.
func TestDoctorFamilies(t *testing.T) {
	fsys, _ := readable(t)
	free := ftptest.ClosedPort(t)
	srv, err := server.New(server.Options{
		Listen: []string{free.String()},
		Auth:   server.Static{"anonymous": {Anyone: true, Account: server.Account{FS: fsys, Perm: server.ReadOnly}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ls, _, err := srv.ListenAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	port := dtp.AddrPort(ls[0].Addr()).Port()
	d := newTestDoctor(t, port)
	done := make(chan error, 2)
	go func() { done <- srv.Serve(ls[0]) }()
	other, err := listenOn(t, netip.AddrPortFrom(netip.IPv6Loopback(), port))
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	go func() { done <- srv.Serve(other) }()
	defer func() {
		_ = srv.Close()
		<-done
		<-done
	}()
	if err := d.examine(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(d.x.judge()); n > 0 {
		t.Errorf("%d findings, such as %q", n, d.x.judge()[0].what)
	}
	seen := map[string]string{}
	for _, r := range d.x.rows {
		if r.spec.version == 0 {
			seen[r.family] = ""
			for _, c := range r.cells {
				seen[r.family] += cellStates[c.state] + " "
			}
		}
	}
	if seen["IPv4"] != allWork+" " || seen["IPv6"] != "works absent works absent " {
		t.Errorf("the states by family are %q", seen)
	}
}

// TestDoctorPage: the page is at most 80 columns wide, except the command, and is ASCII in the locale C.
func TestDoctorPage(t *testing.T) {
	fsys, _ := readable(t)
	srv := ftptest.NewServer(t, fsys, ftptest.WithTLS())
	srv.Fail("PASV", ftptest.Announce(netip.MustParseAddr("10.0.0.5")))
	for _, locale := range []string{"C", "C.UTF-8"} {
		t.Setenv("LC_ALL", locale)
		text := page(t, srv.URL+"/")
		for line := range strings.Lines(text) {
			if n := term.Cells(strings.TrimSuffix(line, "\n")); n > pageWidth && !strings.HasPrefix(line, "Use:") {
				t.Errorf("%d columns: %s", n, line)
			}
			if strings.TrimRight(line, " \n")+"\n" != line {
				t.Errorf("%q ends in blanks", line)
			}
		}
		for _, want := range []string{
			"\n                       EPSV    PASV    EPRT    PORT\n  clear   IPv4         ok      fix 1   ok      ok\n",
			"restart honest", "sizes honest", "\n1  PASV announces 10.0.0.5, a private address behind NAT.", "\nUse:  miniftp get ",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if locale == "C" && strings.ContainsFunc(text, func(c rune) bool { return c > 0x7e }) {
			t.Errorf("not ASCII:\n%s", text)
		}
	}
}

// TestDoctorPassword: a password is sent without TLS only if the URL allows it, and doctor then warns.
func TestDoctorPassword(t *testing.T) {
	fsys, _ := readable(t)
	srv := ftptest.NewServer(t, fsys, ftptest.WithTLS(), ftptest.WithUser("alice", "secret", server.ReadOnly))
	at := strings.Replace(srv.URL, "://", "://alice:secret@", 1) + "/"
	if j, exit, _ := examined(t, "--insecure", at); exit != verb.ExitOK || !slices.Equal(j.codes(), []string{"clear-login"}) {
		t.Errorf("exit %d, %q", exit, j.codes())
	}
	before := len(srv.ClearCommands())
	j, exit, stderr := examined(t, strings.Replace(at, "ftp:", "ftpes:", 1))
	if exit != verb.ExitTLS || !slices.Equal(j.codes(), []string{"certificate-untrusted"}) || !strings.Contains(stderr, "--pin sha256:") {
		t.Errorf("exit %d, %q, %s", exit, j.codes(), stderr)
	}
	if n := slices.IndexFunc(srv.ClearCommands()[before:], func(c ftp.Command) bool { return c.Verb != "AUTH" }); n >= 0 {
		t.Errorf("%v was sent without TLS", srv.ClearCommands()[before+n])
	}
	if text := page(t, at); strings.Contains(text, "secret") {
		t.Errorf("the password is printed:\n%s", text)
	}
	bare := ftptest.NewServer(t, fsys, ftptest.WithUser("alice", "secret", server.ReadOnly))
	if j, _, _ := examined(t, strings.Replace(bare.URL, "://", "://alice:secret@", 1)); !slices.Equal(j.codes(), []string{"no-tls"}) {
		t.Errorf("without TLS: %q", j.codes())
	}
}

// TestDoctorWrite: an upload is tried only with --write, and no file is left.
func TestDoctorWrite(t *testing.T) {
	fsys, _ := readable(t)
	srv := ftptest.NewServer(t, fsys)
	if _, _, _ = examined(t, srv.URL+"/"); slices.ContainsFunc(srv.Commands(), func(c ftp.Command) bool { return c.Verb == "STOR" || c.Verb == "DELE" }) {
		t.Error("doctor wrote without --write")
	}
	if j, exit, _ := examined(t, "--write", srv.URL+"/"); exit != verb.ExitOK || j.Checks.Upload != "yes" || len(j.Findings) > 0 {
		t.Errorf("exit %d, upload %q, %q", exit, j.Checks.Upload, j.codes())
	}
	if files, err := afero.ReadDir(fsys, "/"); err != nil || len(files) != 2 {
		t.Errorf("the directory has %d files (%v), want 2", len(files), err)
	}
	srv.Fail("DELE", ftptest.Reply(550, "Permission denied."))
	if j, _, _ := examined(t, "--write", srv.URL+"/"); !slices.Equal(j.codes(), []string{"write-left"}) {
		t.Errorf("not removed: %q", j.codes())
	}
	srv.Fail("STOR", ftptest.Reply(550, "Permission denied."))
	if j, exit, _ := examined(t, "--write", srv.URL+"/"); exit != verb.ExitRefused || !slices.Equal(j.codes(), []string{"write-refused"}) {
		t.Errorf("refused: exit %d, %q", exit, j.codes())
	}
	srv.Heal()
	srv.Fail("STOR", ftptest.ShortAfter(10))
	if j, _, _ := examined(t, "--write", srv.URL+"/"); len(j.Findings) != 1 || !strings.HasPrefix(j.Findings[0].Code, "write-") {
		t.Errorf("cut: %q", j.codes())
	}
	var out bytes.Buffer
	if exit := flags.Run(t.Context(), verbs, []string{"miniftp", "doctor", "--write", srv.URL + "/a.txt"}, verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &out}); exit != verb.ExitUsage {
		t.Errorf("--write with a file: exit %d", exit)
	}
}

// TestDoctorInterrupted: an interrupt ends doctor at once, whatever it waits for.
func TestDoctorInterrupted(t *testing.T) {
	fsys, _ := readable(t)
	srv := ftptest.NewServer(t, fsys)
	srv.Fail("EPRT", ftptest.NoCall(0))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		srv.WaitEvent(func(e ftp.Event) bool { // the first passive listing has ended
			d, ok := e.What.(ftp.TransferDone)
			return ok && d.Verb == "MLSD"
		})
		cancel()
	}()
	var out, errs bytes.Buffer
	exit := flags.Run(ctx, verbs, []string{"miniftp", "doctor", "--timeout", "10m", srv.URL + "/"}, verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
	if exit != verb.ExitInterrupted || errs.String() != "miniftp: interrupted\n" {
		t.Errorf("exit %d, %q", exit, errs.String())
	}
}

// TestDoctorPaths: paths that do not exist, and servers with nothing to read.
func TestDoctorPaths(t *testing.T) {
	fsys, _ := readable(t)
	srv := ftptest.NewServer(t, fsys)
	for _, tt := range []struct {
		path, code, use string
		exit            int
	}{
		{"none/none/", "no-directory", "", verb.ExitRefused},
		{"none/none", "no-directory", "", verb.ExitRefused},
		{"none.txt", "no-file", "ls ftp://", verb.ExitOK},
	} {
		j, exit, _ := examined(t, srv.URL+"/"+tt.path)
		if exit != tt.exit || !slices.Equal(j.codes(), []string{tt.code}) || !strings.Contains(j.Use, tt.use) {
			t.Errorf("%s: exit %d, %q, use %q", tt.path, exit, j.codes(), j.Use)
		}
	}
	empty := ftptest.NewServer(t, nil)
	j, exit, _ := examined(t, empty.URL)
	if exit != verb.ExitOK || len(j.Findings) > 0 || j.Checks.Restart != "not tried" || j.Use != "miniftp ls "+empty.URL+"/" {
		t.Errorf("an empty directory: exit %d, %q, restart %s, use %q", exit, j.codes(), j.Checks.Restart, j.Use)
	}
	if text := page(t, empty.URL); !strings.Contains(text, "restart not tried (no small file to read)") {
		t.Errorf("the page is\n%s", text)
	}
	if j, exit, stderr := examined(t, "ftp://"+ftptest.ClosedPort(t).String()+"/"); exit != verb.ExitConnect || !slices.Equal(j.codes(), []string{"no-connection"}) {
		t.Errorf("nobody listens: exit %d, %q, %s", exit, j.codes(), stderr)
	}
}

// TestDoctorElsewhere: doctor recognizes web and mail servers.
func TestDoctorElsewhere(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	mail := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.On["greeting"] = func(c *verbtest.Victim, _ string) { c.Say("220 mx.example.net ESMTP ready") }
	})
	for name, addr := range map[string]string{"a web server": web.Listener.Addr().String(), "a mail server": mail.Addr} {
		code, out, errs := try(t, "doctor", "--timeout", "200ms", "ftp://"+addr+"/")
		if code != verb.ExitConnect || !strings.Contains(out, "not an FTP server") || !strings.Contains(strings.Join(strings.Fields(out), " "), name[2:]) {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
}
