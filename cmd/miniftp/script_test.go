package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/internal/s3peer"
)

// TestScripts runs the command line as users and scripts do, in processes, and checks exit codes
// and which output goes to which stream.
func TestScripts(t *testing.T) {
	t.Parallel()
	verbtest.Program(t)
	testscript.Run(t, scripts("testdata/script"))
}

// TestBucketScripts is like TestScripts for storages that are buckets of a gateway.
func TestBucketScripts(t *testing.T) {
	t.Parallel()
	verbtest.Program(t)
	gateway := s3peer.Start(t, t.TempDir())
	p := scripts("testdata/bucket")
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("AWS_ACCESS_KEY_ID", s3peer.AccessKey)
		e.Setenv("AWS_SECRET_ACCESS_KEY", s3peer.SecretKey)
		e.Setenv("AWS_ENDPOINT_URL", gateway.Endpoint)
		e.Setenv("AWS_REGION", "us-east-1")
		e.Setenv("BUCKET", "s3://"+s3peer.Bucket)
		return setup(e)
	}
	testscript.Run(t, p)
}

// scripts returns the parameters of the scripts in dir.
func scripts(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("NETRC", e.WorkDir+"/.netrc")
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     cmdExits,
			"interrupt": cmdInterrupt,
			"serve":     cmdServe,
			"quit":      cmdQuit,
			"examples":  cmdExamples,
			"jsonlog":   cmdJSONLog,
		},
	}
}

// cmdInterrupt implements "interrupt duration command…": it sends SIGINT to the command after that time. The command
// must report the interrupt.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt duration command…")
	}
	after, err := time.ParseDuration(args[0])
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	time.AfterFunc(after, func() { _ = cmd.Process.Signal(os.Interrupt) })
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		ts.Fatalf("exit %d: %s", cmd.ProcessState.ExitCode(), out.String())
	}
}

// cmdExits implements "exits N command…": the command must end with exit code N.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

// cmdServe implements "serve flags…": it starts miniftp serve on a free port. It sets URL to the
// URL in the banner, ADDR to its host and port, TLS_URL to that of a --listen-tls, and PIN to the
// fingerprint of the certificate.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("serve can't be negated")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, "miniftp", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "XDG_STATE_HOME=", "XDG_RUNTIME_DIR=", "PATH="+ts.Getenv("PATH"), "GORACE="+ts.Getenv("GORACE"),
		"AWS_ACCESS_KEY_ID="+ts.Getenv("AWS_ACCESS_KEY_ID"), "AWS_SECRET_ACCESS_KEY="+ts.Getenv("AWS_SECRET_ACCESS_KEY"),
		"AWS_ENDPOINT_URL="+ts.Getenv("AWS_ENDPOINT_URL"), "AWS_REGION="+ts.Getenv("AWS_REGION"))
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	log := &syncBuffer{done: make(chan struct{})}
	r := bufio.NewReader(stderr)
	names := []string{"URL", "TLS_URL"}
	for line := ""; line != "Ctrl-C stops.\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			ts.Fatalf("miniftp serve did not start: %s%s", log.String(), line)
		}
		log.WriteString(line)
		if m := bannerURL.FindStringSubmatch(line); m != nil && len(names) > 0 {
			ts.Setenv(names[0], m[1])
			if names[0] == "URL" {
				ts.Setenv("ADDR", m[2])
			}
			names = names[1:]
		} else if strings.HasPrefix(line, "  sha256:") {
			ts.Setenv("PIN", strings.TrimSpace(line))
		}
	}
	ts.Setenv("SERVER_PID", strconv.Itoa(cmd.Process.Pid))
	go func() {
		defer close(log.done)
		_, _ = log.ReadFrom(r)
	}()
	ts.Setenv("SERVE_LOG", strconv.Itoa(cmd.Process.Pid))
	servers.Store(strconv.Itoa(cmd.Process.Pid), log)
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-log.done
		_ = cmd.Wait()
		cancel()
	})
}

var bannerURL = regexp.MustCompile(`^  (ftp(?:|e?s)://([^/]+))/ `)

type syncBuffer struct {
	bytes.Buffer
	done chan struct{}
}

// cmdQuit implements "quit": it sends SIGTERM to the server. (testscript itself has a command
// "stop".)
func cmdQuit(ts *testscript.TestScript, _ bool, _ []string) {
	pid, err := strconv.Atoi(ts.Getenv("SERVER_PID"))
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Signal(syscall.SIGTERM))
}

// servers holds the logs of the running servers by process ID.
var servers sync.Map

// cmdJSONLog implements "jsonlog file": it waits for the server to end, checks that every line
// after the banner is a JSON object, and writes the lines to the file.
func cmdJSONLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonlog file")
	}
	found, ok := servers.Load(ts.Getenv("SERVE_LOG"))
	if !ok {
		ts.Fatalf("no server")
	}
	log := found.(*syncBuffer)
	<-log.done
	_, lines, ok := strings.Cut(log.String(), "Ctrl-C stops.\n")
	if !ok {
		ts.Fatalf("no banner in %s", log.String())
	}
	for line := range strings.Lines(lines) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			ts.Fatalf("%q: %v", line, err)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(lines), 0o600))
}

// cmdExamples implements "examples verb…": it runs the examples in the help of each verb, with the
// address of the running server.
func cmdExamples(ts *testscript.TestScript, neg bool, args []string) {
	for _, verb := range args {
		ts.Check(ts.Exec("miniftp", verb, "--help"))
		help := ts.ReadFile("stdout")
		_, lines, ok := strings.Cut(help, "\nExamples:\n")
		n := strings.Count(lines, "\n")
		if neg || !ok || n < 2 || n > 3 {
			ts.Fatalf("the help of %s does not end with two or three examples:\n%s", verb, help)
		}
		for line := range strings.Lines(lines) {
			line = strings.ReplaceAll(strings.TrimSpace(line), "127.0.0.1:2121", ts.Getenv("ADDR"))
			if err := ts.Exec("sh", "-c", line); err != nil {
				ts.Fatalf("%s\n%v", line, err)
			}
		}
	}
}
