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

// serverProcess is the server's process, whose resources and those of its descendants are read from /proc.
type serverProcess struct{ pid int }

// memory is the memory of processes, in KiB; 0 means unknown.
type memory struct {
	pss int64 // shared memory is divided between the processes that share it
	rss int64 // shared memory is counted for each process
}

// newTarget returns the process of --server-pid, or nil if it is not given.
func newTarget(c *cli.Context) (*serverProcess, error) {
	pid := c.Int("server-pid")
	if !c.IsSet("server-pid") {
		return nil, nil
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, verb.Usagef("--server-pid works only on systems with /proc, such as Linux")
	}
	if pid <= 0 || statFields(pid) == nil {
		return nil, verb.Usagef("--server-pid %d: no such process on this machine", pid)
	}
	return &serverProcess{pid}, nil
}

// userHZ is the unit of times in /proc/PID/stat, per second, on every Linux (proc(5), sysconf(_SC_CLK_TCK)).
const userHZ = 100

// cpu returns the processor time that the process and its descendants have used, including those that have
// ended. For a running process, /proc/PID/stat may count too little, because it counts only whole hundredths of
// a second. So the times of its threads, in nanoseconds, are used if they are more.
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

// threadTime returns the processor time that the current threads of a process have used.
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

// memory returns the memory of the process and its descendants. If smaps_rollup may not be read, pss is 0.
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

// family returns the IDs of the process and its descendants.
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

// statFields returns the fields of /proc/PID/stat after the name, which may hold any characters. It returns nil
// if there are too few.
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
