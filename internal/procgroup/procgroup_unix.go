//go:build unix

// Package procgroup starts programs for tests, which end with the test, together with the processes that they have started.
package procgroup

import (
	"os/exec"
	"strconv"
	"syscall"
)

// CanRun reports whether this system has process groups.
const CanRun = true

// Start starts cmd in its own process group and returns a function that kills the
// group. If the test binary itself is killed, for example by the timeout of go test, a
// watchdog process kills the group: it notices the end of its standard input.
func Start(cmd *exec.Cmd) (stop func(), err error) {
	own := &syscall.SysProcAttr{Setpgid: true}
	cmd.SysProcAttr = own
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	group := cmd.Process.Pid
	kill := func() { _ = syscall.Kill(-group, syscall.SIGKILL) }

	watchdog := exec.Command("/bin/sh", "-c", `cat >/dev/null; kill -s KILL -- "-$1"`, "sh", strconv.Itoa(group))
	watchdog.SysProcAttr = own
	alive, err := watchdog.StdinPipe()
	if err == nil {
		err = watchdog.Start()
	}
	if err != nil {
		kill()
		_ = cmd.Wait()
		return nil, err
	}
	return func() {
		kill()
		// Kill the watchdog before its input ends. It would otherwise kill the group, whose
		// number may be in use again by then.
		_ = syscall.Kill(-watchdog.Process.Pid, syscall.SIGKILL)
		_ = watchdog.Wait()
		_ = alive.Close()
	}, nil
}
