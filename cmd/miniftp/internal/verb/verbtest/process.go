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

// Process is a server in a process of its own, that a test may kill.
type Process struct {
	t    *testing.T
	Cmd  *exec.Cmd
	Addr string
	log  chan string // its lines, until it ends
	Read []string    // those that await has read
}

// StartServer starts the program as a server of root, and waits until it listens.
func StartServer(t *testing.T, root string, flags ...string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	p := &Process{t: t, log: make(chan string, 100_000)}
	p.Cmd = exec.CommandContext(ctx, Program(t), append(append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...), root)...)
	p.Cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
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
	_, rest, _ := strings.Cut(p.Await("ftp://"), "ftp://")
	p.Addr, _, _ = strings.Cut(rest, "/")
	return p
}

// Await waits for a line with the text.
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
			p.t.Fatalf("the server does not say %q:\n%s", text, strings.Join(p.Read, "\n"))
		}
	}
}

// Ends waits for the process and returns its exit code, -1 if it was killed.
func (p *Process) Ends() int {
	p.t.Helper()
	for line := range p.log { // to the end, before Wait closes the pipe
		p.Read = append(p.Read, line)
	}
	_ = p.Cmd.Wait()
	return p.Cmd.ProcessState.ExitCode()
}

// Kill is SIGKILL: nothing is put in order.
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

// Program returns the built program: "miniftp" finds it, too.
func Program(t testing.TB) string {
	t.Helper()
	Long(t)
	if err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	return programName()
}

// buildProgram makes miniftp once, as its users have it: without the race detector,
// under which each process starts slowly, but for a MINIFTP_SOAK that has it. What it
// runs is tested inside the test binary, too.
var buildProgram = sync.OnceValue(func() error {
	args := []string{"build", "-o", programName()}
	cmd := exec.Command("go", append(args, "miniftp/cmd/miniftp")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if raceDetector && Soaking {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // else each process ends a second late
		cmd = exec.Command("go", append(args, "-race", "miniftp/cmd/miniftp")...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

// programName is where miniftp is once it is built.
func programName() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(bin, "miniftp.exe")
	}
	return filepath.Join(bin, "miniftp")
}

// bin holds the program that tests run in processes of its own; it is the first of PATH.
var bin string

// logIn dials with a user, and returns how it ended.
func (p *Process) logIn(user, password string) (*client.Client, error) {
	c, err := client.Dial(p.t.Context(), p.Addr, &client.Options{User: user, Password: password})
	if err == nil {
		p.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// MustLogIn fails the test unless that login works.
func (p *Process) MustLogIn(user, password string) *client.Client {
	p.t.Helper()
	c, err := p.logIn(user, password)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// Refuses fails the test unless that login is refused.
func (p *Process) Refuses(user, password string) {
	p.t.Helper()
	var reply *ftp.Error
	if _, err := p.logIn(user, password); !errors.As(err, &reply) {
		p.t.Errorf("the login of %s: %v", user, err)
	}
}

// Hangup is a SIGHUP; it waits for what the log says.
func (p *Process) Hangup(says string) string {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	return p.Await(says)
}

// Main runs the tests of a package, with a directory for miniftp before the others of PATH.
func Main(m *testing.M) int {
	runParallel()
	local.Geteuid = func() int { return 1000 } // whoever runs the tests: what root is told has a test of its own
	var err error
	if bin, err = os.MkdirTemp("", "miniftp-bin"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	os.Setenv("NETRC", filepath.Join(bin, "no netrc")) // nobody's own logins
	os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

// runParallel lets more parallel tests run at once than there are processors, unless the
// command line sets -parallel: most of them wait, for a timer or another process.
func runParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
}

// Soaking reports whether make soak runs the tests.
var Soaking = os.Getenv("MINIFTP_SOAK") != ""
