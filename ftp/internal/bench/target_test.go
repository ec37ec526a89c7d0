package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/internal/peers"
)

// target is one server under load.
type target struct {
	name, addr     string
	user, password string
	root           string
	pid            int
}

// startMiniftp runs the real program, as a user would.
func startMiniftp(tb testing.TB, root string) *target {
	tb.Helper()
	bin := os.Getenv("BENCH_MINIFTP") // another build, to compare with
	if bin == "" {
		bin = filepath.Join(tb.TempDir(), "miniftp")
		if out, err := exec.Command("go", "build", "-o", bin, "miniftp/cmd/miniftp").CombinedOutput(); err != nil {
			tb.Fatalf("build: %v\n%s", err, out)
		}
	}
	cmd := exec.Command(bin, "serve", "--log-level", "error", "--listen", "127.0.0.1:0", "--user", "bench:bench", root)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r := bufio.NewReader(stderr)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			tb.Fatalf("miniftp did not start: %v", err)
		}
		if _, rest, ok := strings.Cut(line, "ftp://"); ok {
			addr, _, _ := strings.Cut(rest, "/")
			go func() { _, _ = io.Copy(io.Discard, r) }()
			return &target{name: "miniftp", addr: addr, user: "bench", password: "bench", root: root, pid: cmd.Process.Pid}
		}
	}
}

func startPeer(tb testing.TB, name, root string) *target {
	tb.Helper()
	s := peers.Start(tb, name, root, peers.Options{})
	return &target{name: name, addr: s.Addr, user: s.User, password: s.Password, root: s.Root, pid: s.PID}
}

// again starts another server of the same kind.
func again(tb testing.TB, s *target) *target {
	tb.Helper()
	if s.name == "miniftp" {
		return startMiniftp(tb, s.root)
	}
	return startPeer(tb, s.name, s.root)
}

// cpu is the processor time that a server has used so far, its sessions included.
func cpu(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	ticks := int64(0)
	for _, p := range family(pid) {
		f := statFields(p)
		if f == nil {
			continue
		}
		own, _ := strconv.ParseInt(f[11], 10, 64)
		sys, _ := strconv.ParseInt(f[12], 10, 64)
		gone, _ := strconv.ParseInt(f[13], 10, 64)
		goneSys, _ := strconv.ParseInt(f[14], 10, 64)
		ticks += own + sys + gone + goneSys
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// statFields are the fields of /proc/PID/stat behind the name.
func statFields(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// family is a process and its descendants.
func family(pid int) []int {
	all, _ := os.ReadDir("/proc")
	parents := map[int]int{}
	for _, d := range all {
		if n, err := strconv.Atoi(d.Name()); err == nil {
			if f := statFields(n); f != nil {
				parents[n], _ = strconv.Atoi(f[1])
			}
		}
	}
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		for p, parent := range parents {
			if parent == found[i] {
				found = append(found, p)
			}
		}
	}
	return found
}

// pss is a server's memory in KiB: what is shared counts by its share.
func pss(tb testing.TB, pid int) float64 {
	tb.Helper()
	sum := 0.0
	for _, p := range family(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				n, _ := strconv.ParseFloat(f[1], 64)
				sum += n
			}
		}
	}
	return sum
}
