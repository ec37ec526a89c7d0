package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// serverProcess is the server as /proc shows it: a process and all that came from it.
type serverProcess struct{ pid int }

// memory is what the processes hold, in KiB; 0 is unknown.
type memory struct {
	pss int64 // what is shared counts by its share
	rss int64 // what is shared counts each time
}

// newTarget is the process of --server-pid; nil if none is given.
func newTarget(c *cli.Context) (*serverProcess, error) {
	pid := c.Int("server-pid")
	if !c.IsSet("server-pid") {
		return nil, nil
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, verb.Usagef("--server-pid works where there is a /proc, as Linux has it")
	}
	if pid <= 0 || statFields(pid) == nil {
		return nil, verb.Usagef("--server-pid %d: there is no such process on this machine", pid)
	}
	return &serverProcess{pid}, nil
}

// userHZ is the clock of /proc/PID/stat on every Linux (proc(5), sysconf(_SC_CLK_TCK)).
const userHZ = 100

// cpu is the processor time that the family has used so far, those of it that have
// ended included. Of a process that lives the clock counts whole hundredths only, which
// for hundreds of short-lived sessions is nothing: what its threads tell in nanoseconds
// is taken where that is more.
func (p *serverProcess) cpu() time.Duration {
	const tick = time.Second / userHZ
	sum := time.Duration(0)
	for _, pid := range p.family() {
		f := statFields(pid)
		if f == nil {
			continue
		}
		var ticks [4]int64 // utime stime cutime cstime
		for i := range ticks {
			ticks[i], _ = strconv.ParseInt(f[11+i], 10, 64)
		}
		sum += max(time.Duration(ticks[0]+ticks[1])*tick, threadTime(pid)) + time.Duration(ticks[2]+ticks[3])*tick
	}
	return sum
}

// threadTime is what the threads that a process has now have used.
func threadTime(pid int) (sum time.Duration) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if f := strings.Fields(string(b)); len(f) > 0 {
			ns, _ := strconv.ParseInt(f[0], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// memory is what the family holds. Where smaps_rollup may not be read, pss is 0.
func (p *serverProcess) memory() (m memory) {
	readable := true
	for _, pid := range p.family() {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
			if f := strings.Fields(string(b)); len(f) > 1 {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				m.rss += n * int64(os.Getpagesize()) >> 10
			}
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if os.IsPermission(err) {
			readable = false
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				m.pss += n
			}
		}
	}
	if !readable {
		m.pss = 0
	}
	return m
}

// family is the process and its descendants.
func (p *serverProcess) family() []int {
	children := map[int][]int{}
	all, _ := os.ReadDir("/proc")
	for _, d := range all {
		if pid, err := strconv.Atoi(d.Name()); err == nil {
			if f := statFields(pid); f != nil {
				parent, _ := strconv.Atoi(f[1])
				children[parent] = append(children[parent], pid)
			}
		}
	}
	found := []int{p.pid}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// statFields are the fields of /proc/PID/stat behind the name, which may hold anything;
// nil if there are too few.
func statFields(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 15 {
		return nil
	}
	return f
}
