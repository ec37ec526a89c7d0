package peers

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"
	"miniftp/internal/procgroup"
)

var update = flag.Bool("update", false, "write the runs in docs/doctor.md anew")

// verdict holds the parts of the output of doctor --json that are checked.
type verdict struct {
	Works bool
	Use   string
	Grid  []struct {
		Family, Protection, Aside string
		Reused                    bool  `json:"session_reused"`
		Needs                     *bool `json:"session_reuse_required"`
		Ways                      map[string]struct{ State, Error string }
	}
	Server struct{ Product string }
	Checks struct{ Restart, MLSD string }

	Findings []struct{ Code, What, Do string }
}

// program is miniftp, built for this test. Package doctor must not import this package, so its
// own tests cannot use these servers.
type program string

func (p program) run(t *testing.T, args ...string) (stdout string, exit int) {
	t.Helper()
	cmd := exec.Command(string(p), args...)
	cmd.Env = append(os.Environ(), "MINIFTP_PASSWORD="+password, "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		t.Logf("%s", errs.String())
		return out.String(), failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), 0
}

// patient is a run of doctor in the table below.
type patient struct {
	server   string
	options  Options
	product  string
	grid     map[string]string // by protection: the states of EPSV, PASV, EPRT, PORT, or why there are none
	findings []string
	use      string
	shown    bool // whether docs/doctor.md shows it
}

const allWork = "works works works works"

func patients() []patient {
	bare := map[string]string{"clear": allWork, "TLS 1.2": "not offered", "TLS 1.3": "not offered"}
	secure := map[string]string{"clear": "only by TLS", "TLS 1.2": allWork, "TLS 1.3": allWork}
	explicit, reuse := Options{TLS: Explicit}, Options{TLS: Explicit, RequireReuse: true}
	return []patient{
		{"vsftpd", Options{}, "vsftpd", bare, nil, "get ftp://", false},
		{"vsftpd", explicit, "vsftpd", secure, nil, "ftpes://", false},
		{"vsftpd", reuse, "vsftpd", secure, []string{"tls-session-reuse"}, "ftpes://", true},
		{"proftpd", Options{}, "ProFTPD", bare, []string{"no-tls"}, "get ftp://", false},
		{"proftpd", explicit, "ProFTPD", secure, nil, "ftpes://", false},
		{"proftpd", reuse, "ProFTPD", secure, []string{"tls-session-reuse"}, "ftpes://", true},
		{"pure-ftpd", Options{}, "Pure-FTPd", bare, []string{"no-tls"}, "get ftp://", false},
		{"pure-ftpd", explicit, "Pure-FTPd", secure, nil, "ftpes://", true},
		{"pyftpdlib", Options{}, "pyftpdlib", bare, []string{"no-tls"}, "get ftp://", true},
		{"pyftpdlib", explicit, "pyftpdlib", secure, nil, "ftpes://", false},
		{"pyftpdlib", Options{IPv6: true}, "pyftpdlib", map[string]string{"clear": "works absent works absent"}, []string{"no-tls"}, "ftp://", false},
	}
}

