// Package soak_test holds tests that run for long, of one server and of several over one bucket, and measurements for
// docs/scale.md. They take
// minutes, so they run only on request:
//
//	make soak-restarts                         300 clients of one server, which is reloaded, drained and replaced all the time
//	make soak-checks                           quotas, a checker of uploads and a receiver of events that fail, a full disk, kills
//	make soak-nodes                            three nodes behind haproxy, one of which is killed every 5 s
//	make measure-nodes PART=TestMeasureMemory  one of the measurements, or all of them
package soak_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"miniftp/internal/s3peer"
)

// The variables that request a test.
const (
	storeVar   = "MINIFTP_SOAK_STORE"    // the URL of a bucket; by default, two gateways over a directory are started
	timeVar    = "MINIFTP_SOAK_TIME"     // how long the soak runs
	gatewayVar = "MINIFTP_SOAK_GATEWAYS" // how many gateways are started; default 2
	measureVar = "MINIFTP_MEASURE"       // requests the measurements
)

// store is the object store of a test.
type store struct {
	urls   []*url.URL // of the bucket; a node uses one of them
	prefix string     // below which the test writes
}

// openStore returns the store that the environment names, or else gateways over one directory.
func openStore(t *testing.T) *store {
	t.Helper()
	s := &store{prefix: fmt.Sprintf("soak-%s-%06d", time.Now().UTC().Format("150405"), rand.IntN(1e6))}
	if text := os.Getenv(storeVar); text != "" {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", storeVar, err)
		}
		s.urls = []*url.URL{u}
		t.Cleanup(func() { s.clean(t) })
	} else {
		n, _ := strconv.Atoi(os.Getenv(gatewayVar))
		dir := t.TempDir()
		if n <= 0 {
			n = 2
		}
		for range n {
			u, err := url.Parse(s3peer.Start(t, dir).URL("", ""))
			check(t, err)
			s.urls = append(s.urls, u)
		}
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		t.Setenv("AWS_ACCESS_KEY_ID", s3peer.AccessKey)
		t.Setenv("AWS_SECRET_ACCESS_KEY", s3peer.SecretKey)
	}
	return s
}

// url returns the URL of a directory below the prefix, as node n reaches it. more is appended to the query.
func (s *store) url(n int, dir, more string) string {
	u := *s.urls[n%len(s.urls)]
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + s.prefix + "/" + dir
	u.RawQuery += more
	return u.String()
}

// build builds miniftp and returns its path, unless MINIFTP_SOAK_BIN names one.
func build(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("MINIFTP_SOAK_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "miniftp")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "miniftp/cmd/miniftp").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  string
}

// start starts a program, whose output goes to a file. It is killed when the test ends.
func start(t *testing.T, log, name string, args ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(t, err)
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{}), log: log}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	check(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill kills the program and waits until it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// memory returns a value of /proc/PID/status in bytes: VmHWM is the most that was resident, VmRSS what is now.
func (p *process) memory(t *testing.T, name string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	check(t, err)
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == name+":" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			check(t, err)
			return n << 10
		}
	}
	t.Fatalf("no %s in the status of the process", name)
	return 0
}

// cpu returns the processor time that the program has used.
func (p *process) cpu(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	check(t, err)
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// awaitQuiet waits until other programs leave most of the processors alone, for at most a minute.
func awaitQuiet(t *testing.T) {
	t.Helper()
	idle := func() (idle, all int64) {
		b, err := os.ReadFile("/proc/stat")
		check(t, err)
		line, _, _ := strings.Cut(string(b), "\n")
		for i, text := range strings.Fields(line)[1:] {
			n, _ := strconv.ParseInt(text, 10, 64)
			if all += n; i == 3 {
				idle = n
			}
		}
		return idle, all
	}
	share := 0.0
	for range 60 {
		idle0, all0 := idle()
		time.Sleep(time.Second)
		idle1, all1 := idle()
		if share = float64(idle1-idle0) / float64(all1-all0); share > 0.9 {
			return
		}
	}
	t.Logf("other programs are busy: only %.0f %% of the processors are idle", 100*share)
}

// resetPeak makes VmHWM begin anew.
func (p *process) resetPeak(t *testing.T) {
	t.Helper()
	check(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0))
}

// awaitGreeting waits until a server greets.
func awaitGreeting(ctx context.Context, addr string, most time.Duration) error {
	end := time.Now().Add(most)
	for {
		err := greets(ctx, addr)
		if err == nil || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func greets(ctx context.Context, addr string) error {
	// Not the address of the balancer, from which the nodes expect a PROXY header.
	dialer := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	code := make([]byte, 3)
	if _, err := io.ReadFull(conn, code); err != nil {
		return err
	}
	if string(code) != "220" {
		return fmt.Errorf("greeting %q", code)
	}
	return nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// requested skips a test unless one of the variables requests it.
func requested(t *testing.T, variables ...string) {
	t.Helper()
	for _, v := range variables {
		if os.Getenv(v) != "" {
			return
		}
	}
	t.Skipf("it takes minutes: set %s to run it", strings.Join(variables, " or "))
}
