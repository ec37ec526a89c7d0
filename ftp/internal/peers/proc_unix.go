//go:build unix

package peers

import (
	"os/exec"
	"strconv"
	"syscall"
)

const canRun = true

// startGroup starts cmd as a process group of its own and returns what kills the
// group. Should the test binary itself be killed, as by go test's timeout, a
// watchdog whose standard input then ends kills the group instead.
func startGroup(cmd *exec.Cmd) (stop func(), err error) {
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
		// The watchdog goes before its input ends: by then the group's number may be
		// another's.
		_ = syscall.Kill(-watchdog.Process.Pid, syscall.SIGKILL)
		_ = watchdog.Wait()
		_ = alive.Close()
	}, nil
}