// TestDoctorOnPeers checks the report of doctor on the stock servers, which have no faults, and that the
// command at its end works. An ordinary run checks one configuration of each server, those in
// docs/doctor.md, and IPv6.
func TestDoctorOnPeers(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	name := filepath.Join(t.TempDir(), "miniftp")
	build := exec.Command("go", "build", "-o", name, "miniftp/cmd/miniftp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // so that the build is shared with the tests of cmd/miniftp
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := program(name)
	pages := map[string]string{}
	for _, tt := range patients() {
		if !tt.shown && !tt.options.IPv6 && !testutil.Soaking {
			continue
		}
		t.Run(fmt.Sprintf("%s tls %v reuse %v ipv6 %v", tt.server, tt.options.TLS == Explicit, tt.options.RequireReuse, tt.options.IPv6), func(t *testing.T) {
			if !*update {
				t.Parallel()
			}
			root := t.TempDir()
			write(t, filepath.Join(root, "a.txt"), strings.Repeat("a line of a file\n", 20))
			s := Start(t, tt.server, root, tt.options)
			flags := []string{"doctor", "--json"}
			if s.Certs != nil {
				flags = append(flags, "--ca-cert", s.Certs.CAFile)
			}
			u := url.URL{Scheme: "ftp", Host: s.Addr, User: url.User(s.User), Path: "/"}
			out, exit := p.run(t, append(flags, u.String())...)
			var v verdict
			if err := json.Unmarshal([]byte(out), &v); err != nil || exit != 0 || !v.Works {
				t.Fatalf("exit %d, %v: %s", exit, err, out)
			}
			tt.compare(t, v)
			if !strings.Contains(v.Use, tt.use) || !strings.HasSuffix(strings.TrimSuffix(v.Use, "'"), "/a.txt") {
				t.Errorf("use %q, want %q in it", v.Use, tt.use)
			}
			dir := t.TempDir()
			if _, exit := program("sh").run(t, "-c", string(p)+strings.TrimPrefix(v.Use, "miniftp")+" "+dir); exit != 0 {
				t.Errorf("%s: exit %d", v.Use, exit)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "a.txt")); err != nil || len(b) != 340 {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			if tt.shown && *update {
				flags[1] = "--timeout=" + (5 * time.Second).String()
				text, _ := p.run(t, append(flags, u.String())...)
				pages[tt.server] = masked(text, s)
			}
		})
	}
	if *update {
		t.Run("own", func(t *testing.T) { pages["miniftp"] = ownPage(t, p) })
		writePages(t, pages)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare checks the grid and the findings.
func (tt patient) compare(t *testing.T, v verdict) {
	t.Helper()
	for _, r := range v.Grid {
		got := r.Aside
		if got == "" {
			got = fmt.Sprintf("%s %s %s %s", r.Ways["EPSV"].State, r.Ways["PASV"].State, r.Ways["EPRT"].State, r.Ways["PORT"].State)
		}
		if want, ok := tt.grid[r.Protection]; ok && got != want {
			t.Errorf("%s: got %s, want %s (%+v)", r.Protection, got, want, r.Ways)
		}
		// Whether the server refuses data connections that do not resume the TLS session.
		if strings.HasPrefix(r.Protection, "TLS") && got == allWork && r.Needs != nil && *r.Needs != tt.options.RequireReuse {
			t.Errorf("%s: reuse required: %v", r.Protection, *r.Needs)
		}
	}
	var codes []string
	for _, f := range v.Findings {
		codes = append(codes, f.Code)
	}
	if !slices.Equal(codes, tt.findings) || v.Server.Product != tt.product {
		t.Errorf("%s: findings %q, want %q: %+v", v.Server.Product, codes, tt.findings, v.Findings)
	}
	if want := tt.server != "vsftpd"; v.Checks.Restart != "honest" || (v.Checks.MLSD == "yes") != want {
		t.Errorf("%+v", v.Checks)
	}
}

var (
	inDoc   = regexp.MustCompile(`(?s)<!-- run: ([a-z-]+) -->\n.*?<!-- end -->`)
	timings = regexp.MustCompile(`[0-9.]+ ms`)
)

// masked replaces what differs between runs.
func masked(text string, s *Server) string {
	const port = "2121"
	text = strings.ReplaceAll(text, fmt.Sprintf("%-22s", s.Addr), fmt.Sprintf("%-22s", "127.0.0.1:"+port))
	text = strings.ReplaceAll(text, s.Addr, "127.0.0.1:"+port)
	text = strings.ReplaceAll(text, s.Root, "/srv/ftp")
	if s.Certs != nil {
		text = strings.ReplaceAll(text, s.Certs.CAFile, "ca.pem")
	}
	return text
}

// ownPage returns the report of doctor on miniftp serve.
func ownPage(t *testing.T, p program) string {
	root, port := t.TempDir(), fmt.Sprint(testutil.FreePorts(t, 1))
	write(t, filepath.Join(root, "a.txt"), strings.Repeat("a line of a file\n", 20))
	certs := NewCerts(t)
	s := &Server{Addr: "127.0.0.1:" + port, Root: root, Certs: certs}
	cmd := exec.Command(string(p), "serve", "--listen", s.Addr, "--tls-cert", certs.CertFile, "--tls-key", certs.KeyFile, root)
	at := site{host: "127.0.0.1", dir: t.TempDir(), opts: Options{}}
	if _, err := fmt.Sscan(port, &at.port); err != nil {
		t.Fatal(err)
	}
	stop, err := procgroup.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		_ = cmd.Wait()
	}()
	if err := at.awaitGreeting(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, _ := p.run(t, "doctor", "--ca-cert", certs.CAFile, "ftp://"+s.Addr+"/")
	return masked(text, s)
}

// writePages writes the reports into docs/doctor.md.
func writePages(t *testing.T, pages map[string]string) {
	const doc = "../../../docs/doctor.md"
	old, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	text := inDoc.ReplaceAllStringFunc(string(old), func(block string) string {
		name := inDoc.FindStringSubmatch(block)[1]
		page, ok := pages[name]
		if !ok {
			t.Errorf("docs/doctor.md has no place for the run on %s", name)
			return block
		}
		return "<!-- run: " + name + " -->\n```\n" + page + "```\n<!-- end -->"
	})
	write(t, doc, text)
}

// TestDoctorDoc checks that the reports in docs/doctor.md are up to date, except for times.
func TestDoctorDoc(t *testing.T) {
	text, err := os.ReadFile("../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range inDoc.FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = true
		if !timings.MatchString(m[0]) || !strings.Contains(m[0], "EPSV    PASV    EPRT    PORT") || !strings.Contains(m[0], "\nUse:  miniftp get ") {
			t.Errorf("docs/doctor.md has a run on %s, which this test does not know", m[1])
		}
	}
	for _, name := range append(Names(), "miniftp") {
		if !found[name] {
			t.Errorf("docs/doctor.md has no run on %s", name)
		}
	}
}
