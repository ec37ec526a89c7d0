package peers

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"
)

// TestOnePerHost transfers whole trees, with the default of four connections, from and to servers
// that admit one or two sessions of a host. The runs must succeed with the sessions that the server
// admits. The client must not try another login before each of the 40 files, because its pool is
// smaller for a while after a 421 or 530.
func TestOnePerHost(t *testing.T) {
	testutil.Long(t)
	name := filepath.Join(t.TempDir(), "miniftp")
	if out, err := exec.Command("go", "build", "-o", name, "miniftp/cmd/miniftp").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := program(name)
	for _, server := range Names() {
		for _, most := range []int{1, 2} {
			t.Run(fmt.Sprint(server, " ", most), func(t *testing.T) {
				t.Parallel()
				root, here := t.TempDir(), t.TempDir()
				const files = 40
				for i := range files {
					for _, dir := range []string{filepath.Join(root, "d"), filepath.Join(here, "up")} {
						file := filepath.Join(dir, fmt.Sprint("s", i%4), fmt.Sprint("f", i))
						if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
							t.Fatal(err)
						}
						write(t, file, content(i))
					}
				}
				s := Start(t, server, root, Options{PerHost: most})
				at := url.URL{Scheme: "ftp", Host: s.Addr, User: url.User(s.User), Path: "/"}
				for _, run := range []struct {
					do   []string
					made string
				}{
					{[]string{"get", "-r", at.String() + "d", filepath.Join(here, "got")}, filepath.Join(here, "got")},
					{[]string{"mirror", at.String() + "d", filepath.Join(here, "mirrored")}, filepath.Join(here, "mirrored")},
					{[]string{"put", "-r", filepath.Join(here, "up"), at.String()}, filepath.Join(root, "up")},
					{[]string{"mirror", filepath.Join(here, "up"), at.String() + "m"}, filepath.Join(root, "m")},
				} {
					awaitNoSessions(t, s)
					began := time.Now()
					said := p.verbose(t, run.do...)
					if took := time.Since(began); took > 20*time.Second {
						t.Errorf("%v took %v", run.do, took)
					}
					no, in := len(tooMany.FindAll(said, -1)), len(loggedIn.FindAll(said, -1))
					if in < 1 || no < 1 || no > 8 {
						t.Errorf("%v: %d sessions and %d refusals\n%s", run.do, in, no, said)
					}
					for i := range files {
						file := filepath.Join(run.made, fmt.Sprint("s", i%4), fmt.Sprint("f", i))
						if b, err := os.ReadFile(file); err != nil || string(b) != content(i) {
							t.Errorf("%s: %d bytes, %v", file, len(b), err)
						}
					}
				}
			})
		}
	}
}

var (
	tooMany  = regexp.MustCompile(`(?m)^(\[\d+\] )?< (421|530)`)
	loggedIn = regexp.MustCompile(`(?m)^(\[\d+\] )?< 230`)
)

// awaitNoSessions waits until all sessions of a server that forks have ended. The server counts a session
// until its process has ended, which may be after the client has received the 221.
func awaitNoSessions(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.PID, s.PID))
		if err != nil || len(bytes.TrimSpace(b)) == 0 {
			return // an error means a system other than Linux
		}
	}
	t.Errorf("%s still has sessions", s.Name)
}

// verbose runs the program with -v and returns the wire log.
func (p program) verbose(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(string(p), append([]string{args[0], "-v"}, args[1:]...)...)
	cmd.Env = append(os.Environ(), "MINIFTP_PASSWORD="+password, "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
	return out
}

// content returns the content of the i-th file.
func content(i int) string { return strings.Repeat(fmt.Sprintln("file", i), 50) }
