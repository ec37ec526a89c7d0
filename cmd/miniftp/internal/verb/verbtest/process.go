package verbtest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Process is a server in its own process, which a test may kill.
type Process struct {
	t    *testing.T
	Cmd  *exec.Cmd
	Addr string
	log  chan string // its lines; closed when it ends
	Read []string    // the lines that Await has read
}

// StartServer starts the program as a server of root and waits until it listens.
func StartServer(t *testing.T, root string, flags ...string) *Process {
	t.Helper()
	return Start(t, Command(t, Program(t), append(append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...), root)...))
}

// Command returns a command that is killed after five minutes, with a home of its own.
func Command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	return cmd
}

// Start starts a command that runs miniftp serve, and waits until it listens.
func Start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, Cmd: cmd, log: make(chan string, 100_000)}
	stderr, err := p.Cmd.StderrPipe()
	if err == nil {
		err = p.Cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.log)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.log <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = p.Cmd.Process.Kill() })
	for p.Addr == "" {
		if url := listenURL.FindStringSubmatch(p.Await("://")); url != nil {
			p.Addr = url[1]
		}
	}
	return p
}

// listenURL matches the URL of a listener in the banner.
var listenURL = regexp.MustCompile(`^ *ftp(?:s|es)?://([^/]+)/`)

// Await waits for a line that contains text and returns it.
func (p *Process) Await(text string) string {
	p.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-p.log:
			if p.Read = append(p.Read, line); strings.Contains(line, text) {
				return line
			}
			if !ok {
				p.t.Fatalf("the server ended without %q:\n%s", text, strings.Join(p.Read, "\n"))
			}
		case <-limit:
			p.t.Fatalf("the server did not print %q:\n%s", text, strings.Join(p.Read, "\n"))
		}
	}
}

// Ends waits for the process and returns its exit code, or -1 if it was killed.
func (p *Process) Ends() int {
	p.t.Helper()
	for line := range p.log { // to the end, before Wait closes the pipe
		p.Read = append(p.Read, line)
	}
	_ = p.Cmd.Wait()
	return p.Cmd.ProcessState.ExitCode()
}

// Kill kills the process with SIGKILL, so that it can't clean up.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.Cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	p.Ends()
}

// Dial connects a client to the server.
func (p *Process) Dial() *client.Client {
	p.t.Helper()
	c, err := client.Dial(p.t.Context(), p.Addr, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Program returns the path of the built program, which is also in PATH as "miniftp".
func Program(t testing.TB) string {
	t.Helper()
	Long(t)
	if err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	return programName()
}

// buildProgram builds miniftp once, as for users: without the race detector, which makes each
// process start slowly, unless make soak runs the tests with it. Most of the code is also tested in
// the test binary.
var buildProgram = sync.OnceValue(func() error {
	args := []string{"build", "-o", programName()}
	cmd := exec.Command("go", append(args, "miniftp/cmd/miniftp")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if raceDetector && Soaking {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each process ends a second late
		cmd = exec.Command("go", append(args, "-race", "miniftp/cmd/miniftp")...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

// programName returns the path of the built program.
func programName() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(bin, "miniftp.exe")
	}
	return filepath.Join(bin, "miniftp")
}

// bin is the directory of the built program, the first one in PATH.
var bin string

// logIn logs in as user and returns the error, if any.
func (p *Process) logIn(user, password string) (*client.Client, error) {
	c, err := client.Dial(p.t.Context(), p.Addr, &client.Options{User: user, Password: password})
	if err == nil {
		p.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// MustLogIn fails the test unless the login succeeds.
func (p *Process) MustLogIn(user, password string) *client.Client {
	p.t.Helper()
	c, err := p.logIn(user, password)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// Refuses fails the test unless the login is refused.
func (p *Process) Refuses(user, password string) {
	p.t.Helper()
	var reply *ftp.Error
	if _, err := p.logIn(user, password); !errors.As(err, &reply) {
		p.t.Errorf("the login of %s: %v", user, err)
	}
}

// Hangup sends SIGHUP and waits for a line that contains says.
func (p *Process) Hangup(says string) string {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	return p.Await(says)
}

// Main runs the tests of a package, with a directory for the built program first in PATH.
func Main(m *testing.M) int {
	runParallel()
	local.Geteuid = func() int { return 1000 } // root gets a warning, which has its own test
	var err error
	if bin, err = os.MkdirTemp("", "miniftp-bin"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	os.Setenv("NETRC", filepath.Join(bin, "no netrc"))      // not the user's
	os.Setenv("XDG_RUNTIME_DIR", filepath.Join(bin, "run")) // for the sockets of servers
	os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

// runParallel lets more parallel tests run than there are processors, unless -parallel is set: most
// of them wait for a timer or another process.
func runParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
}

// Soaking reports whether the tests run by make soak.
var Soaking = os.Getenv("MINIFTP_SOAK") != ""
